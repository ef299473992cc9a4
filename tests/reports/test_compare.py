"""`kact compare`: every difference is found, wherever it is, and nothing else."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kact_cli.options import Options
from kact_cli.reports.inspect import describe, summarize
from kact_cli.reports.numbers import open_numbers
from tests.tools.run import Kact
from tests.tools.tables import measured, write


def told(kact: Kact, *args: Any, code: int = 0, **more: Any) -> Any:
    return json.loads(kact("compare", "--json", *args, code=code, **more).stdout)


SHAPES = [(), (7,), (300_000,), (500, 700), (3, 70_001), (70_001, 3), (40, 50, 60), (2, 1, 9, 1)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_difference_in_any_order_of_the_axes(
    kact: Kact, tmp_path: Path, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, shape).astype(np.float32)
    b = a.copy()
    at = tuple(int(rng.integers(n)) for n in shape)
    b[at] = np.nextafter(b[at], np.float32(np.inf))
    for i, (x, order, dtype) in enumerate([(a, "C", "<f4"), (a, "F", ">f4")]):
        np.save(tmp_path / f"a{i}.npy", np.asarray(x, dtype, order=order))
    for i, (x, order, dtype) in enumerate([(b, "C", ">f4"), (b, "F", "<f4")]):
        np.save(tmp_path / f"b{i}.npy", np.asarray(x, dtype, order=order))
    for i, j in itertools.product(range(2), repeat=2):
        found = told(kact, tmp_path / f"a{i}.npy", tmp_path / f"b{j}.npy", code=1)
        assert (found["pairs"], found["differ"], found["beyond"]) == (a.size, 1, 1)
        assert tuple(found["ulp"]["at"]) == tuple(found["absolute"]["at"]) == at
        assert found["ulp"]["error"] == 1
        assert (found["ulp"]["a"], found["ulp"]["b"]) == (float(a[at]), float(b[at]))
    assert told(kact, tmp_path / "a0.npy", tmp_path / "a1.npy")["passed"] is True
    piped = told(kact, "-", tmp_path / "b1.npy", stdin=(tmp_path / "a0.npy").read_bytes(), code=1)
    assert tuple(piped["ulp"]["at"]) == at


def test_tolerances_and_exit_codes(kact: Kact, tmp_path: Path) -> None:
    a, b = tmp_path / "a.npy", tmp_path / "b.npy"
    x = np.linspace(-1, 1, 1001, dtype=np.float32)
    np.save(a, x)
    np.save(b, np.nextafter(np.nextafter(x, np.float32(9)), np.float32(9)))
    kact("compare", a, a)
    kact("compare", a, b, code=1)
    kact("compare", "--max-ulp", 1, a, b, code=1)
    kact("compare", "--max-ulp", 2, a, b)
    kact("compare", "--atol", "3e-7", a, b)
    kact("compare", "--atol", "1e-9", a, b, code=1)
    text = kact("compare", "--max-ulp", 1, a, b, code=1).stdout.decode()
    assert "1,001 values differ by more than --max-ulp 1" in text
    assert "largest error, ULP" in text


HINTS = [
    (4, "--max-ulp 4 passes last digits"),
    (500, "--max-ulp 500 passes them"),
    (16178, "--atol 0.002 passes them"),
    (None, "none passes a NaN or null in only one file"),
]


@pytest.mark.parametrize(("steps", "hint"), HINTS)
def test_the_tolerance_that_is_named_passes(
    kact: Kact, tmp_path: Path, steps: int | None, hint: str
) -> None:
    a, b = tmp_path / "a.npy", tmp_path / "b.npy"
    x = np.ones(5, np.float32)
    np.save(a, x)
    x[2:].view(np.int32)[:] += steps or 4
    x[1] = np.nan if steps is None else x[1]
    np.save(b, x)
    text = kact("compare", a, b, code=1).stdout.decode()
    assert f"values differ (no tolerance given; {hint}" in " ".join(text.split())
    tolerance = hint.split()[:2] if steps else ("--max-ulp", 10**18)
    kact("compare", a, b, *tolerance, code=0 if steps else 1)


def test_mismatched_nan_is_beyond_any_tolerance(kact: Kact, tmp_path: Path) -> None:
    x = np.zeros((4, 5))
    np.save(tmp_path / "a.npy", x)
    x[2, 3] = np.nan
    np.save(tmp_path / "b.npy", x)
    found = told(
        kact, "--atol", "inf", "--max-ulp", 10**18, tmp_path / "a.npy", tmp_path / "b.npy", code=1
    )
    assert (found["nan"], found["first_nan"], found["beyond"]) == (1, [2, 3], 1)
    kact("compare", tmp_path / "b.npy", tmp_path / "b.npy")


def test_dtypes_meet_in_the_narrower_float(kact: Kact, tmp_path: Path) -> None:
    exact = np.random.default_rng(0).normal(0, 1, 1000)
    for dtype in ("f8", "f4", "f2"):
        np.save(tmp_path / f"{dtype}.npy", exact.astype(dtype))
    assert (
        b"compared as float32" in kact("compare", tmp_path / "f8.npy", tmp_path / "f4.npy").stdout
    )
    assert (
        b"compared as float16" in kact("compare", tmp_path / "f2.npy", tmp_path / "f8.npy").stdout
    )
    np.save(tmp_path / "i.npy", np.arange(5))
    np.save(tmp_path / "u.npy", np.arange(5, dtype="u1"))
    assert b"compared as integers" in kact("compare", tmp_path / "i.npy", tmp_path / "u.npy").stdout


@pytest.mark.parametrize(
    ("left", "right"), list(itertools.combinations(["parquet", "arrow", "arrows"], 2))
)
def test_tables_cut_into_other_batches(kact: Kact, tmp_path: Path, left: str, right: str) -> None:
    table = measured()
    a = write(table, tmp_path / f"a.{left}", 700)
    shuffled = table.select(["lists", "logit_b", "text", "logit_a", "id"])
    assert told(kact, a, write(shuffled, tmp_path / f"b.{right}", 1100))["passed"] is True

    numbers = table["logit_a"].to_numpy().copy()
    numbers[2345] += 1
    lists = table["lists"].to_pylist()
    lists[1800][1] += 0.5
    changed = table.set_column(2, "logit_a", pa.array(numbers))
    changed = changed.set_column(4, "lists", pa.array(lists, pa.list_(pa.float64())))
    found = told(kact, a, write(changed, tmp_path / f"c.{right}", 999), code=1)
    by_name = found["columns"]
    assert found["skipped"] == ["text"]
    assert {name: e["differ"] for name, e in by_name.items()} == {
        "id": 0, "logit_a": 1, "logit_b": 0, "lists": 1
    }  # fmt: skip
    assert by_name["logit_a"]["ulp"]["at"] == [2345]
    assert by_name["lists"]["absolute"] == {"error": 0.5, "at": [1800, 1], "a": 3600, "b": 3600.5}
    kact("compare", a, tmp_path / f"c.{right}", "--exclude", "lists,logit_a")


def test_a_null_is_no_value(kact: Kact, tmp_path: Path) -> None:
    a = write(pa.table({"x": [1.0, None, None]}), tmp_path / "a.parquet")
    b = write(pa.table({"x": [1.0, None, 0.0]}), tmp_path / "b.parquet")
    found = told(kact, "--atol", 9, a, b, code=1)["columns"]["x"]
    assert (found["null"], found["first_null"], found["compared"]) == (1, [2], 1)
    assert "null in only one file, first at: x [2]" in kact("compare", a, b, code=1).stdout.decode()


def test_text_is_not_compared(kact: Kact, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,label\n1.5,yes\n")
    (tmp_path / "b.csv").write_text("x,label\n1.5,no\n")
    said = kact("compare", tmp_path / "a.csv", tmp_path / "b.csv").stdout.decode()
    assert said.endswith("label\nthe numbers are equal\n")


def test_csv_with_parquet(kact: Kact, tmp_path: Path) -> None:
    table = measured().drop(["lists"])
    a = write(table, tmp_path / "a.parquet")
    b = write(table, tmp_path / "a.csv")
    assert told(kact, a, b)["columns"]["logit_a"]["pairs"] == 3000
    piped = told(kact, "-", a, stdin=b.read_bytes())
    assert piped["columns"].keys() == {"id", "logit_a", "logit_b"}


@pytest.mark.parametrize("order", "CF")
def test_npy_with_a_table_by_position(kact: Kact, tmp_path: Path, order: str) -> None:
    rows = np.random.default_rng(0).normal(0, 1, (200_000, 2))
    np.save(tmp_path / "a.npy", np.asarray(rows, order=order))
    rows[150_000, 1] = 7
    table = pa.table({"t": ["x"] * len(rows), "p": rows[:, 0], "q": rows[:, 1]})
    b = write(table, tmp_path / "b.parquet", 50_000)
    found = told(kact, tmp_path / "a.npy", b, code=1)
    assert found["columns"]["p"]["differ"] == 0
    assert found["columns"]["q"]["ulp"]["at"] == [150_000]
    piped = told(kact, "-", b, stdin=(tmp_path / "a.npy").read_bytes(), code=1)
    assert piped["columns"] == found["columns"]


def test_columns_of_one_name_are_each_by_itself(tmp_path: Path) -> None:
    columns = [pa.array([1.5, 2.5]), pa.array(["x", "y"]), pa.array([-1.5, 0.5] * 1)]
    table = pa.Table.from_arrays(columns, names=["x", "x", "x"])
    for suffix in ("parquet", "arrow"):
        path = write(table, tmp_path / f"t.{suffix}")
        with open_numbers(str(path)) as numbers:
            found = describe(numbers)
            kinds = [column["type"] for column in found["columns"]]
            assert kinds == ["float64", "string", "float64"]
            summaries = summarize(numbers, Options())
        assert {i: s.least for i, s in summaries.items()} == {0: 1.5, 2: -1.5}
        if suffix == "parquet":
            sizes = [column["bytes"] for column in found["columns"]]
            assert len(set(sizes)) > 1


def test_quiet_is_the_exit_code_alone(kact: Kact, refused: Kact, tmp_path: Path) -> None:
    for name, value in (("a", 0.0), ("b", 0.0), ("c", 1.0)):
        np.save(tmp_path / f"{name}.npy", np.full(3, value))
    a, b, c = (tmp_path / f"{name}.npy" for name in "abc")
    assert kact("compare", "-q", a, b).stdout == b""
    done = kact("compare", "-q", a, c, code=1)
    assert done.stdout == done.stderr == b""
    refused("compare", "-q", "--json", a, b, code=2)


def test_the_worst_are_beyond_the_tolerance(kact: Kact, tmp_path: Path) -> None:
    a, b = tmp_path / "a.npy", tmp_path / "b.npy"
    np.save(a, np.array([1e-9, 0.5, 0.3, 2e-20]))
    np.save(b, np.array([2e-9, 0.5, 0.31, 1e-20]))
    for options, at in ((("--atol", 1e-6), [2]), (("--max-ulp", 1), [0]), ((), [0])):
        found = told(kact, a, b, *options, "--top", 1, code=1)
        assert [w["at"] for w in found["worst"]] == [at]
    assert told(kact, a, b, "--atol", 1, "--top", 1)["worst"] == []


def test_nan_in_both_are_counted(kact: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([np.nan, 1.0, np.nan]))
    said = kact("compare", tmp_path / "a.npy", tmp_path / "a.npy").stdout.decode()
    assert "NaN or null in both files  2\n" in said

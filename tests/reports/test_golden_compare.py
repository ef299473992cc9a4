"""`kact compare --input`: percentiles, the worst, and errors by range, against NumPy's own."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.reports.by_input import ByInput, collapsed
from kact_cli.reports.distribution import Distribution
from kact_cli.reports.errors import Errors, Given, Tolerance, errors
from kact_cli.reports.ulp import distance
from kact_cli.types import Array
from tests.tools.run import Kact
from tests.tools.tables import write

DTYPES = ["f2", "f4", "f8", "i1", "u1", "i2", "i4"]


def told(kact: Kact, *args: Any, code: int = 0) -> Any:
    return json.loads(kact("compare", "--json", *args, code=code).stdout)


def off_by(x: Array, ulp: Array) -> Array:
    """Positive floats moved up by so many ULP."""
    return (x.view(f"i{x.itemsize}") + ulp.astype(f"i{x.itemsize}")).view(x.dtype)


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 70_000), min_size=1, max_size=60))
def test_percentiles(values: list[int]) -> None:
    ulp = np.array(values, np.uint64)
    cut = len(ulp) // 3
    found = Distribution.of(ulp[:cut], 0).merge(Distribution.of(ulp[cut:], 2))
    every = sorted([*values, 0, 0])
    assert found.total == len(every)
    for percent in (50, 99, 99.9, 100):
        exact = every[max(0, -(-len(every) * round(10 * percent) // 1000) - 1)]
        got = found.percentile(percent)
        assert got is not None
        assert exact <= got <= exact + exact // 1024
        assert exact >= 2**16 or got == exact
    bins = found.powers()
    assert [first for first, _, _ in bins[1:]] == [last + 1 for _, last, _ in bins[:-1]]
    assert sum(count for _, _, count in bins) == len(every)
    for first, last, count in bins:
        assert count == sum(first <= v <= last for v in every)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ordered", [False, True])
def test_errors_by_range_of_the_input(dtype: str, ordered: bool) -> None:
    rng = np.random.default_rng(0)
    if dtype[0] == "f":
        x = (rng.normal(0, 1, 5000) * 2.0 ** rng.integers(-14, 12, 5000)).astype(dtype)
        x[:6] = [0, -0.0, np.inf, -np.inf, np.nan, 1]
    else:
        info = np.iinfo(dtype)
        x = rng.integers(info.min, info.max + 1, 5000).astype(dtype)
    x = np.sort(x) if ordered else x
    b = rng.uniform(1, 2, 5000).astype("f4")
    ulp = rng.integers(0, 9, 5000) * (rng.random(5000) < 0.3)
    a = off_by(b, ulp)
    a[7] = np.nan
    whole = errors(Given(a, b, x=x), Tolerance()).by_input
    parts = Errors()
    for start in range(0, 5000, 700):
        part = slice(start, start + 700)
        parts = parts.merge(errors(Given(a[part], b[part], x=x[part]), Tolerance()))
    assert whole is not None
    assert parts.by_input is not None
    found = list(whole.ranges())
    assert repr(found) == repr(list(parts.by_input.ranges()))
    assert sum(r.pairs for r in found) == 4999
    wide, compared = x.astype("f8"), ~np.isnan(a)
    for r in found:
        here = compared & (np.isnan(wide) if np.isnan(r.first) else False)
        if not np.isnan(r.first):
            here = compared & (wide >= r.first) & (wide <= r.last)
            power = {np.frexp(abs(v))[1] for v in wide[here] if v}
            assert len(power) <= 1
        assert r.pairs == np.count_nonzero(here)
        if dtype[0] != "f":
            assert (r.first, r.last) == (int(r.first), int(r.last))
        assert r.max_ulp == ulp[here].max()
        assert r.mean_ulp == pytest.approx(ulp[here].mean())
    short = collapsed(found, 1000)
    assert sum(r.pairs for r in short) == 4999
    shorter = collapsed(found, 5)
    assert len(shorter) <= 5
    assert sum(r.pairs for r in shorter) == 4999
    assert max(r.max_ulp for r in shorter) == ulp[~np.isnan(a)].max()
    neighbours = itertools.pairwise(short)
    assert all(p.max_ulp != q.max_ulp for p, q in neighbours if not np.isnan(q.first))


@pytest.mark.parametrize("type_", [pa.int8(), pa.uint16(), pa.int32(), pa.float32()], ids=str)
def test_an_input_that_is_null_is_no_number(type_: pa.DataType, kact: Kact, tmp_path: Path) -> None:
    """In a row group by itself or not: the others are as if it were not there."""
    x = pa.array([0, 3, None, 0, 5, 17, None, 0], type_)
    a = np.array([0, 1, 2, 3, 4, 5, 6, 7], "f4")
    paths = [tmp_path / f"{name}.parquet" for name in "abx"]
    for path, values in zip(paths, (a, off_by(a, (a == 2) * 4), x), strict=True):
        write(pa.table({"x": values}), path, 3)
    (found,) = told(kact, *paths[:2], "--input", paths[2], code=1)["columns"].values()
    ranges = {r["first"]: r for r in found["ranges"]}
    assert [r["pairs"] for r in found["ranges"]] == [3, 1, 1, 1, 2]
    assert (ranges[0]["max_ulp"], ranges["nan"]["max_ulp"]) == (0, 4)
    if type_ != pa.float32():
        ends = [[r["first"], r["last"]] for r in found["ranges"]]
        assert ends == [[0, 0], [3, 3], [5, 5], [17, 17], ["nan", "nan"]]
    assert found["ulp"]["x"] == "nan"


def test_bins_of_one_kind_only_and_none() -> None:
    nothing = np.zeros(0, "f4")
    empty = ByInput.of(nothing, None, np.zeros(0, int), np.zeros(0, np.uint32))
    assert list(empty.ranges()) == []
    one = ByInput.of(np.full(9, 1.5, "f4"), None, np.array([3]), np.array([7], np.uint32))
    (r,) = empty.merge(one).ranges()
    assert (r.pairs, r.max_ulp) == (9, 7)


@pytest.mark.parametrize("size", [50, 300_000])
def test_the_worst_and_where_they_are(kact: Kact, tmp_path: Path, size: int) -> None:
    rng = np.random.default_rng(1)
    x, b = rng.normal(0, 1, size).astype("f4"), rng.uniform(1, 2, size).astype("f4")
    ulp = rng.integers(0, 3, size)
    places = rng.choice(size, 12, replace=False)
    ulp[places] = [90, 80, 70, 60, 50, 50, 50, 40, 30, 20, 10, 9]
    a = off_by(b, ulp)
    for name, array in (("x", x), ("a", a), ("b", b)):
        np.save(tmp_path / f"{name}.npy", array)
    files = (tmp_path / "a.npy", tmp_path / "b.npy", "-i", tmp_path / "x.npy")
    found = told(kact, *files, "--top", 6, code=1)
    expected = sorted(range(size), key=lambda i: (-ulp[i], i))[:6]
    assert [w["at"] for w in found["worst"]] == [[i] for i in expected]
    assert [w["error"] for w in found["worst"]] == ulp[expected].tolist()
    assert [w["x"] for w in found["worst"]] == [float(x[i]) for i in expected]
    assert [w["b"] for w in found["worst"]] == [float(b[i]) for i in expected]
    percentiles = {k: np.percentile(ulp, float(k), method="inverted_cdf") for k in ("50", "99")}
    assert {k: found["percentiles"][k] for k in percentiles} == percentiles
    assert sum(r["pairs"] for r in found["ranges"]) == size
    shown = kact("compare", *files, "--top", 2, code=1).stdout.decode()
    assert "expected (B)" in shown
    assert "input from" in shown
    assert "P50, P99, P99.9, ULP" in shown


GATES = [
    ((), 1),
    (("--p99-ulp", "1"), 0),
    (("--p99-ulp", "0"), 1),
    (("--p99-ulp", "1", "--max-ulp", "7"), 0),
    (("--p99-ulp", "1", "--max-ulp", "6"), 1),
    (("--p99-ulp", "0", "--max-ulp", "7"), 1),
]


@pytest.mark.parametrize(("args", "code"), GATES, ids=str)
def test_gates(kact: Kact, tmp_path: Path, args: tuple[str, ...], code: int) -> None:
    b = np.linspace(1, 2, 1000, dtype="f4")
    ulp = np.zeros(1000, int)
    ulp[:300], ulp[300:309] = 1, 7
    np.save(tmp_path / "a.npy", off_by(b, ulp))
    np.save(tmp_path / "b.npy", b)
    done = kact("compare", *args, tmp_path / "a.npy", tmp_path / "b.npy", code=code)
    last = done.stdout.decode().splitlines()[-1]
    assert last.startswith("equal within" if not code else ("P99", "309", "9"))


def test_nan_is_beyond_every_percentile(kact: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, np.nan]))
    np.save(tmp_path / "b.npy", np.array([1, 2.0]))
    files = (tmp_path / "a.npy", tmp_path / "b.npy")
    assert told(kact, "--p99-ulp", 9, *files, code=1)["beyond"] == 1


def test_tables_archives_and_other_orders(kact: Kact, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x, b = rng.normal(0, 1, (400, 3)), rng.uniform(1, 2, (400, 3))
    a = off_by(b, rng.integers(0, 4, b.shape))
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", np.asfortranarray(b))
    np.save(tmp_path / "x.npy", x)
    expected = told(kact, *(tmp_path / f"{n}.npy" for n in "ab"), "-i", tmp_path / "x.npy", code=1)
    for n, array in (("a", a), ("b", b), ("x", x)):
        columns = {name: array[:, i] for i, name in enumerate("pqr")}
        extra = {"more": array[:, 0]} if n == "x" else {}
        write(pa.table({**extra, **columns}), tmp_path / f"{n}.parquet", 150)
        np.savez(tmp_path / f"{n}.npz", **columns)
    for suffix in ("parquet", "npz"):
        files = [tmp_path / f"{n}.{suffix}" for n in "abx"]
        found = told(kact, *files[:2], "-i", files[2], "--top", 1, code=1)["columns"]
        assert found.keys() == {"p", "q", "r"}
        for i, name in enumerate("pqr"):
            assert found[name]["worst"][0]["x"] in x[:, i]
        pairs = sum(r["pairs"] for e in found.values() for r in e["ranges"])
        assert pairs == sum(r["pairs"] for r in expected["ranges"]) == 1200
    by_position = told(
        kact, tmp_path / "a.npy", tmp_path / "b.parquet", "-i", tmp_path / "x.npy", code=1
    )
    assert by_position["columns"].keys() == {"p", "q", "r"}


def test_a_picture(kact: Kact, refused: Kact, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the plot extra is not installed")
    b = np.linspace(1, 2, 1000, dtype="f4")
    np.save(tmp_path / "b.npy", b)
    np.save(tmp_path / "a.npy", off_by(b, np.arange(1000) % 5))
    files = (tmp_path / "a.npy", tmp_path / "b.npy", "--max-ulp", 4)
    picture = tmp_path / "error.svg"
    kact("compare", *files, "-i", tmp_path / "b.npy", "-o", picture)
    drawn = picture.read_text()
    assert drawn.startswith("<?xml")
    assert "error, ULP" in drawn
    refused("compare", *files, "-i", tmp_path / "b.npy", "-o", picture, code=2)
    assert b"give --input" in refused("compare", *files, "-o", picture, code=2).stderr
    said = refused("compare", *files, "-i", tmp_path / "b.npy", "-o", "x.pdf", code=2).stderr
    assert b"neither a .png nor an .svg" in said


def test_a_tensor_from_a_pipe_needs_no_temporary_file(kact: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(200_000.0))
    data = (tmp_path / "a.npy").read_bytes()
    args = ("compare", "-", tmp_path / "a.npy", "-i", tmp_path / "a.npy")
    kact(*args, stdin=data, TMPDIR=str(tmp_path / "nowhere"))
    kact("inspect", "--stats", "-", stdin=data, TMPDIR=str(tmp_path / "nowhere"))


def test_inputs_of_another_shape(refused: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.save(tmp_path / "x.npy", np.zeros(4))
    said = refused("compare", *[tmp_path / "a.npy"] * 2, "-i", tmp_path / "x.npy", code=2).stderr
    assert b"has the shape (3,)" in said
    refused("compare", tmp_path / "a.npy", "-", "-i", "-", code=2)


def test_distances_are_as_wide_as_what_is_compared() -> None:
    for dtype in ("f2", "f4", "f8"):
        far = distance(np.array([-np.inf], dtype), np.array([np.inf], dtype))
        assert far.dtype == np.dtype(f"u{dtype[1]}")
    ints = distance(np.array([-128], "i1"), np.array([255], "u1"))
    assert ints.tolist() == [383]

"""What cannot be compared: exit code 2, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kact_cli.errors import DataError
from kact_cli.options import Options
from kact_cli.reports.compare import compare
from kact_cli.reports.errors import Tolerance
from kact_cli.reports.numbers import OpenTable, open_numbers
from tests.tools.run import Kact
from tests.tools.tables import write


def test_what_cannot_be_compared(kact: Kact, refused: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    np.save(tmp_path / "b.npy", np.zeros((3, 2)))
    refused("compare", tmp_path / "a.npy", tmp_path / "b.npy")
    refused("compare", "-", "-", code=2)
    refused("compare", "--max-ulp", "-1", tmp_path / "a.npy", tmp_path / "a.npy", code=2)

    def table(name: str, **columns: Any) -> Path:
        return write(pa.table(columns), tmp_path / f"{name}.parquet")

    x = table("x", x=[1.0, 2.0])
    for other in (
        table("y", y=[1.0, 2.0]),
        table("longer", x=[1.0, 2.0, 3.0]),
        table("both", x=[1.0, 2.0], y=[1.0, 2.0]),
        table("list", x=[[1.0], [2.0]]),
    ):
        refused("compare", x, other)
        refused("compare", other, x)
    refused("compare", table("p", x=[[1.0], [2.0]]), table("q", x=[[1.0], [2.0, 3.0]]))
    kact("compare", "-c", "x", x, tmp_path / "both.parquet")


TROUBLE = [
    (("compare", "a.npy", "no.npy"), "no.npy: no such file"),
    (("compare", "a.npy", "broken.npy"), "broken.npy is truncated"),
    (("compare", "text.csv", "text.csv"), "no column is numeric"),
    (("compare", "a.npy", "a.npy", "-i", "b.npy"), "has the shape"),
    (("compare", "a.npy"), "Missing argument"),
]
"""What keeps files from being compared: 1 would say that they differ."""


@pytest.mark.parametrize(("args", "words"), TROUBLE, ids=str)
def test_trouble_is_2_as_of_diff(
    refused: Kact, tmp_path: Path, args: tuple[str, ...], words: str
) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    np.save(tmp_path / "b.npy", np.zeros((3, 2)))
    (tmp_path / "broken.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    (tmp_path / "text.csv").write_text("a\nx\n")
    assert words in refused(*args, code=2, cwd=tmp_path).stderr.decode()


def test_standard_output_that_is_full_is_trouble(kact: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    with open("/dev/full", "wb") as full:
        kact("compare", tmp_path / "a.npy", tmp_path / "a.npy", stdout=full, code=2)


NOTHING_TO_COMPARE = [
    ({"a": ["x", "y"]}, {"a": ["x"]}, "no numbers to compare"),
    ({"a": ["x"]}, {"a": ["x"]}, "no numbers to compare"),
    ({"a": [1.5, 2.5]}, {"a": [1.5]}, "has 2 rows and {b} has 1"),
    ({"a": [1.5], "b": ["x"]}, {"a": ["x"], "b": ["x"]}, "no column of numbers 'a'"),
]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize(("a", "b", "words"), NOTHING_TO_COMPARE)
def test_what_cannot_be_compared_fails(
    tmp_path: Path, a: dict[str, list[Any]], b: dict[str, list[Any]], words: str, suffix: str
) -> None:
    x = write(pa.table(a), tmp_path / f"x.{suffix}")
    y = write(pa.table(b), tmp_path / f"y.{suffix}")
    with (
        open_numbers(str(x)) as left,
        open_numbers(str(y)) as right,
        pytest.raises(DataError) as refusal,
    ):
        compare(left, right, Tolerance(), Options())
    assert words.format(b=y) in str(refusal.value)


def test_the_columns_are_asked_for_a_few_times_however_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(pa.table({f"x{i}": [1.5] for i in range(50)}), tmp_path / "x.arrow")
    asked: list[int] = []
    fields = OpenTable.fields.fget
    assert fields is not None
    monkeypatch.setattr(OpenTable, "fields", property(lambda t: asked.append(1) or fields(t)))
    with open_numbers(str(path)) as a, open_numbers(str(path)) as b:
        assert len(compare(a, b, Tolerance(), Options()).errors) == 50
    assert len(asked) < 15

"""`kact inspect`: what it says of a file is what the file is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.tools.run import Kact
from tests.tools.tables import measured, write


def told(kact: Kact, *args: Any, **more: Any) -> Any:
    return json.loads(kact("inspect", "--json", *args, **more).stdout)


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", ">i2", "|b1"])
@pytest.mark.parametrize("order", "CF")
def test_npy(kact: Kact, tmp_path: Path, dtype: str, order: str) -> None:
    array = np.asarray(np.random.default_rng(0).normal(0, 9, (30, 4, 5)), dtype, order=order)
    np.save(tmp_path / "x.npy", array)
    found = told(kact, "--stats", tmp_path / "x.npy")
    assert found["shape"] == [30, 4, 5]
    assert found["dtype"] == str(np.dtype(dtype).newbyteorder("="))
    assert found["byte_order"] == {"<": "little", ">": "big", "|": "none"}[dtype[0]]
    assert found["order"] == ("C" if order == "C" else "Fortran")
    stats = found["stats"]
    assert stats["count"] == array.size
    assert stats["mean"] == pytest.approx(array.astype(float).mean())
    assert stats["std"] == pytest.approx(array.astype(float).std())
    assert (stats["least"], stats["most"]) == (float(array.min()), float(array.max()))
    piped = told(kact, "--stats", stdin=(tmp_path / "x.npy").read_bytes())
    assert piped["stats"] == stats


def test_npy_of_many_blocks_with_everything_in_it(kact: Kact, tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(0, 9, 700_000)
    array[[3, 300_000]], array[5], array[6] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "x.npy", array)
    stats = told(kact, "--stats", tmp_path / "x.npy")["stats"]
    assert (stats["nan"], stats["positive_inf"], stats["negative_inf"]) == (2, 1, 1)
    assert stats["mean"] == pytest.approx(array[np.isfinite(array)].mean())
    assert sum(stats["histogram"]["counts"]) == 699_996


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows", "csv"])
@pytest.mark.parametrize("piped", [False, True])
def test_tables(kact: Kact, tmp_path: Path, suffix: str, piped: bool) -> None:
    table = measured()
    path = write(table, tmp_path / f"t.{suffix}", 1000)
    args = {"stdin": path.read_bytes()} if piped else {}
    found = told(kact, "--stats", *([] if piped else [path]), **args)
    assert found["format"] == suffix
    columns = {c["name"]: c for c in found["columns"]}
    for name in ("id", "logit_a", "logit_b"):
        column, stats = table[name].combine_chunks(), columns[name]["stats"]
        kept = column.drop_null().to_numpy()
        kept = kept[~np.isnan(kept)]
        assert stats["count"] == 3000
        assert stats["nulls"] == column.null_count
        assert stats["nan"] == (pc.sum(pc.is_nan(column)).as_py() if name != "id" else 0)
        assert stats["mean"] == pytest.approx(kept.astype(float).mean(), rel=1e-6)
        assert stats["std"] == pytest.approx(kept.astype(float).std(), rel=1e-6)
    assert "stats" not in columns["text"]
    if suffix != "csv":
        stats = columns["lists"]["stats"]
        assert (stats["count"], stats["nulls"]) == (3000, 1000)


def test_parquet_layout(kact: Kact, tmp_path: Path) -> None:
    found = told(kact, write(measured(), tmp_path / "t.parquet", 1024))
    assert (found["rows"], found["row_groups"], found["rows_per_group"]) == (3000, 3, [952, 1024])
    assert found["created_by"].startswith("parquet-cpp")
    by_name = {c["name"]: c for c in found["columns"]}
    assert by_name["logit_b"]["nulls"] == 30
    assert by_name["lists"]["codec"] == by_name["text"]["codec"] == ["snappy"]
    assert by_name["lists"]["bytes"] > 0


def test_columns_of_one_name_are_each_what_they_are(kact: Kact, tmp_path: Path) -> None:
    columns = [pa.array(np.arange(100.0)), pa.array(np.zeros(100))]
    source = write(pa.Table.from_arrays(columns, ["x", "x"]), tmp_path / "t.parquet")
    first, second = told(kact, source, "--stats")["columns"]
    assert first["bytes"] > 2 * second["bytes"]
    assert (first["stats"]["most"], second["stats"]["most"]) == (99, 0)


def test_a_column_with_a_dot_in_its_name(kact: Kact, tmp_path: Path) -> None:
    table = pa.table({"a.b": [1.0, None], "a": [[1.0], [2.0]]})
    found = told(kact, write(table, tmp_path / "t.parquet"))
    assert [c["nulls"] for c in found["columns"]] == [1, 0]


def test_csv_dialect(kact: Kact, tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfx;n\r\n0.5;1\r\n;2\r\n"
    (tmp_path / "t.csv").write_bytes(text)
    found = told(kact, tmp_path / "t.csv")
    assert (found["delimiter"], found["header"], found["line_ending"]) == (";", True, "CRLF")
    assert found["byte_order_mark"] is True
    assert [c["type"] for c in found["columns"]] == ["float64", "integer"]
    planned = json.loads(kact("explain", "--json", "relu", tmp_path / "t.csv").stdout)
    assert [c["type"] for c in planned["columns"]] == ["float64", "integer"]
    assert told(kact, "--no-header", "--delimiter", ",", stdin=b"1,2\n")["header"] is False


def test_chosen_columns(kact: Kact, tmp_path: Path) -> None:
    path = write(measured(), tmp_path / "t.parquet", 1000)
    found = told(kact, "--stats", "--columns", "logit_*", "--exclude", "logit_b", path)
    assert [c["name"] for c in found["columns"] if "stats" in c] == ["logit_a"]


def test_for_people(kact: Kact, tmp_path: Path) -> None:
    path = write(measured(), tmp_path / "t\x1b[31m.parquet", 1000)
    text = kact("inspect", "--stats", path, PYTHONIOENCODING="utf-8").stdout.decode()
    assert text.replace("\n", "").isprintable()
    assert "3,000 rows in 3 row groups of 1,000" in text
    assert "█" in text
    plain = kact("inspect", "--stats", path, PYTHONIOENCODING="ascii").stdout.decode("ascii")
    assert "@" in plain


@pytest.mark.parametrize("stats", [(), ("--stats",)])
def test_nothing_in_it(kact: Kact, tmp_path: Path, stats: tuple[str, ...]) -> None:
    np.save(tmp_path / "x.npy", np.zeros((0, 5)))
    kact("inspect", *stats, tmp_path / "x.npy")
    kact("inspect", *stats, write(pa.table({"x": pa.array([], "f8")}), tmp_path / "x.parquet"))
    kact("inspect", *stats, write(pa.table({"t": ["a"]}), tmp_path / "t.arrow"))


def test_broken_files_are_one_line(refused: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(1000))
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[:-1])
    refused("inspect", tmp_path / "x.npy")
    refused("inspect", "--stats", stdin=whole[:-1])
    refused("inspect", tmp_path / "absent")
    refused("inspect", "--stats", stdin=b"x\n" + b"1.5\n" * 300_000 + b"word\n")

"""Tables between formats: what goes wrong is one line, and what comes out is what Arrow says."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tools.run import Kact, limit
from tests.tools.tables import write
from tests.tools.tensors import npy


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("chain", ["relu", "softmax(axis=0)"])
def test_a_tensor_from_a_pipe_becomes_a_table(order: str, chain: str, kact: Kact) -> None:
    x = np.random.default_rng(1).normal(size=(5, 3)).astype("f4")
    x = np.asfortranarray(x) if order == "F" else x
    done = kact("chain", chain, "--to", "csv", stdin=npy(x))
    want = np.load(io.BytesIO(kact("chain", chain, stdin=npy(x)).stdout))
    got = np.loadtxt(io.BytesIO(done.stdout), np.float32, delimiter=",", skiprows=1)
    np.testing.assert_allclose(got, want, rtol=4e-7)


def test_permuted_tensors_keep_their_axes(kact: Kact, tmp_path: Path) -> None:
    type_ = pa.fixed_shape_tensor(pa.float32(), [2, 3], permutation=[1, 0])
    rows = pa.array(np.arange(24, dtype="f4").reshape(4, 6).tolist(), pa.list_(pa.float32(), 6))
    column = pa.ExtensionArray.from_storage(type_, rows)
    kact("apply", "relu", write(pa.table({"t": column}), tmp_path / "t.arrow"), tmp_path / "t.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy"), column.to_numpy_ndarray())


@pytest.mark.parametrize("axes", [62, 63, 64])
def test_tensors_of_very_many_axes(axes: int, kact: Kact, refused: Kact, tmp_path: Path) -> None:
    type_ = pa.fixed_shape_tensor(pa.float32(), [1] * (axes - 1) + [3])
    rows = pa.array([[1.0, 2.0, 3.0]] * 2, pa.list_(pa.float32(), 3))
    table = pa.table({"t": pa.ExtensionArray.from_storage(type_, rows)})
    source, target = write(table, tmp_path / "t.arrow"), tmp_path / "t.npy"
    if axes == 64:
        refused("apply", "relu", source, target)
        assert not target.exists()
    else:
        kact("apply", "relu", source, target)
        assert np.load(target).ravel().tolist() == [1, 2, 3, 1, 2, 3]


def test_a_type_that_parquet_has_not_is_one_line(refused: Kact, tmp_path: Path) -> None:
    table = pa.table({"x": [1.5], "i": pa.array([pa.MonthDayNano([1, 2, 3])])})
    done = refused("apply", "relu", write(table, tmp_path / "i.arrow"), tmp_path / "i.parquet")
    assert b"i.parquet: " in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["i.arrow"]


def test_a_writer_that_is_thrown_away_says_nothing(refused: Kact, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    x = np.random.default_rng(1).normal(size=2000).astype("f4")
    pq.write_table(pa.table({"x": x}), path, row_group_size=1000, use_dictionary=False)
    broken = bytearray(path.read_bytes())
    page = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    broken[page : page + 60] = b"\xff" * 60
    path.write_bytes(broken)
    refused("apply", "relu", "--dtype", "float64", path, tmp_path / "y.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]


def test_a_columns_name_cannot_move_the_cursor(kact: Kact, refused: Kact, tmp_path: Path) -> None:
    source = write(pa.table({"a\x1b[31m\nb": [1]}), tmp_path / "e.arrow")
    refused("apply", "relu", "--columns", "zzz", source, tmp_path / "f.arrow", code=2)
    done = kact("apply", "relu", source, tmp_path / "f.arrow")
    assert done.stderr.decode().rstrip("\n").isprintable()


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
def test_a_full_disk_names_the_output(suffix: str, refused: Kact, tmp_path: Path) -> None:
    import resource

    source, target = tmp_path / "x.parquet", tmp_path / f"y.{suffix}"
    pq.write_table(pa.table({"x": np.random.default_rng(1).normal(size=50_000)}), source)
    small = limit(resource.RLIMIT_FSIZE, 64 * 1024)
    done = refused("apply", "relu", source, target, prepare=small)
    assert target.name.encode() in done.stderr
    assert not target.exists()


def test_an_axis_out_of_range_shows_the_tables_shape(refused: Kact) -> None:
    done = refused("apply", "softmax", "--axis", "2", stdin=b"a,b,c\n1.5,2.5,3.5\n", code=2)
    assert b"(rows, columns)" in done.stderr

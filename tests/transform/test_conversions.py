"""Every pair of formats, and tables as tensors."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.errors import UsageError
from kact_cli.formats.detect import by_suffix
from tests.tools.run import Kact, command, environment
from tests.tools.tables import SUFFIXES, convert, read, read_ipc, text_of, write

TABLE = {"a": [1.5, -2.0, None, 0.25], "b": [-0.5, 3.0, 2.0, None], "c": [1.0, 2.0, 3.0, 4.0]}
WHOLE = {"c0": [1.5, -2.0, 7.0], "c1": [-0.5, 3.0, 2.0]}
F32 = pa.float32()


def relu(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {n: [v if v is None else max(v, 0) for v in c] for n, c in columns.items()}


@pytest.mark.parametrize("to", SUFFIXES)
@pytest.mark.parametrize("of", SUFFIXES)
def test_every_format_becomes_every_other(of: str, to: str, tmp_path: Path) -> None:
    columns = WHOLE if of == ".npy" else TABLE
    source = write(columns, tmp_path / f"in{of}")
    found = read(convert("relu", source, tmp_path / f"out{to}"))
    expected = relu(columns)
    if to == ".npy":
        expected = dict(zip(["c0", "c1", "c2"], expected.values(), strict=False))
    assert found == expected
    assert {p.name for p in tmp_path.iterdir()} == {f"in{of}", f"out{to}"}


@pytest.mark.parametrize("of", SUFFIXES)
def test_softmax_down_the_rows_is_the_same_in_every_format(of: str, tmp_path: Path) -> None:
    columns = WHOLE if of == ".npy" else TABLE
    source = write(columns, tmp_path / f"in{of}")
    found = read(convert("softmax(axis=0)", source, tmp_path / "out.parquet"))
    for name, values in columns.items():
        e = np.exp([v for v in values if v is not None])
        kept = [v for v in found[name] if v is not None]
        np.testing.assert_allclose(kept, e / e.sum(), rtol=1e-6)
        assert [v is None for v in found[name]] == [v is None for v in values]


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s not in (".tsv", ".csv.zst")])
def test_pipes_into_and_out_of_every_format(suffix: str, kact: Kact, tmp_path: Path) -> None:
    columns = WHOLE if suffix == ".npy" else TABLE
    source = write(columns, tmp_path / f"in{suffix}")
    format_ = by_suffix(suffix)
    assert format_ is not None
    for chain in ("relu", "softmax(axis=0)"):
        with subprocess.Popen(["cat", source], stdout=subprocess.PIPE) as cat:
            piped = kact("chain", chain, "-", "-", "--to", format_.name, stdin=cat.stdout).stdout
        plain = suffix.removesuffix(".gz")  # a pipe's name asks for no compression
        whole = convert(chain, source, tmp_path / f"{chain}{plain}").read_bytes()
        assert piped == whole


def test_a_row_of_pipes_keeps_dtypes_and_nulls(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": pa.array([1, None, 3], pa.int16()),
            "h": pa.array(np.array([1, -2, 3], np.float16), mask=np.array([0, 1, 0], bool)),
            "f": pa.array([None, 2.5, -1.0], F32),
            "d": pa.array([0.1, None, -1.0]),
            "v": pa.array([[1.0, None], None, []], pa.list_(F32)),
            "t": pa.array(["x", None, ""]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    run = " ".join(str(a) for a in command("apply"))
    env = environment()
    for between in ("parquet", "arrow", "arrows"):
        line = (
            f"{run} relu in.parquet - --to {between} | {run} relu - - | {run} relu - - --to parquet"
            f" > {between}.parquet"
        )
        shell = ["bash", "-o", "pipefail", "-c", line]
        done = subprocess.run(shell, cwd=tmp_path, env=env, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        found = pq.read_table(tmp_path / f"{between}.parquet")
        expected = read_ipc(convert("relu", tmp_path / "in.parquet", tmp_path / f"{between}.arrow"))
        assert found.equals(expected)
        assert found.schema.types == table.schema.types
        assert found["f"].to_pylist() == [None, 2.5, 0.0]


def test_columns_of_any_table_as_a_tensor(tmp_path: Path) -> None:
    table = pa.table(
        {
            "id": [1, 2],
            "h": pa.array(np.array([1, -2], np.float16)),
            "d": [0.1, -3.0],
            "v": pa.array([[1.0, 2.0], [-3.0, None]], pa.list_(F32)),
            "t": ["a", "b"],
        }
    )
    path = write(table, tmp_path / "in.arrow")
    found = np.load(convert("relu", path, tmp_path / "a.npy", columns=("h,d",)))
    assert found.dtype == np.float64
    assert found.tolist() == [[1, 0.1], [0, 0]]
    found = np.load(convert("relu", path, tmp_path / "b.npy", columns=("v",)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1, 2], [0, np.nan]])
    found = np.load(convert("relu", path, tmp_path / "c.npy", columns=("id",)))
    assert (found.dtype, found.tolist()) == (np.int64, [[1], [2]])


@pytest.mark.parametrize("permutation", [None, (2, 0, 1)])
def test_tensor_columns_become_a_tensor_of_their_shape(
    permutation: tuple[int, ...] | None, tmp_path: Path
) -> None:
    x = np.arange(48, dtype=np.float32).reshape(2, 24)
    type_ = pa.fixed_shape_tensor(F32, (2, 3, 4), permutation=permutation)
    storage = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), 24)
    column = pa.ExtensionArray.from_storage(type_, storage)
    path = write(pa.table({"t": column}), tmp_path / "in.arrow")
    found = np.load(convert("relu", path, tmp_path / "out.npy"))
    # pyarrow's own view is of the inverse permutation, and no tensor at all where that differs
    order = permutation or (0, 1, 2)
    exact = x.reshape(2, 2, 3, 4).transpose(0, *(1 + axis for axis in order))
    assert found.dtype == np.float32
    assert np.array_equal(found, exact)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "|b1", ">i2"])
def test_tensors_of_every_order_become_tables(
    order: str, dtype: str, kact: Kact, tmp_path: Path
) -> None:
    x = np.array([[1, 0, 3], [-4, 5, 0]]).astype(dtype)
    np.save(tmp_path / "in.npy", np.asarray(x, order=order))
    expected = np.maximum(x.astype(float), 0).tolist()
    for of in (tmp_path / "in.npy", None):
        to = tmp_path / f"{of is None}.arrow"
        if of is None:
            given = (tmp_path / "in.npy").read_bytes()
            done = kact("apply", "relu", "-", to, stdin=given)
            assert done.stderr == b""
        else:
            convert("relu", of, to)
        assert [list(row.values()) for row in read_ipc(to).to_pylist()] == expected
    done = kact("apply", "relu", "-", "--to", "csv", stdin=given + b"??")
    assert done.stderr.startswith(b"kact: warning: standard input: ")
    assert done.stderr.endswith(b"bytes after the tensor were ignored\n")


RAGGED = pa.table({"v": pa.array([[1.0], [2.0, 3.0]], pa.list_(F32)), "x": pa.array([1.0, 2.0])})
NESTED = pa.table({"v": pa.array([[[1.0]]], pa.list_(pa.list_(F32))), "x": pa.array([1.0])})
INTEGERS = pa.table({"n": pa.array([1, None])})


@pytest.mark.parametrize(
    ("table", "to", "options", "message"),
    [
        (RAGGED, "npy", ["-c", "v"], "column 'v': lists of different lengths are no .npy tensor"),
        (NESTED, "npy", ["-c", "v"], "column 'v': lists of lists of any length are no .npy"),
        (RAGGED, "npy", [], "a .npy is one tensor; choose lists or numbers of: v, x"),
        (RAGGED, "csv", [], "column 'v' (list<item: float>) does not fit into CSV"),
        (RAGGED, "csv", ["-c", "x"], "column 'v' (list<item: float>) does not fit into CSV"),
        (INTEGERS, "npy", ["-q"], "column 'n' has nulls, which a .npy of integers cannot hold"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    table: pa.Table, to: str, options: list[str], message: str, tmp_path: Path
) -> None:
    source = write(table, tmp_path / "in.arrow")
    target = tmp_path / f"out.{to}"
    target.write_bytes(b"before")
    run = command("apply", "relu", source, target, "--overwrite", *options)
    done = subprocess.run(run, capture_output=True, env=environment())
    assert done.returncode in (1, 2)
    (line,) = done.stderr.decode().splitlines()
    assert message in line
    assert target.read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("shape", [(), (2, 3, 4), (2, 200_000)])
def test_a_tensor_that_is_no_table_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.zeros(shape, np.float32))
    for to in ("parquet", "csv", "arrow"):
        with pytest.raises(UsageError, match=r"is no table|at most 100,000"):
            convert("relu", tmp_path / "in.npy", tmp_path / f"out.{to}")
    assert len(list(tmp_path.iterdir())) == 1


def test_columns_of_a_tensor_of_one_axis_and_of_none(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.array([1.0, -2.0]))
    assert text_of(convert("relu", tmp_path / "in.npy", tmp_path / "o.csv")) == "c0\n1.0\n0.0\n"
    np.save(tmp_path / "wide.npy", np.zeros((3, 0), np.float32))
    with pytest.raises(UsageError, match="no column left to compute; there are: none"):
        convert("relu", tmp_path / "wide.npy", tmp_path / "o.parquet")
    np.save(tmp_path / "long.npy", np.zeros((0, 2), np.float32))
    done = pq.read_table(convert("relu", tmp_path / "long.npy", tmp_path / "o.parquet"))
    assert (done.num_rows, done.schema.names, done.schema.types) == (0, ["c0", "c1"], [F32] * 2)


def test_a_thousand_columns(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(5, 1000)).astype(np.float32)
    path = write({f"x{n}": x[:, n].tolist() for n in range(1000)}, tmp_path / "in.parquet")
    for of, to in pairwise(("in.parquet", "b.parquet", "c.csv", "d.arrow", "e.npy")):
        convert("relu", tmp_path / of, tmp_path / to)
    assert path.exists()
    assert np.array_equal(np.load(tmp_path / "e.npy").astype(np.float32), np.maximum(x, 0))

"""Tables from file to file: every pair of formats, pipes, all that is kept beside the tensor."""

from __future__ import annotations

import os
import signal
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.errors import DataError, UsageError
from kact_cli.formats.detect import by_suffix
from tests.tools.run import Kact, command, environment
from tests.tools.tables import SUFFIXES, convert, read, read_ipc, text_of, write, write_ipc

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
    path = write_ipc(table, tmp_path / "in.arrow")
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
    path = write_ipc(pa.table({"t": column}), tmp_path / "in.arrow")
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
        options = {"columns": ("*",)}
        if of is None:
            given = (tmp_path / "in.npy").read_bytes()
            done = kact("apply", "relu", "-q", "-c", "*", "-", to, stdin=given)
            assert done.stderr == b""
        else:
            convert("relu", of, to, **options)
        assert [list(row.values()) for row in read_ipc(to).to_pylist()] == expected
    done = kact("apply", "relu", "-c", "*", "-", "--to", "csv", stdin=given + b"??")
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
    source = write_ipc(table, tmp_path / "in.arrow")
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


# --- what is kept ---


def rich_table(rows: int = 1000) -> pa.Table:
    """A table with metadata, dictionaries, types and nulls that have to survive."""
    n = np.arange(rows)
    columns = {
        "id": pa.array(n),
        "x": pa.array(np.sin(n).astype(np.float32), mask=n % 7 == 3),
        "word": pa.array([f"w{i % 13}" for i in n]).dictionary_encode(),
        "y": pa.array(np.cos(n)),
        "v": pa.array([None if i % 5 == 0 else [i / 2] * (i % 4) for i in n], pa.list_(F32)),
        "when": pa.array(n, pa.timestamp("ns", "Europe/Berlin")),
        "price": pa.array(n.astype(np.int32)).cast(pa.decimal128(12, 2)),
        "small": pa.array(n % 200, pa.uint8()),
        "s": pa.array([{"a": int(i), "b": [str(i)]} if i % 3 else None for i in n]),
    }
    fields = [pa.field(name, a.type, metadata={"about": name}) for name, a in columns.items()]
    fields[0] = fields[0].with_nullable(False)
    return pa.table(list(columns.values()), pa.schema(fields, {"origin": "a test", "k": ""}))


CODECS = {"id": "zstd", "x": "gzip", "word": "snappy", "y": "none", "v.list.element": "lz4",
          "when": "zstd", "price": "brotli", "small": "none", "s.a": "zstd",
          "s.b.list.element": "gzip"}  # fmt: skip


def plain(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece, without a dictionary."""
    is_dictionary = pa.types.is_dictionary(column.type)
    return (column.cast(column.type.value_type) if is_dictionary else column).combine_chunks()


def layout(path: Path) -> list[Any]:
    """The rows of each row group, and of each column chunk its name and codec."""
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(g) for g in range(metadata.num_row_groups)]
    chunks = [[g.column(c) for c in range(g.num_columns)] for g in groups]
    return [
        (g.num_rows, [(c.path_in_schema, c.compression) for c in cs])
        for g, cs in zip(groups, chunks, strict=True)
    ]


@pytest.mark.parametrize("way", ["by chunk", "in general"])
@pytest.mark.parametrize("sizes", [[1000], [300, 1, 299, 400], [7] * 143])
def test_parquet_keeps_everything_on_either_way(way: str, sizes: list[int], tmp_path: Path) -> None:
    table = rich_table(sum(sizes))
    source = tmp_path / "in.parquet"
    dictionary = ["word", "id", "s.b.list.element", "x"]
    with pq.ParquetWriter(source, table.schema, compression=CODECS, use_dictionary=dictionary) as w:
        start = 0
        for size in sizes:
            w.write_table(table.slice(start, size))
            start += size
    changed: dict[str, Any] = {} if way == "by chunk" else {"dtype": np.dtype(np.float64)}
    target = convert("relu", source, tmp_path / "out.parquet", **changed)
    done = pq.read_table(target)
    schema = pq.read_schema(source)
    if changed:
        wide = pa.float64()
        value = schema.field("v").type.value_field.with_type(wide)
        schema = schema.set(1, schema.field("x").with_type(wide))
        schema = schema.set(4, schema.field("v").with_type(pa.list_(value)))
    assert done.schema.equals(schema, check_metadata=True)
    assert layout(target) == layout(source)
    others = ["id", "word", "when", "price", "small", "s"]
    for name in others:
        assert plain(done[name]).equals(plain(table[name])), name
    assert done["x"].to_pylist() == [v if v is None else max(v, 0) for v in table["x"].to_pylist()]
    group = pq.read_metadata(target).row_group(0)
    kept = {c.path_in_schema: c.has_dictionary_page for c in map(group.column, range(10))}
    assert kept["id"]
    assert kept["word"]
    assert kept["s.b.list.element"]
    assert not kept["x"]
    assert not kept["small"]
    x = group.column(1).statistics
    rows = done["x"].slice(0, sizes[0]).drop_null().to_pylist()
    assert (x.min, x.max, x.null_count) == (min(rows), max(rows), sizes[0] - len(rows))
    pq.ParquetFile(target, page_checksum_verification=True).read()


def test_types_that_the_first_format_version_had_not(tmp_path: Path) -> None:
    """Polars and DuckDB write nanoseconds and call it version 1."""
    table = pa.table({"t": pa.array([1, 2], pa.timestamp("us")), "x": pa.array([1.0, -2.0], F32)})
    pq.write_table(table, tmp_path / "in.parquet", version="1.0", store_schema=False)
    data = {"dtype": np.dtype(np.float64)}
    done = pq.read_table(convert("relu", tmp_path / "in.parquet", tmp_path / "o.parquet", **data))
    assert done["t"].equals(table["t"])
    nanoseconds = pa.table({"t": pa.array([1, 2], pa.timestamp("ns")), "x": table["x"]})
    path = write_ipc(nanoseconds, tmp_path / "in.arrow")
    done = pq.read_table(convert("relu", path, tmp_path / "ns.parquet"))
    assert done["t"].equals(nanoseconds["t"])


def test_names_in_lists_are_kept_whoever_gave_them(tmp_path: Path) -> None:
    table = pa.table({"v": pa.array([[1.0], [-2.0]], pa.list_(pa.field("my item", F32)))})
    pq.write_table(table, tmp_path / "in.parquet", use_compliant_nested_type=False,
                   compression="zstd")  # fmt: skip
    for options in ({}, {"dtype": np.dtype(np.float64)}):
        target = convert("relu", tmp_path / "in.parquet", tmp_path / f"{len(options)}", **options)
        assert layout(target) == layout(tmp_path / "in.parquet")


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
@pytest.mark.parametrize("of", ["arrow", "arrows"])
def test_arrow_keeps_metadata_batches_and_codec(of: str, codec: str | None, tmp_path: Path) -> None:
    table = rich_table(900)
    table = pa.concat_tables([table.slice(0, 400), table.slice(400, 1), table.slice(401)])
    source = write_ipc(table, tmp_path / f"in.{of}", stream=of == "arrows", compression=codec)
    for to in ("arrow", "arrows"):
        target = convert("relu,softmax(axis=-1)", source, tmp_path / f"out.{to}")
        done = read_ipc(target)
        assert done.schema.equals(table.schema, check_metadata=True)
        assert done["x"].num_chunks == 3
        for name in ("id", "word", "when", "price", "small", "s"):
            assert done[name].equals(table[name])
        # Random numbers take the same room: what tells the codecs apart is the text
        again = write_ipc(done, tmp_path / f"again.{to}", stream=to == "arrows", compression=codec)
        assert abs(target.stat().st_size - again.stat().st_size) < 3000
        with pa.OSFile(str(again)) as a, pa.OSFile(str(target)) as b:
            assert (b"\x28\xb5\x2f\xfd" in b.read()) == (b"\x28\xb5\x2f\xfd" in a.read())
    piped = subprocess.run(
        command("apply", "relu", "-", "-"),
        input=source.read_bytes(), capture_output=True, env=environment(), check=True,
    ).stdout  # fmt: skip
    assert (b"\x28\xb5\x2f\xfd" in piped) == (codec == "zstd")


def test_dictionaries_that_grow_or_change_from_batch_to_batch(tmp_path: Path) -> None:
    words = [["a", "b", None], ["a", "b", "c"], ["c"], ["x", None, "a", "x"], ["b"]]
    type_ = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema([("d", type_), ("x", F32)])
    batches = [
        pa.record_batch([pa.array(w).dictionary_encode().cast(type_),
                         pa.array(range(len(w)), F32)], schema=schema)
        for w in words
    ]  # fmt: skip
    source = tmp_path / "in.arrows"
    with pa.OSFile(str(source), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    flat = [w for batch in words for w in batch]
    for to in ("arrow", "arrows", "parquet"):
        target = convert("relu", source, tmp_path / f"out.{to}")
        done = pq.read_table(target) if to == "parquet" else read_ipc(target)
        assert done["d"].to_pylist() == flat
        assert done.schema.field("d").type == type_
    again = convert("relu", tmp_path / "out.parquet", tmp_path / "again.arrow")
    assert read_ipc(again)["d"].to_pylist() == flat
    text = text_of(convert("relu", source, tmp_path / "out.csv")).splitlines()[1:]
    assert [line.split(",")[0] or None for line in text] == flat


def test_a_dictionary_that_outgrows_its_indices_is_an_error_of_one_line(
    refused: Kact, tmp_path: Path
) -> None:
    type_ = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema([("d", type_), ("x", F32)])
    with pa.OSFile(str(tmp_path / "in.arrows"), "wb") as f, pa.ipc.new_stream(f, schema) as writer:
        for first in (0, 100):
            words = pa.array([str(first + n) for n in range(100)])
            column = pa.DictionaryArray.from_arrays(pa.array(range(100), pa.int8()), words)
            writer.write_batch(pa.record_batch([column, pa.nulls(100, F32)], schema=schema))
    assert convert("relu", tmp_path / "in.arrows", tmp_path / "out.arrows")
    refused("apply", "relu", tmp_path / "in.arrows", tmp_path / "out.arrow")


@pytest.mark.parametrize("chain", ["sigmoid", "softmax", "relu,softmax(axis=0)"])
def test_the_same_bytes_for_any_number_of_jobs(chain: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, (60_000, 4))
    columns = {"id": pa.array(range(60_000)), **{f"x{n}": pa.array(x[:, n]) for n in range(4)}}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet", row_group_size=7_000)
    convert("relu", tmp_path / "in.parquet", tmp_path / "in.csv")
    convert("relu", tmp_path / "in.parquet", tmp_path / "in.arrow")
    runs = [("parquet", "parquet", {}), ("parquet", "parquet", {"dtype": np.dtype(np.float32)}),
            ("csv", "csv", {}), ("csv", "parquet", {}), ("arrow", "arrow", {}),
            ("arrow", "csv", {}), ("parquet", "npy", {})]  # fmt: skip
    for number, (of, to, options) in enumerate(runs):
        options["columns"] = ("x*",)
        outputs = {
            convert(chain, tmp_path / f"in.{of}", tmp_path / f"{number}-{jobs}.{to}", jobs=jobs,
                    **options).read_bytes()
            for jobs in (1, 2, 5, None)
        }  # fmt: skip
        assert len(outputs) == 1


@pytest.mark.parametrize("groups", [3, 1000, 40_000])
@pytest.mark.parametrize("chain", ["softmax", "softmax(axis=0)"])
def test_any_layout_is_within_the_bound(groups: int, chain: str, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(0, 5, (min(40_000, groups * 400), 3)).astype(np.float32)
    table = pa.table({f"x{n}": x[:, n] for n in range(3)})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=groups)
    axis = 0 if "0" in chain else 1
    wide = x.astype(np.float64)
    away = wide - wide.max(axis, keepdims=True)
    exact = np.exp(away) / np.exp(away).sum(axis, keepdims=True)
    bound = (4 + np.abs(away) / 2) * 2.0**-23 * exact
    for to in ("parquet", "arrow", "npy", "csv"):
        target = convert(chain, tmp_path / "in.parquet", tmp_path / f"out.{to}")
        found = np.array(list(read(target).values()), np.float64).T
        assert (np.abs(found - exact) <= bound).all(), to


# --- CSV ---


def test_header_or_none_in_conversions(kact: Kact, tmp_path: Path) -> None:
    path = write_ipc(pa.table({"a,b": [1.5], "c": [-2.5]}), tmp_path / "in.arrow")
    out = tmp_path / "out.arrow"
    assert kact("apply", "relu", path, "--to", "csv").stdout == b'"a,b",c\n1.5,0.0\n'
    assert kact("apply", "relu", path, "--to", "csv", "--no-header").stdout == b"1.5,0.0\n"
    semicolons = kact("apply", "relu", path, "--to", "csv", "--delimiter", ";").stdout
    assert semicolons == b"a,b;c\n1.5;0.0\n"
    kact("apply", "relu", "--no-header", "-q", "-", out, stdin=b"x,y\n1.5,2\n", code=1)
    kact("apply", "relu", "--no-header", "-", out, stdin=b"7,-1.5\n8,2\n", KACT_COLUMNS="c1")
    assert read_ipc(out).to_pydict() == {"c0": ["7", "8"], "c1": [0.0, 2.0]}
    kact("apply", "relu", "--header", "-", out, "--overwrite", stdin=b"7,1\n8,-2.5\n")
    assert read_ipc(out).to_pydict() == {"7": ["8"], "1": [0.0]}


def test_a_csv_computed_in_another_dtype(kact: Kact) -> None:
    text = b"x,y\n0.1,0.2\n"
    wide = kact("apply", "softmax", stdin=text).stdout
    narrow = kact("apply", "softmax", "--dtype", "float32", stdin=text).stdout
    single = kact("apply", "softmax", "--compute-dtype", "float32", stdin=text).stdout
    exact = np.exp([0.1, 0.2]) / np.exp([0.1, 0.2]).sum()

    def cells(found: bytes) -> list[str]:
        return found.decode().splitlines()[1].split(",")

    np.testing.assert_allclose([float(c) for c in cells(wide)], exact, rtol=1e-15)
    assert cells(narrow) == [str(np.float32(v)) for v in exact]
    assert all(len(c) <= 12 for c in cells(single))
    np.testing.assert_allclose([float(c) for c in cells(single)], exact, rtol=5e-7)
    rounded = kact("apply", "softmax", "--float-format", ".2f", stdin=text).stdout
    assert cells(rounded) == ["0.48", "0.52"]


def test_a_bad_float_format_is_told_before_anything_is_written(kact: Kact, refused: Kact) -> None:
    arrow = kact("apply", "relu", "--to", "arrows", stdin=b"x\n1.5\n").stdout
    done = refused("apply", "relu", "--to", "csv", "--float-format", "d", stdin=arrow, code=2)
    assert done.stdout == b""
    assert done.stderr == b"kact: not a float format: 'd'; try .6g or .3f\n"


def test_a_name_that_says_tabs_gets_tabs(kact: Kact, tmp_path: Path) -> None:
    run = ("apply", "relu", "--no-header", "-c", "c1")
    (tmp_path / "in.csv").write_bytes(b'7;1.5;"a;b"\n08;-2.5;"c\td"\n')
    kact(*run, tmp_path / "in.csv", tmp_path / "o.tsv", "--delimiter", ";")
    assert text_of(tmp_path / "o.tsv") == '7\t1.5\ta;b\n08\t0.0\t"c\td"\n'
    kact(*run, tmp_path / "o.tsv", tmp_path / "o.csv.gz")
    assert text_of(tmp_path / "o.csv.gz") == "7,1.5,a;b\n08,0.0,c\td\n"
    kact(*run, tmp_path / "in.csv", tmp_path / "same.csv")
    assert text_of(tmp_path / "same.csv").startswith("7;1.5;")
    assert kact(*run, tmp_path / "in.csv").stdout.startswith(b"7;1.5;")


def test_cells_that_pass_through_are_the_same_bytes(kact: Kact) -> None:
    text = (
        "\ufeffid;x;flag;price;note;when\r\n"
        '007;-1.5;TRUE;1.10;"a;""b""";2020-01-02T03:04:05Z\r\n'
        '"008";2e1;false;1,10;"plain";\r\n'
        "9;;;-0;NA;é"
    ).encode()
    done = kact("apply", "relu", "-c", "x", stdin=text)
    assert done.stdout == text.replace(b"-1.5", b"0.0").replace(b"2e1", b"20.0")
    assert done.stderr == b""


@pytest.mark.parametrize("to", ["csv", "arrow", "parquet"])
def test_numbers_too_large_are_warned_about(to: str, kact: Kact) -> None:
    text = b"x,y\n1e400,1.5\n-1e999,1\n"
    done = kact("apply", "tanh", "--to", to, stdin=text)
    assert done.stderr == b"kact: warning: standard input: 2 numbers are too large: read as inf\n"
    text = b"x,y\n1e39,1.5\n"
    done = kact("apply", "tanh", "--compute-dtype", "float32", "--to", to, stdin=text)
    assert done.stderr == b"kact: warning: standard input: 1 number is too large: read as inf\n"


def test_duplicate_and_empty_names(kact: Kact, tmp_path: Path) -> None:
    text = b"x,,x,\n-1.5,a,-2.5,-3.5\n"
    assert kact("apply", "relu", stdin=text).stdout == b"x,,x,\n0.0,a,0.0,0.0\n"
    kact("apply", "relu", "-", tmp_path / "o.arrow", stdin=text)
    done = read_ipc(tmp_path / "o.arrow")
    assert done.schema.names == ["x", "", "x", ""]
    assert [c.to_pylist() for c in done.columns] == [[0.0], ["a"], [0.0], [0.0]]
    kact("apply", "relu", tmp_path / "o.arrow", tmp_path / "o.csv")
    assert text_of(tmp_path / "o.csv") == "x,,x,\n0.0,a,0.0,0.0\n"


def test_column_names_with_dots_and_their_namesakes(tmp_path: Path) -> None:
    table = pa.table(
        {
            "a.b": pa.array([1.0, -2.0], F32),
            "a": pa.array([{"b": 5.0}, None], pa.struct({"b": F32})),
            "a.b.c": pa.array([-1.0, 2.0], F32),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    for number, chain in enumerate(("relu", "softmax(axis=0)", "relu,softmax")):
        done = pq.read_table(convert(chain, tmp_path / "in.parquet", tmp_path / f"{number}"))
        assert done.schema == table.schema
        assert done["a"].equals(table["a"])
    assert done["a.b"].to_pylist()[1] == pytest.approx(1 / (1 + np.exp(2)))


@pytest.mark.parametrize("to", ["csv", "parquet", "arrow", "arrows"])
def test_tables_without_rows(to: str, kact: Kact, tmp_path: Path) -> None:
    for chain in ("relu", "softmax(axis=0)"):
        kact("chain", chain, "-", tmp_path / f"o.{to}", "--overwrite", "-c", "*", stdin=b"x,y\n")
        assert read(tmp_path / f"o.{to}") == {"x": [], "y": []}
        again = tmp_path / f"again-{chain}.{to}"
        kact("chain", chain, "-c", "*", tmp_path / f"o.{to}", again)
        assert read(again) == {"x": [], "y": []}


@pytest.mark.parametrize("to", ["parquet", "arrow", "csv", "npy"])
def test_tables_without_columns(to: str, refused: Kact, tmp_path: Path) -> None:
    pq.write_table(pa.table({}), tmp_path / "in.parquet")
    done = refused("apply", "relu", tmp_path / "in.parquet", tmp_path / f"o.{to}", code=2)
    assert b"no column left to compute; there are: none" in done.stderr


def test_thousands_of_columns(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(50, 2000)).astype(np.float32)
    path = write({f"x{n}": x[:, n].tolist() for n in range(2000)}, tmp_path / "in.parquet")
    for of, to in pairwise(("in.parquet", "b.parquet", "c.csv", "d.arrow", "e.npy")):
        convert("relu", tmp_path / of, tmp_path / to)
    assert path.exists()
    assert np.array_equal(np.load(tmp_path / "e.npy").astype(np.float32), np.maximum(x, 0))


def test_signals_of_a_run_that_stalls(tmp_path: Path) -> None:
    sources = {
        "csv": b"x,y\n" + b"1.5,2.5\n" * 400_000,
        "arrows": write({"x": [1.0] * 9}, tmp_path / "a.arrows").read_bytes()[:-8],
    }
    for name, data in sources.items():
        target = tmp_path / f"o.{name}"
        run = command("apply", "relu", "-", str(target))
        pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(
            run, env=environment(), preexec_fn=_interruptible, **pipes
        ) as process:
            assert process.stdin is not None
            process.stdin.write(data)
            process.stdin.flush()
            wait_for_temporary(tmp_path)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert process.stderr is not None
            assert process.stderr.read() == b""
        assert not list(tmp_path.glob(".kact*"))
        assert not target.exists()


def _interruptible() -> None:
    """A shell's background jobs ignore SIGINT, and so would their children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for_temporary(place: Path) -> None:
    from tests.tools.run import wait_until

    assert wait_until(lambda: bool(list(place.glob(".kact*"))))


@pytest.mark.parametrize("to", ["csv", "parquet", "arrow", "arrows"])
def test_a_reader_that_leaves(to: str, tmp_path: Path) -> None:
    """`kact ... | head`: 141, silently, and no abort."""
    (tmp_path / "in.csv").write_bytes(b"x,y\n" + b"1.5,2.5\n" * 2_000_000)
    run = command("apply", "relu", str(tmp_path / "in.csv"), "-", "--to", to)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(run, env=environment(), **pipes) as process:
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 4)
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize("to", ["parquet", "arrow", "arrows"])
def test_a_run_that_fails_half_way_never_looks_whole(to: str, kact: Kact, tmp_path: Path) -> None:
    text = b"x,y\n" + b"1.5,2\n" * 1_000_000 + b"1.5,two\n"
    done = kact("apply", "relu", "-c", "x,y", "--to", to, stdin=text, code=1)
    assert done.stderr.count(b"\n") == 1
    place = b"standard input: column 'y', record 1,000,001 (line 1,000,002): "
    assert place + b"'two' is not a number" in done.stderr
    (tmp_path / f"o.{to}").write_bytes(done.stdout)
    if to != "arrows":
        with pytest.raises(DataError):
            convert("relu", tmp_path / f"o.{to}", tmp_path / f"again.{to}")
    else:  # a stream may end anywhere, but does not without a warning
        done = kact("apply", "relu", tmp_path / "o.arrows", tmp_path / "again.arrows")
        assert b"no end mark" in done.stderr


def test_a_stream_without_its_end_mark_is_told(kact: Kact, tmp_path: Path) -> None:
    """Its writer may have failed; the format allows it."""
    data = write({"x": [1.0, -2.0]}, tmp_path / "in.arrows").read_bytes()
    assert data.endswith(b"\xff\xff\xff\xff\0\0\0\0")
    (tmp_path / "cut.arrows").write_bytes(data[:-8])
    for run in (["relu"], ["softmax", "--axis", "0"]):
        done = kact("apply", *run, tmp_path / "cut.arrows", tmp_path / f"{run[0]}.csv")
        assert b"cut.arrows: the stream has no end mark" in done.stderr
        done = kact("apply", *run, "--to", "csv", stdin=data[:-8])
        assert b"standard input: the stream has no end mark" in done.stderr
        assert done.stderr.count(b"\n") == 1
        assert kact("apply", *run, "--to", "csv", stdin=data).stderr == b""


def test_a_full_disk_is_named(refused: Kact, tmp_path: Path) -> None:
    import resource

    from tests.tools.run import limit

    write({"x": np.random.default_rng(0).normal(size=100_000).tolist()}, tmp_path / "in.parquet")
    for to in ("parquet", "arrow", "csv"):
        target = tmp_path / f"o.{to}"
        done = refused("apply", "tanh", tmp_path / "in.parquet", target,
                       prepare=limit(resource.RLIMIT_FSIZE, 50_000))  # fmt: skip
        assert f"o.{to}: file too large".encode() in done.stderr
        assert not target.exists()
        assert not list(tmp_path.glob(".kact*"))

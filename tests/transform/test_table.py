"""Tables from file to file: all that is kept beside the tensor, the same bytes for any jobs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tools.run import Kact, command, environment
from tests.tools.tables import convert, read, read_ipc, text_of, write

F32 = pa.float32()

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
    target = convert("relu", source, tmp_path / "out.parquet", exclude=("price",), **changed)
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
    path = write(nanoseconds, tmp_path / "in.arrow")
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
    source = write(table, tmp_path / f"in.{of}", compression=codec)
    for to in ("arrow", "arrows"):
        chain = "relu,softmax(axis=-1)"
        target = convert(chain, source, tmp_path / f"out.{to}", exclude=("price",))
        done = read_ipc(target)
        assert done.schema.equals(table.schema, check_metadata=True)
        assert done["x"].num_chunks == 3
        for name in ("id", "word", "when", "price", "small", "s"):
            assert done[name].equals(table[name])
        # Random numbers take the same room: what tells the codecs apart is the text
        again = write(done, tmp_path / f"again.{to}", compression=codec)
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
    source = write(pa.Table.from_batches(batches), tmp_path / "in.arrows")
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
    batches = []
    for first in (0, 100):
        words = pa.array([str(first + n) for n in range(100)])
        column = pa.DictionaryArray.from_arrays(pa.array(range(100), pa.int8()), words)
        batches.append(pa.record_batch([column, pa.nulls(100, F32)], schema=schema))
    write(pa.Table.from_batches(batches), tmp_path / "in.arrows")
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

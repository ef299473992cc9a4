"""What Arrow does not know, or not as it is in the file, passes through whatever is computed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.errors import DataError
from kact_cli.formats.parquet.metadata.chunk import Meta, chunk_meta
from kact_cli.formats.parquet.metadata.footer import File, Group
from kact_cli.formats.parquet.metadata.schema import Element, KeyValue
from kact_cli.formats.parquet.metadata.thrift import BINARY, BYTE, I32, LIST, STRUCT, Items, Struct
from tests.formats.parquet.test_changed import settled
from tests.tools.parquet import column_chunks, edit_footer, file_struct, row_groups
from tests.tools.tables import convert, text_of

ROWS = 20
ENUM, INTERVAL, VARIANT = 4, 21, 16
CHANGES: dict[str, dict[str, Any]] = {
    "in place": {},
    "float64": {"dtype": np.dtype("f8")},
    "float16": {"dtype": np.dtype("f2")},
    "added": {"suffix": "_p"},
    "an integer": {"columns": ("y",)},
    "an integer added": {"columns": ("y",), "suffix": "_p"},
}


def annotate(struct: Struct, _: list[Struct]) -> None:
    """Say of some columns what Arrow cannot."""
    elements = {e.binary(Element.NAME): e for e in struct.structs(File.SCHEMA)}
    for name, converted in ((b"enum", ENUM), (b"interval", INTERVAL)):
        elements[name].put(Element.CONVERTED, I32, converted)
        elements[name].pop(Element.LOGICAL, None)
    variant = Struct({VARIANT: (STRUCT, Struct({1: (BYTE, 1)}))})
    elements[b"variant"].put(Element.LOGICAL, STRUCT, variant)
    mine = {KeyValue.KEY: (BINARY, b"mine"), KeyValue.VALUE: (BINARY, b"kept")}
    pairs = [Struct(mine), Struct({KeyValue.KEY: (BINARY, b"without a value")})]
    struct.put(File.METADATA, LIST, Items(STRUCT, pairs))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Sorted by id and x; an empty row group in the middle; filters and indexes."""
    variant = [{"metadata": b"\x01\x00\x00", "value": b"\x0c" + bytes([n])} for n in range(ROWS)]
    table = pa.table(
        {
            "id": np.arange(ROWS),
            "x": np.arange(ROWS, dtype=np.float32) - 9,
            "until": pa.array([datetime(9999, 12, 31), datetime(1066, 10, 14)] * (ROWS // 2)),
            "enum": pa.array([b"up", b"down"] * (ROWS // 2)),
            "interval": pa.array([bytes(range(12))] * ROWS, pa.binary(12)),
            "variant": pa.array(variant),
            "y": pa.array([None, 5] * (ROWS // 2), pa.int32()),
        }
    )
    path = tmp_path / "in.parquet"
    with pq.ParquetWriter(
        path,
        table.schema,
        use_deprecated_int96_timestamps=True,
        store_schema=False,
        write_page_index=True,
        bloom_filter_options={"id": {"ndv": ROWS}, "x": {"ndv": ROWS}},
        sorting_columns=[pq.SortingColumn(0), pq.SortingColumn(1)],
    ) as writer:
        for part in (table.slice(0, 15), table.slice(0, 0), table.slice(15)):
            writer.write_table(part)
    return edit_footer(path, annotate)


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_computed_is_the_same_to_the_byte(
    change: str, source: Path, tmp_path: Path
) -> None:
    options = CHANGES[change]
    target = convert("sigmoid", source, tmp_path / "out.parquet", **options)
    before, after = file_struct(source), file_struct(target)
    assert after[File.METADATA] == before[File.METADATA]
    assert after[File.CREATED_BY] == before[File.CREATED_BY]
    computed = options.get("columns", ("x",))[0].encode()
    new = computed + options.get("suffix", "").encode()
    known = {e.binary(Element.NAME): e for e in before.structs(File.SCHEMA)[1:]}
    for element in after.structs(File.SCHEMA)[1:]:
        if element.binary(Element.NAME) != new:
            assert element == known[element.binary(Element.NAME)]
    data, made = source.read_bytes(), target.read_bytes()
    groups = zip(column_chunks(source), column_chunks(target), strict=True)
    for old_group, new_group in groups:
        for (old, old_bytes), (chunk, chunk_bytes) in zip(old_group, new_group, strict=False):
            if chunk_meta(chunk)[Meta.PATH][1].values == [new]:
                continue
            assert (settled(chunk), chunk_bytes) == (settled(old), old_bytes)
            assert bloom(chunk, made) == bloom(old, data)
    rows = [group.integer(Group.ROWS) for group in row_groups(target)]
    assert rows == [group.integer(Group.ROWS) for group in row_groups(source)] == [15, 0, 5]
    sorted_by = [s.integer(1) for s in row_groups(target)[0].structs(Group.SORTING)]
    assert sorted_by == ([0] if new == b"x" else [0, 1])
    assert pq.ParquetFile(target, page_checksum_verification=True).read().num_rows == ROWS


def bloom(chunk: Struct, data: bytes) -> bytes:
    meta = chunk_meta(chunk)
    start, size = meta.integer(Meta.BLOOM) or 0, meta.integer(Meta.BLOOM_LENGTH) or 0
    return data[start : start + size]


@pytest.mark.parametrize("to", ["csv", "arrow"])
def test_timestamps_beyond_nanoseconds_are_refused_elsewhere(
    to: str, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="column until holds INT96 timestamps before 1677"):
        convert("relu", source, tmp_path / f"out.{to}", columns=("x",))


def test_timestamps_within_nanoseconds_are_converted(tmp_path: Path) -> None:
    table = pa.table({"x": [1.0], "at": pa.array([datetime(2026, 11, 29)])})
    pq.write_table(table, tmp_path / "in.parquet", use_deprecated_int96_timestamps=True)
    assert "2026-11-29" in text_of(convert("relu", tmp_path / "in.parquet", tmp_path / "o.csv"))


def old_writer(struct: Struct, _: list[Struct]) -> None:
    """A writer whose chunk lengths are wrong: the file has to be written anew, by Arrow."""
    struct.put(File.CREATED_BY, BINARY, b"parquet-mr version 1.2.8")


def test_what_arrow_would_lose_is_refused_where_it_writes(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"in.parquet: column enum is ENUM, which Arrow has no"):
        convert("relu", edit_footer(source, old_writer), tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("change", CHANGES)
def test_what_arrow_writes_anew_keeps_metadata_and_row_groups(change: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    table = pa.table({"x": [1.0, None, -2.0] * 5, "y": range(15), "name": list("abc") * 5})
    table = table.replace_schema_metadata({"mine": "kept"})
    with pq.ParquetWriter(source, table.schema) as writer:
        for start, rows in ((0, 0), (0, 4), (4, 0), (4, 11), (15, 0)):
            writer.write_table(table.slice(start, rows))
    convert("relu", edit_footer(source, old_writer), target, **CHANGES[change])
    made = pq.ParquetFile(target)
    assert made.schema_arrow.metadata == {b"mine": b"kept"}
    sizes = [made.metadata.row_group(n).num_rows for n in range(made.num_row_groups)]
    assert sizes == [0, 4, 0, 11, 0]
    assert made.read()["name"].equals(table["name"])

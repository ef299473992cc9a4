"""Columns of another type, and columns that are added, are new chunks beside copied ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.formats.parquet.metadata.chunk import Chunk, Meta, chunk_meta
from kact_cli.formats.parquet.metadata.footer import File
from kact_cli.formats.parquet.metadata.thrift import Struct
from tests.tools.parquet import check_statistics, column_chunks, file_struct
from tests.tools.tables import convert, every_kind, read_ipc, write

FLOATS = ("f32", "f64", "f16", "required", "empty", "list", "large", "half_list", "fixed",
          "nested", "tensor")  # fmt: skip
CHOICES: dict[str, dict[str, Any]] = {
    "as they are": {"columns": FLOATS},
    "float16": {"columns": FLOATS, "dtype": np.dtype("f2")},
    "float32": {"columns": FLOATS, "dtype": np.dtype("f4")},
    "float64": {"columns": FLOATS, "dtype": np.dtype("f8")},
    "integers and decimals": {"columns": ("i8", "u64", "decimal")},
    "one of many": {"columns": ("decimal",), "dtype": np.dtype("f4")},
}
WRITERS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "pages_v2": {"data_page_version": "2.0", "compression": "zstd"},
    "page_index": {"write_page_index": True, "data_page_size": 64, "write_batch_size": 5},
    "split": {"use_dictionary": False, "use_byte_stream_split": ["f32", "f64", "i8"]},
    "version_1": {"version": "1.0", "use_compliant_nested_type": False},
}
ROWS = 25
"""In a row group."""
MOVES = {Chunk.OFFSET, Chunk.OFFSET_INDEX, Chunk.OFFSET_INDEX_LENGTH, Chunk.COLUMN_INDEX}
"""What a copied chunk says that may change."""


def settled(chunk: Struct) -> dict[int, Any]:
    """What a chunk says beside where things are."""
    meta = {
        field: value
        for field, value in chunk_meta(chunk).items()
        if field not in (Meta.DATA_PAGE, Meta.INDEX_PAGE, Meta.DICTIONARY, Meta.BLOOM)
    }
    return {
        field: meta if field == Chunk.META else value
        for field, value in chunk.items()
        if field not in MOVES
    }


def check_changed(source: Path, target: Path, computed: tuple[str, ...], suffix: str) -> None:
    """What is not computed is the same bytes; all else is what the way by Arrow makes of it."""
    new = {f"{name}{suffix}" for name in computed}
    expected = read_ipc(target.with_suffix(".arrow"))
    file = pq.ParquetFile(target, page_checksum_verification=True)
    table = file.read()
    table.validate(full=True)
    assert table.schema.equals(expected.schema)
    assert table.schema.metadata == expected.schema.metadata
    for field in pq.read_schema(source):
        if field.name not in new:
            assert table.schema.field(field.name).equals(field, check_metadata=True)
    for name in table.schema.names:
        assert repr(table[name].to_pylist()) == repr(expected[name].to_pylist()), name
    groups = zip(column_chunks(source), column_chunks(target), strict=True)
    for number, (before, after) in enumerate(groups):
        group = file.metadata.row_group(number)
        for (old, old_bytes), (made, made_bytes) in zip(before, after, strict=False):
            if chunk_meta(made)[Meta.PATH][1].values[0].decode() not in new:
                assert settled(made) == settled(old)
                assert made_bytes == old_bytes
        for chunk in map(group.column, range(group.num_columns)):
            name = chunk.path_in_schema.split(".")[0]
            if name in new:
                check_statistics(chunk, table[name].slice(ROWS * number, group.num_rows))


@pytest.mark.parametrize("suffix", ["", "_p"])
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("writer", WRITERS)
def test_new_chunks_beside_copied_ones(
    writer: str, choice: str, suffix: str, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(every_kind(), source, row_group_size=ROWS, **WRITERS[writer])
    options = {**CHOICES[choice], "suffix": suffix or None}
    arrow = write(pq.read_table(source).unify_dictionaries(), tmp_path / "in.arrow")
    convert("sigmoid", source, target, **options)
    convert("sigmoid", arrow, tmp_path / "out.arrow", **options)
    check_changed(source, target, options["columns"], suffix)


@pytest.mark.parametrize("options", [{"dtype": np.dtype("f8")}, {"suffix": "_p"}], ids=str)
def test_a_schema_that_only_parquet_has(options: dict[str, Any], tmp_path: Path) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    table = every_kind().select(["f32", "i8", "decimal", "list"])
    pq.write_table(table, source, store_schema=False)
    convert("relu", source, target, columns=("f32", "list"), **options)
    struct = file_struct(target)
    assert File.METADATA not in struct
    made = pq.read_table(target)
    type_ = pa.float64() if "dtype" in options else pa.float32()
    assert made.schema.field(-1 if "suffix" in options else "f32").type in (type_, pa.list_(type_))
    assert made.schema.names[:4] == table.schema.names
    assert len(struct.structs(File.ORDERS)) == len(made.schema)


def test_an_added_column_shares_no_field_id(tmp_path: Path) -> None:
    fields = [
        pa.field(name, pa.float32(), metadata={"PARQUET:field_id": str(n)})
        for n, name in enumerate("ab", 7)
    ]
    x = pa.array([1.0], pa.float32())
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table([x, x], pa.schema(fields)), source)
    for options, ids in (({"dtype": np.dtype("f8")}, [7, 8]), ({"suffix": "_p"}, [7, 8, -1, -1])):
        convert("relu", source, target, overwrite=True, **options)
        schema = pq.ParquetFile(target).schema_arrow
        found = [int((f.metadata or {}).get(b"PARQUET:field_id", -1)) for f in schema]
        assert found == ids


@pytest.mark.parametrize("dtype", [None, np.dtype("f8")])
def test_columns_of_one_name_each_come_back(dtype: Any, tmp_path: Path) -> None:
    x, y = pa.array([1.0, -1.0], pa.float32()), pa.array([-3.0, 3.0], pa.float32())
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table([x, y], ["x", "x"]), source)
    convert("relu", source, target, dtype=dtype)
    made = pq.ParquetFile(target).read()
    assert [column.to_pylist() for column in made.columns] == [[1.0, 0.0], [0.0, 3.0]]

"""Files come back with the computed columns computed and everything else as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parquet_tools import FILES, negative, rewritten, storage, table

from kact_cli.formats.parquet_footer import Group, chunk_span, read_footer
from kact_cli.formats.thrift import Struct, read_struct

COMPUTED = [
    "f32", "f64", "f16", "required", "empty", "list", "large", "half_list", "fixed", "nested",
    "tensor", "i8", "u64",
]  # fmt: skip

WRITERS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "version_1": {"version": "1.0"},
    "version_2_4": {"version": "2.4"},
    "pages_v2": {"data_page_version": "2.0"},
    "pages_v2_plain": {"data_page_version": "2.0", "compression": "none"},
    "none": {"compression": "none"},
    "gzip": {"compression": "gzip"},
    "brotli": {"compression": "brotli"},
    "lz4": {"compression": "lz4"},
    "zstd": {"compression": "zstd", "compression_level": 7},
    "mixed_codecs": {"compression": {"f32": "zstd", "list.list.element": "gzip", "name": "lz4"}},
    "no_dictionary": {"use_dictionary": False},
    "byte_stream_split": {
        "use_dictionary": False,
        "use_byte_stream_split": ["f32", "f64", "f16", "list.list.element"],
    },
    "delta": {
        "use_dictionary": False,
        "column_encoding": {"id": "DELTA_BINARY_PACKED", "name": "DELTA_BYTE_ARRAY"},
    },
    "page_index": {"write_page_index": True, "data_page_size": 64, "write_batch_size": 5},
    "checksums": {"write_page_checksum": True},
    "no_statistics": {"write_statistics": False},
    "item_names": {"use_compliant_nested_type": False},
    "one_row_group": {"row_group_size": 60},
    "many_row_groups": {"row_group_size": 1},
}


def column_chunks(path: Path) -> list[list[tuple[Struct, bytes]]]:
    """For each row group, each column chunk's description and bytes."""
    data = path.read_bytes()
    with path.open("rb") as file:
        groups = read_footer(file.fileno()).row_groups
    chunks = [read_struct(raw)[0].structs(Group.COLUMNS) for raw in groups]
    spans = [[(c, chunk_span(c)) for c in group] for group in chunks]
    return [[(c, data[start : start + size]) for c, (start, size) in group] for group in spans]


def check(source: Path, target: Path, computed: list[str]) -> None:
    """`target` is `source` with `computed` negated, in every respect that a reader can see."""
    before, after = pq.ParquetFile(source), pq.ParquetFile(target, page_checksum_verification=True)
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert after.schema.equals(before.schema)
    assert after.metadata.metadata == before.metadata.metadata
    assert after.metadata.created_by == before.metadata.created_by
    assert after.metadata.format_version == before.metadata.format_version
    old, new = before.read(), after.read()
    new.validate(full=True)
    for name in old.schema.names:
        if name in computed:
            expected = [negative(v) for c in old[name].chunks for v in storage(c).to_pylist()]
            if pa.types.is_unsigned_integer(old[name].type):
                expected = old[name].to_pylist()
            actual = [v for c in new[name].chunks for v in storage(c).to_pylist()]
            assert repr(actual) == repr(expected), name
        else:
            assert new[name].equals(old[name]), name
    pairs = zip(column_chunks(source), column_chunks(target), strict=True)
    for number, (old_group, new_group) in enumerate(pairs):
        info = after.metadata.row_group(number)
        assert info.num_rows == before.metadata.row_group(number).num_rows
        assert info.total_byte_size == sum(
            info.column(c).total_uncompressed_size for c in range(info.num_columns)
        )
        for leaf, ((old_chunk, old_bytes), (_, new_bytes)) in enumerate(
            zip(old_group, new_group, strict=True)
        ):
            column, was = info.column(leaf), before.metadata.row_group(number).column(leaf)
            assert column.compression == was.compression
            assert column.num_values == was.num_values
            assert column.has_offset_index == was.has_offset_index
            name = column.path_in_schema.split(".")[0]
            if name not in computed:
                assert new_bytes == old_bytes
                assert column.statistics == was.statistics
            elif column.statistics is not None:
                first = sum(group_rows(before, n) for n in range(number))
                check_statistics(column, new[name].slice(first, info.num_rows))


def group_rows(file: pq.ParquetFile, row_group: int) -> int:
    rows: int = file.metadata.row_group(row_group).num_rows
    return rows


def leaves(values: list[Any]) -> list[Any]:
    """The values in lists of lists, and None for each list that has none."""
    found: list[Any] = []
    for value in values:
        found += (leaves(value) or [None]) if isinstance(value, list) else [value]
    return found


def check_statistics(chunk: Any, column: pa.ChunkedArray) -> None:
    """The statistics of a chunk are those of its values; NaN is in no minimum or maximum."""
    values = leaves([v for c in column.chunks for v in storage(c).to_pylist()])
    ordered = [v for v in values if v is not None and v == v]
    assert chunk.statistics.null_count == values.count(None)
    assert chunk.statistics.has_min_max == bool(ordered)
    if ordered and not isinstance(chunk.statistics.min, bytes):  # as pyarrow gives float16
        assert (chunk.statistics.min, chunk.statistics.max) == (min(ordered), max(ordered))
        for end, sign in ((chunk.statistics.min, -1.0), (chunk.statistics.max, 1.0)):
            assert end != 0 or isinstance(end, int) or np.copysign(1, end) == sign


@pytest.fixture(scope="module", params=list(WRITERS))
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("written") / f"{request.param}.parquet"
    pq.write_table(table(), path, **{"row_group_size": 25, **WRITERS[request.param]})
    return path


@pytest.mark.parametrize("across", [False, True])
def test_every_way_that_pyarrow_writes_comes_back(
    written: Path, tmp_path: Path, across: bool
) -> None:
    computed = COMPUTED
    check(written, rewritten(written, tmp_path / "out", computed, across=across), computed)


@pytest.mark.parametrize("source", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("across", [False, True])
def test_files_of_other_writers_come_back(source: Path, tmp_path: Path, across: bool) -> None:
    computed = [n for n in pq.read_schema(source).names if n in ("x", "y", "v")]
    check(source, rewritten(source, tmp_path / "out", computed, across=across), computed)

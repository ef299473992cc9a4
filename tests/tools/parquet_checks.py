"""What a file that was rewritten has to have in common with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.tools.parquet import column_chunks, negative, storage


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
        for leaf, ((_, old_bytes), (_, new_bytes)) in enumerate(
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

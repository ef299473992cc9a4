"""Parquet files rewritten by an exact computation, and what they then have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.errors import DataError
from kact_cli.formats.parquet.metadata.chunk import read_chunk
from kact_cli.formats.parquet.metadata.footer import File, Group
from kact_cli.formats.parquet.metadata.thrift import Struct, write_struct
from kact_cli.formats.parquet.metadata.thrift_reader import read_struct
from kact_cli.formats.parquet.plan import RewritePlan, plan_rewrite
from kact_cli.formats.parquet.read import Description
from kact_cli.formats.parquet.rewrite import rewrite
from kact_cli.options import Options
from tests.tools.tables import every_kind

FILES = sorted((Path(__file__).parent.parent / "data" / "parquet").glob("*.parquet"))


def negative(value: Any) -> Any:
    """The computation of the tests: exact, its own inverse, and it swaps minimum and maximum."""
    if value is None:
        return None
    if isinstance(value, list):
        return [negative(item) for item in value]
    return ~value if isinstance(value, int) else -value


def rebuilt(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Python values as an array of any type."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, rebuilt(values, kind.storage_type))
    return pa.array(values, kind)


def negate(batch: pa.RecordBatch) -> list[pa.Array]:
    """`negative` of every value in a batch."""
    return [
        rebuilt([negative(v) for v in storage(column).to_pylist()], column.type)
        if not pa.types.is_unsigned_integer(column.type)
        else column
        for column in batch.columns
    ]


def storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def planned(source: Path, columns: Sequence[str], *, across: bool = False) -> RewritePlan:
    """The rewriting of `source` with `columns` computed, in their types."""
    described = Description.of(str(source), Options())
    positions = [n for n, name in enumerate(described.schema.names) if name in columns]
    computed = {n: n for n in positions}
    return plan_rewrite(described, described.schema, computed, across=across)


def rewritten(
    source: Path,
    target: Path,
    columns: Sequence[str],
    *,
    compute: Callable[[pa.RecordBatch], Sequence[pa.Array]] = negate,
    across: bool = False,
    workers: int = 2,
) -> Path:
    """`source` with `columns` computed, at `target`."""
    plan = planned(source, columns, across=across)
    return rewrite_to(target, plan, compute, workers=workers)


def rewrite_to(
    target: Path,
    plan: RewritePlan,
    compute: Callable[[pa.RecordBatch], Sequence[pa.Array]] = negate,
    *,
    workers: int = 2,
) -> Path:
    """The file of `plan`, at `target`."""
    file = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        done = rewrite(plan, file, lambda _, batch: compute(batch), workers=workers)
        assert done == plan.source.footer.rows
    finally:
        os.close(file)
    return target


def file_struct(path: Path) -> Struct:
    """The footer."""
    data = path.read_bytes()
    return read_struct(data, len(data) - 8 - int.from_bytes(data[-8:-4], "little"))[0]


def row_groups(path: Path) -> list[Struct]:
    """The description of each row group."""
    return list(file_struct(path).structs(File.GROUPS))


def column_chunks(path: Path) -> list[list[tuple[Struct, bytes]]]:
    """For each row group, each column chunk's description and bytes."""
    data = path.read_bytes()
    chunks = [group.structs(Group.COLUMNS) for group in row_groups(path)]
    spans = [[(c, chunk_span(c)) for c in group] for group in chunks]
    return [[(c, data[start : start + size]) for c, (start, size) in group] for group in spans]


def chunk_span(chunk: Struct) -> tuple[int, int]:
    """Where a column chunk's pages start, and how many bytes they take."""
    return read_chunk(write_struct(chunk), 0)[0].span


def small_file(path: Path) -> Path:
    """60 rows in 3 row groups, with checksums."""
    columns = ["id", "f32", "name", "list", "struct"]
    pq.write_table(
        every_kind().select(columns), path, row_group_size=25, write_page_checksum=True,
        compression="none", use_dictionary=["name"],
    )  # fmt: skip
    return path


Edit = Callable[[Struct, list[Struct]], None]


def edit_footer(path: Path, change: Edit) -> Path:
    """Change the footer: `change(footer, all column chunks)`."""
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer, _ = read_struct(data[-8 - length : -8])
    groups = footer.structs(File.GROUPS)
    change(footer, [chunk for group in groups for chunk in group.structs(Group.COLUMNS)])
    new = write_struct(footer)
    path.write_bytes(data[: -8 - length] + new + len(new).to_bytes(4, "little") + b"PAR1")
    return path


def refuse(path: Path, message: str, columns: Sequence[str] = ("f32", "list")) -> None:
    with pytest.raises(DataError, match=message) as caught:
        rewritten(path, path.with_name("out"), columns)
    assert "\n" not in str(caught.value)


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

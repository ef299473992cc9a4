"""What a Parquet file says of itself, and its row groups as record batches, decoded by pyarrow."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from kact_cli.errors import DataError, reason
from kact_cli.files.descriptors import opened, read_part
from kact_cli.formats.declared import PARQUET
from kact_cli.formats.parquet.levels import count_slots
from kact_cli.formats.parquet.metadata.chunk import ABSENT, ColumnChunk, encodings
from kact_cli.formats.parquet.metadata.footer import Footer, read_footer
from kact_cli.formats.parquet.metadata.thrift_reader import Wanted, read_numbers
from kact_cli.messages import listed
from kact_cli.options import Options

FAULTS = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises where a file is broken."""
FEW = 1000
"""How many times more than its bytes a chunk of lists is for no good reason."""
HEADER_BYTES, LONG_HEADER = 128, 1 << 20
"""Read for the header of a page, which holds its least and greatest value."""

READ_BYTES, READ_TOGETHER = 256 << 10, 4 << 20
"""Read at once from a column chunk; from all of them, where most are longer than that."""


CODECS = ("uncompressed", "snappy", "gzip", "lzo", "brotli", "lz4", "zstd", "lz4_raw")
ENCODINGS = ("PLAIN", "GROUP_VAR_INT", "PLAIN_DICTIONARY", "RLE", "BIT_PACKED",
             "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY",
             "RLE_DICTIONARY", "BYTE_STREAM_SPLIT")  # fmt: skip
"""Names of CompressionCodec and Encoding, by number."""
PAGE_HEADER: Wanted = {1: 0, 2: 1, 3: 2, 5: {1: 3}, 8: {1: 4}}
"""PageHeader: the type, the sizes uncompressed and compressed, the values of either data page."""
VALUES_OF = {0: 3, 3: 4}
"""PageType -> which of those numbers is how many values there are, in a data page."""
LACKING = 100
"""Bytes that the size of a column chunk may lack: parquet-mr before 1.2.9 left out a header."""
LEAST_BYTES = 4
"""What a value in memory takes, more or less."""


@dataclass(frozen=True)
class Description:
    """What a file says of itself: the footer as kact reads it, and as pyarrow does."""

    path: str
    footer: Footer
    metadata: pq.FileMetaData
    schema: pa.Schema
    options: Options

    @classmethod
    def of(cls, path: str, options: Options) -> Description:
        """Raises DataError where the file is broken, or encrypted.

        kact's own reading comes first: asked about a column chunk whose description is broken, or
        encrypted, pyarrow ends the process.
        """
        with opened(path, os.O_RDONLY) as file:
            footer = read_footer(file)
        with _as_data_error():
            metadata = pq.read_metadata(path)
            with pq.ParquetFile(path, metadata=metadata) as reader:
                schema = reader.schema_arrow
        if len(schema) != len(footer.columns):
            raise DataError(
                f"its schema has {len(footer.columns)} columns, of which Arrow knows {len(schema)}"
            )
        return cls(path, footer, metadata, schema, options)


class ChunkFacts(NamedTuple):
    """What a footer says of a column chunk, for people."""

    codec: str
    encodings: tuple[str, ...]
    values: int
    bytes: int
    memory: int
    """Bytes that its pages take uncompressed."""
    nulls: int | None
    dictionary: bool
    indexed: bool
    """Whether there is a column index."""

    @classmethod
    def of(cls, footer: Footer, chunk: ColumnChunk) -> ChunkFacts:
        return cls(
            _name(CODECS, max(0, chunk.codec)),
            tuple(_name(ENCODINGS, number) for number in encodings(footer.data, chunk)),
            max(0, chunk.values),
            max(0, chunk.compressed),
            max(0, chunk.uncompressed),
            None if chunk.nulls == ABSENT else chunk.nulls,
            chunk.has_dictionary,
            chunk.column_index != ABSENT,
        )


def check_nanoseconds(name: str, array: pa.Array) -> None:
    """Raise DataError for timestamps, read as microseconds, that nanoseconds have no room for.

    INT96 goes on to the year 5874897; Arrow reads it as nanoseconds, and from 1677 and 2262 on
    wraps around.
    """
    if pa.types.is_timestamp(array.type):
        import pyarrow.compute as pc  # 40 ms, which other files need not wait for

        ends = pc.min_max(array.cast(pa.int64())).as_py()
        for end in ends.values():
            if end is not None and not -(2**63) // 1000 < end < 2**63 // 1000:
                raise DataError(
                    f"column {name} holds INT96 timestamps before 1677 or after 2262; only Parquet "
                    "to Parquet, column chunk by column chunk, keeps them"
                )
    elif array.type.num_fields:
        for child in array.flatten() if pa.types.is_struct(array.type) else [array.flatten()]:
            check_nanoseconds(name, child)


def check_pages(described: Description, row_group: int, leaf: int) -> None:
    """Raise DataError where a page of a chunk would take more memory than it may, or is elsewhere,
    or goes on beyond the chunk, for which pyarrow would make room; or where there are more values
    than the footer says, at which pyarrow stops.

    What it takes uncompressed its header says, and pyarrow goes by that. Of lists, a row may be as
    long as the whole chunk: where few bytes make very many values, they count as one.
    """
    footer, options = described.footer, described.options
    chunk, column = footer.row_groups[row_group].chunk(leaf), footer.leaves[leaf]
    where = f"of column {column.name} in row group {row_group}"
    if chunk.path != ABSENT:
        raise DataError("its columns lie in other files; give those")
    at, size = chunk.span
    if column.depth:
        values = chunk.values * LEAST_BYTES
        if values > FEW * size:
            PARQUET.check_unit(f"the lists {where}", values, options)
    with opened(described.path, os.O_RDONLY) as file:
        end, found = at + size, 0
        while at < end:
            memory, values, at = _page(file, at, end)
            PARQUET.check_unit(f"a page {where}", memory, options)
            found += values
            if at > end + LACKING:
                raise DataError(f"broken Parquet file: a page {where} ends beyond its column chunk")
    if found > chunk.values:
        raise DataError(
            f"broken Parquet file: the pages {where} hold {found:,} values, "
            f"its footer says {chunk.values:,}"
        )


def _page(file: int, at: int, end: int) -> tuple[int, int, int]:
    """How many bytes the page at `at` takes uncompressed, how many values it has, where it ends."""
    numbers, places = [-1] * 5, [0] * 5
    try:
        data = read_part(file, min(HEADER_BYTES, end - at), at)
        length = read_numbers(data, 0, PAGE_HEADER, numbers, places)
    except DataError:
        places = [0] * 5
        data = read_part(file, min(LONG_HEADER, end - at), at)
        length = read_numbers(data, 0, PAGE_HEADER, numbers, places)
    kind, memory, size = numbers[:3]
    if memory < 0 or size < 0:
        raise DataError(f"broken Parquet file: the page at {at:,} has no size")
    values = max(0, numbers[VALUES_OF[kind]]) if kind in VALUES_OF else 0
    return memory, values, at + length + size


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)


class RowGroupReader:
    """A Parquet file open for decoding; for one thread at a time."""

    def __init__(self, described: Description, *, coarse: bool = False) -> None:
        """Open the file; `coarse`: its INT96 timestamps as microseconds, not as nanoseconds."""
        self._described = described
        with _as_data_error():
            self._file = pq.ParquetFile(
                pa.OSFile(described.path),
                metadata=described.metadata,
                pre_buffer=False,
                buffer_size=_buffer_size(described.footer),
                page_checksum_verification=True,
                coerce_int96_timestamp_unit="us" if coarse else None,
            )

    def batches(
        self, row_group: int, columns: Sequence[int], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The top-level columns at some positions, rising, of a row group, some rows at a time.

        Raises DataError where pages are broken, checksums differ, or there are more or fewer rows
        or values than the footer says.
        """
        footer = self._described.footer
        group = footer.row_groups[row_group]
        rows, slots = 0, Counter[int]()
        # By number: pyarrow takes a name for that of every column that begins with it and a dot
        leaves = [leaf for i in columns for leaf in footer.columns[i].leaves]
        for leaf in leaves:
            check_pages(self._described, row_group, leaf)
        try:
            for batch in self._file.reader.iter_batches(
                batch_rows, row_groups=[row_group], column_indices=leaves, use_threads=False
            ):
                rows += batch.num_rows
                counts = (n for column in batch.columns for n in count_slots(column))
                for leaf, count in zip(leaves, counts, strict=True):
                    slots[leaf] += count
                yield batch
        except FAULTS as error:
            names = listed([footer.columns[i].name for i in columns])
            where = f"row group {row_group}, column {names}: "
            raise DataError(f"broken Parquet file: {where}{reason(error)}") from error
        if rows != group.rows:
            raise DataError(
                f"broken Parquet file: row group {row_group} has {rows:,} rows, "
                f"its footer says {group.rows:,}"
            )
        for leaf in leaves:
            if slots[leaf] != (values := group.chunk(leaf).values):
                raise DataError(
                    f"broken Parquet file: column {footer.leaves[leaf].name} of row group "
                    f"{row_group} has {slots[leaf]:,} values in its {rows:,} rows, "
                    f"its footer says {values:,}"
                )

    def close(self) -> None:
        self._file.close()


def _buffer_size(footer: Footer) -> int:
    """Bytes read at once from each column chunk, so that all of them take little memory."""
    columns = max(1, len(footer.leaves))
    groups = footer.row_groups
    if groups and sum(groups[0].each("uncompressed")) > READ_BYTES * columns:
        return max(1, min(READ_BYTES, READ_TOGETHER // columns))
    return READ_BYTES


@contextmanager
def _as_data_error() -> Iterator[None]:
    """What pyarrow says is wrong, as a DataError; whoever knows the file's name puts it before."""
    try:
        yield
    except FAULTS as error:
        raise DataError(f"broken Parquet file: {reason(error)}") from error

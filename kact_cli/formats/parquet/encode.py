"""One piece of work on a Parquet file: decode some columns of a row group, compute, encode.

An `EncodeUnit` is a description; it pickles, and any thread or process can do it. pyarrow decodes,
a few thousand rows at a time, so that a batch stays in the cache on its way and a row group of any
size takes no more memory than the pages that are still waiting to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kact_cli.errors import DataError
from kact_cli.formats.parquet.levels import Values, join, take_apart
from kact_cli.formats.parquet.pages import Buffer, EncodedChunk, PageEncoder, PageFormat
from kact_cli.messages import listed

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

PAGE_BYTES = 256 << 10
"""Of values in a page, and a batch of one column: they stay in the second-level cache."""
READ_BYTES, READ_TOGETHER = 256 << 10, 4 << 20
"""Read at once from a column chunk; from all of them, where most are longer than that."""

Compute = Callable[["pa.RecordBatch"], Sequence["pa.Array"]]
"""Rows of some columns -> the same rows of the same columns, computed: same types, same nulls."""

Emit = Callable[[Sequence[Buffer]], None]
"""Takes the bytes of the encoded chunks, in order."""


@dataclass(frozen=True)
class EncodeUnit:
    """The columns of one row group that have to be computed together."""

    path: str
    row_group: int
    rows: int
    columns: tuple[str, ...]
    """Top-level columns of one leaf each, in the file's order."""
    forms: tuple[PageFormat, ...]
    """What each column's new chunk takes over from its old one."""
    batch_rows: int
    """Rows decoded and computed at a time."""


def open_file(path: str, metadata: pq.FileMetaData | None = None) -> pq.ParquetFile:
    """Open a Parquet file for reading in order, in little memory.

    `metadata` spares parsing the footer again.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pa.OSFile(path)
    metadata = metadata or pq.read_metadata(file)
    columns = max(1, metadata.num_columns)
    size = READ_BYTES
    if metadata.num_row_groups and metadata.row_group(0).total_byte_size > READ_BYTES * columns:
        size = max(1, min(size, READ_TOGETHER // columns))
    return pq.ParquetFile(
        file,
        metadata=metadata,
        pre_buffer=False,
        buffer_size=size,
        page_checksum_verification=True,
    )


class ColumnReader:
    """A Parquet file open for decoding; for one thread at a time.

    `metadata` spares parsing the footer again. Raises DataError where the file is broken.
    """

    def __init__(self, path: str, metadata: pq.FileMetaData | None = None) -> None:
        with _as_data_error():
            self._file = open_file(path, metadata)

    @property
    def metadata(self) -> pq.FileMetaData:
        return self._file.metadata

    @property
    def schema(self) -> pa.Schema:
        return self._file.schema_arrow

    def read_columns(
        self, row_group: int, columns: Sequence[str], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The columns (top-level, in the file's order) of a row group, `batch_rows` at a time.

        Raises DataError where pages are broken, checksums differ, or there are more or fewer rows
        than the footer says.
        """
        expected = self.metadata.row_group(row_group).num_rows
        rows = 0
        with _as_data_error(f"row group {row_group}, column {listed(columns)}: "):
            for batch in self._file.iter_batches(
                batch_rows, row_groups=[row_group], columns=list(columns), use_threads=False
            ):
                rows += batch.num_rows
                if batch.schema.names != list(columns):
                    raise ValueError(f"asked for {columns}, got {batch.schema.names}")
                yield batch
        if rows != expected:
            raise DataError(
                f"broken Parquet file: row group {row_group} has {rows:,} rows, "
                f"its footer says {expected:,}"
            )


@contextmanager
def _as_data_error(where: str = "") -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"broken Parquet file: {where}{reason}") from error


def encode_unit(
    unit: EncodeUnit, compute: Compute, emit: Emit, source: ColumnReader
) -> list[EncodedChunk]:
    """Do `unit`: `emit` the bytes of its column chunks, one after another; return what they are.

    A single column's pages are emitted as they are made; those of further columns wait.
    """
    columns = [_Column(form) for form in unit.forms]
    for batch in source.read_columns(unit.row_group, unit.columns, unit.batch_rows):
        results = compute(batch)
        if [(r.type, len(r)) for r in results] != [(c.type, len(c)) for c in batch.columns]:
            raise ValueError("computed columns have other types or lengths")
        for column, array in zip(columns, results, strict=True):
            column.add(array)
        columns[0].flush(emit)
    chunks = []
    for column in columns:
        column.end_page()
        column.flush(emit)
        chunks.append(column.encoder.finish())
    return chunks


class _Column:
    """A column on its way into pages of a useful size, whatever the size of the batches."""

    def __init__(self, form: PageFormat) -> None:
        self.encoder = PageEncoder(form)
        self._leaf = form.leaf
        self._parts: list[Values] = []
        self._bytes = 0
        self._pages: list[Buffer] = []

    def add(self, array: pa.Array) -> None:
        for part in take_apart(array, self._leaf, PAGE_BYTES):
            if self._bytes + part.values.nbytes > PAGE_BYTES:
                self.end_page()
            self._parts.append(part)
            self._bytes += part.values.nbytes

    def end_page(self) -> None:
        if self._parts:
            self._pages += self.encoder.page(join(self._parts, self._leaf))
            self._parts, self._bytes = [], 0

    def flush(self, emit: Emit) -> None:
        emit(self._pages)
        self._pages = []

"""One piece of work on a Parquet file: decode some columns of a row group, compute, encode.

An `EncodeUnit` is a description; it pickles, and any thread or process can do it. pyarrow decodes,
a few thousand rows at a time, so that a batch stays in the cache on its way and a row group of any
size takes no more memory than the pages that are still waiting to be written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kact_cli.errors import DataError, prefixed
from kact_cli.files.descriptors import read_part, write_full
from kact_cli.files.temporary import TemporaryFile, temporary_file
from kact_cli.formats.parquet.levels import Values, join, take_apart
from kact_cli.formats.parquet.pages import Buffer, EncodedChunk, PageEncoder, PageFormat
from kact_cli.formats.parquet.read import RowGroupReader

if TYPE_CHECKING:
    import pyarrow as pa

PAGE_BYTES = 256 << 10
"""Of values in a page, and a batch of one column: they stay in the second-level cache."""
LEAST_PAGE = 8 << 10
"""Of values in a page, where there are many columns to be computed together."""
WAITING_BYTES = 16 << 20
"""Of values that are not a page yet; of pages that wait for those of the columns before theirs."""
PIECE_BYTES = 1 << 20
"""Read at once of pages that have waited in a file."""
Compute = Callable[[Sequence[int], "pa.RecordBatch"], Sequence["pa.Array"]]
"""Positions of some columns and some of their rows -> what comes of each, with the same nulls."""

Emit = Callable[[Sequence[Buffer]], None]
"""Takes the bytes of the encoded chunks, in order."""


@dataclass(frozen=True)
class EncodeUnit:
    """The columns of one row group that have to be computed together."""

    row_group: int
    columns: tuple[int, ...]
    """The positions of columns of the source, of one leaf each, rising."""
    types: tuple[pa.DataType, ...]
    """Of what comes of each."""
    forms: tuple[PageFormat, ...]
    """What the new chunk of each is like."""
    batch_rows: int
    """Rows decoded and computed at a time."""


def encode_unit(
    unit: EncodeUnit, compute: Compute, emit: Emit, source: RowGroupReader
) -> list[EncodedChunk]:
    """Do `unit`: `emit` the bytes of its column chunks, one after another; return what they are.

    The first column's pages are emitted as they are made; those of further columns wait, beyond
    WAITING_BYTES in a temporary file.
    """
    page_bytes = min(PAGE_BYTES, max(LEAST_PAGE, WAITING_BYTES // len(unit.forms)))
    columns = [_Column(form, page_bytes) for form in unit.forms]
    with _Overflow() as overflow:
        for batch in source.batches(unit.row_group, unit.columns, unit.batch_rows):
            results = compute(unit.columns, batch)
            if [(r.type, len(r)) for r in results] != [(t, batch.num_rows) for t in unit.types]:
                raise ValueError("computed columns have other types or lengths")
            for column, array in zip(columns, results, strict=True):
                column.add(array)
            columns[0].flush(emit, overflow)
            if sum(column.waiting for column in columns) > WAITING_BYTES:
                for column in columns:
                    column.make_room(overflow)
        chunks = []
        for column in columns:
            column.end_page()
            column.flush(emit, overflow)
            chunks.append(column.encoder.finish())
        return chunks


class _Column:
    """A column on its way into pages of a useful size, whatever the size of the batches."""

    def __init__(self, form: PageFormat, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self.encoder = PageEncoder(form)
        self._leaf = form.leaf
        self._parts: list[Values] = []
        self._bytes = 0
        self._pages: list[Buffer] = []
        self._overflow: list[tuple[int, int]] = []
        """Where the pages before these are in the temporary file, and how many bytes they are."""
        self.waiting = 0
        """Bytes of pages in memory."""

    def add(self, array: pa.Array) -> None:
        for part in take_apart(array, self._leaf, self._page_bytes):
            if self._bytes + part.values.nbytes > self._page_bytes:
                self.end_page()
            self._parts.append(part)
            self._bytes += part.values.nbytes

    def end_page(self) -> None:
        if self._parts:
            page = self.encoder.page(join(self._parts, self._leaf))
            self._pages += page
            self.waiting += sum(memoryview(buffer).nbytes for buffer in page)
            self._parts, self._bytes = [], 0

    def make_room(self, overflow: _Overflow) -> None:
        """Put the pages into the temporary file."""
        if self._pages:
            self._overflow.append(overflow.add(self._pages))
            self._pages, self.waiting = [], 0

    def flush(self, emit: Emit, overflow: _Overflow) -> None:
        for start, size in self._overflow:
            for at in range(start, start + size, PIECE_BYTES):
                emit([overflow.read(at, min(PIECE_BYTES, start + size - at))])
        emit(self._pages)
        self._pages, self._overflow, self.waiting = [], [], 0


class _Overflow(contextlib.ExitStack):
    """A temporary file for pages that are too many to wait in memory; made when it is needed."""

    def __init__(self) -> None:
        super().__init__()
        self._file: TemporaryFile | None = None
        self._end = 0

    def add(self, buffers: Sequence[Buffer]) -> tuple[int, int]:
        """Where the bytes are put, and how many they are."""
        self._file = file = self._file or self.enter_context(temporary_file())
        start = self._end
        with prefixed(file.name, OSError):
            for buffer in buffers:
                write_full(file.fd, buffer, self._end)
                self._end += memoryview(buffer).nbytes
        return start, self._end - start

    def read(self, at: int, size: int) -> bytes:
        assert self._file is not None
        with prefixed(self._file.name):
            data = read_part(self._file.fd, size, at)
            if len(data) != size:
                raise DataError("it became shorter")
        return data

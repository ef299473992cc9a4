"""One piece of work on a Parquet file: decode some columns of a row group, compute, encode.

An `EncodeUnit` is a description; it pickles, and any thread or process can do it. pyarrow decodes,
a few thousand rows at a time, so that a batch stays in the cache on its way and a row group of any
size takes no more memory than the pages that are still waiting to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kact_cli.formats.parquet.levels import Values, join, take_apart
from kact_cli.formats.parquet.pages import Buffer, EncodedChunk, PageEncoder, PageFormat
from kact_cli.formats.parquet.read import RowGroupReader

if TYPE_CHECKING:
    import pyarrow as pa

PAGE_BYTES = 256 << 10
"""Of values in a page, and a batch of one column: they stay in the second-level cache."""
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


def encode_unit(
    unit: EncodeUnit, compute: Compute, emit: Emit, source: RowGroupReader
) -> list[EncodedChunk]:
    """Do `unit`: `emit` the bytes of its column chunks, one after another; return what they are.

    A single column's pages are emitted as they are made; those of further columns wait.
    """
    columns = [_Column(form) for form in unit.forms]
    for batch in source.batches(unit.row_group, unit.columns, unit.batch_rows):
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

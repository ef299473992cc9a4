"""The numbers in a file of any format, block by block: what `inspect` and `compare` read.

A .npy is one tensor, whose elements come in the order of the file. A table is its numeric columns,
whose values come some rows at a time; in CSV they are float64.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kact_cli.engine.layout import runs
from kact_cli.errors import DataError
from kact_cli.files.source import Source, open_source
from kact_cli.formats.declared import CSV, NPY, Format
from kact_cli.formats.detect import detect
from kact_cli.formats.npy import Header, read_header
from kact_cli.options import Options
from kact_cli.tables.columns import Column, Kind, select
from kact_cli.types import Array, Shape

if TYPE_CHECKING:
    from kact_cli.formats.base import TableReader
    from kact_cli.formats.csv.parse import ParsedBlock
    from kact_cli.formats.csv.table import Text

BLOCK_BYTES = 1024 * 1024


class ColumnBlock(NamedTuple):
    """Some rows of a column: their values, as a vector in native byte order.

    `nulls` is true where a value is null; None: nowhere. `offsets` are where each row's values
    start and end, for a column of lists; None: one value a row.
    """

    values: Array
    nulls: Array | None = None
    offsets: Array | None = None

    @property
    def rows(self) -> int:
        return len(self.values) if self.offsets is None else len(self.offsets) - 1

    def slice(self, first: int, last: int) -> ColumnBlock:
        """Rows `first` to `last`, exclusive."""
        offsets = None
        if self.offsets is not None:
            offsets = self.offsets[first : last + 1]
            first, last = int(offsets[0]), int(offsets[-1])
            offsets = offsets - first
        nulls = None if self.nulls is None else self.nulls[first:last]
        return ColumnBlock(self.values[first:last], nulls, offsets)


class NpyTensor(NamedTuple):
    """An open .npy."""

    source: Source
    header: Header

    @property
    def format(self) -> Format:
        return NPY

    @classmethod
    def open(cls, source: Source) -> NpyTensor:
        """Read the header; raises DataError where the file is not as long as it says."""
        try:
            header = read_header(source.reader())
        except DataError as e:
            raise DataError(f"{source.name} {e}") from e
        if source.size is not None and header.end > source.size:
            raise DataError(
                f"{source.name} is truncated: {source.size:,} bytes of the {header.end:,} that it "
                "claims"
            )
        return cls(source, header)

    def seekable(self, stack: contextlib.ExitStack) -> NpyTensor:
        """The same, from a temporary file (which `stack` closes) where it comes through a pipe."""
        if self.source.size is not None:
            return self
        spooled = stack.enter_context(contextlib.closing(self.source.spool()))
        return NpyTensor(spooled, self.header._replace(offset=0))

    def blocks(self) -> Iterator[Array]:
        """All elements, in the order of the file, as vectors in the file's dtype."""
        dtype = self.header.dtype
        each = BLOCK_BYTES // dtype.itemsize
        for first in range(0, self.header.size, each):
            yield self.read(first, min(each, self.header.size - first))

    def read(self, first: int, count: int) -> Array:
        """`count` elements from number `first`, in the order of the file."""
        dtype = self.header.dtype
        block = np.empty(count, dtype)
        view = block.view(np.uint8).data
        if self.source.read_at(view, self.header.offset + first * dtype.itemsize) < len(view):
            raise DataError(f"{self.source.name} is truncated: it ends before the tensor does")
        return block

    def box(self, start: Shape, shape: Shape) -> Array:
        """A box of the tensor as a C-contiguous array, whatever the order of the file."""
        dims = self.header.shape
        if self.header.fortran_order:
            dims, start, shape = dims[::-1], start[::-1], shape[::-1]
        parts = [self.read(first, count) for first, count in runs(dims, start, shape)]
        block = (parts[0] if len(parts) == 1 else np.concatenate(parts)).reshape(shape)
        return np.ascontiguousarray(block.T) if self.header.fortran_order else block


class OpenTable(NamedTuple):
    """An open table: its columns, and the values of the numeric ones."""

    source: Source
    format: Format
    columns: list[Column]
    reader: Any
    """What read the schema (a TableReader, or a `text.Text`) and knows more of the format."""
    blocks: Callable[[Sequence[int]], Iterator[list[ColumnBlock]]]
    """The values of the columns at some positions, rising, some rows at a time."""


def numeric(columns: Sequence[Column], options: Options) -> list[int]:
    """The positions of the columns that hold numbers, or of those that the user chose."""
    include = options.columns
    if not include:
        include = tuple(c.name for c in columns if c.kind is not Kind.OTHER)
    return select(columns, include, options.exclude) if include else []


@contextlib.contextmanager
def open_numbers(
    path: str, options: Options | None = None, *, again: bool = False
) -> Iterator[NpyTensor | OpenTable]:
    """Open a file, or `-`, in any format. A pipe is spooled where its format is not read in order,
    or (`again`) where it has to be read more than once."""
    options = options or Options()
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(open_source(path)))
        found = detect(source, options.source_format)
        if source.size is None and (found.seeks or again):
            source = stack.enter_context(contextlib.closing(source.spool()))
        if found is NPY:
            yield NpyTensor.open(source)
            return
        # Before pyarrow is imported: its own pool keeps what it was given
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
        if found is CSV:
            from kact_cli.formats.csv.table import Text

            text = Text(source, options)
            yield OpenTable(source, found, text.columns, text, partial(_csv_blocks, text))
        else:
            from kact_cli.formats.open import open_reader

            yield batches(source, found, open_reader(found, source, options))


def batches(source: Source, found: Format, reader: TableReader) -> OpenTable:
    """The table that `reader` reads as record batches."""
    from kact_cli.tables.arrays import describe

    columns = [describe(field) for field in reader.schema]

    def blocks(positions: Sequence[int]) -> Iterator[list[ColumnBlock]]:
        for batch in reader.batches(positions):
            yield [block_of(column) for column in batch.columns]

    return OpenTable(source, found, columns, reader, blocks)


def block_of(array: Any) -> ColumnBlock:
    """The values of an Arrow array of numbers, or of lists of them."""
    from kact_cli.tables.arrays import Leaves, null_mask, row_offsets, values

    leaves = Leaves.of(array)
    if leaves.array is leaves.values:
        return ColumnBlock(values(array), null_mask(array))
    return ColumnBlock(values(leaves.values), leaves.nulls(), row_offsets(array))


def _csv_blocks(text: Text, positions: Sequence[int]) -> Iterator[list[ColumnBlock]]:
    from kact_cli.formats.csv.parse import parse

    for _, blocks in text.in_order(
        lambda block: _columns(parse(block, text.dialect, list(positions))), None
    ):
        yield blocks


def _columns(parsed: ParsedBlock) -> tuple[int, list[ColumnBlock]]:
    nulls = parsed.nulls
    return parsed.records, [
        ColumnBlock(parsed.numbers[:, i], None if nulls is None else nulls[:, i])
        for i in range(parsed.numbers.shape[1])
    ]

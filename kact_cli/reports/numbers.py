"""The numbers in a file of any format, block by block: what `inspect` and `compare` read.

A .npy is one tensor, whose elements come in the order of the file; an archive is several. A table
is its numeric columns, whose values come some rows at a time; in CSV they are float64.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kact_cli.errors import UsageError
from kact_cli.files.source import Source, open_source
from kact_cli.formats.declared import Format
from kact_cli.formats.detect import detect
from kact_cli.formats.npy import NpyTensor
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.tables.columns import Column, Kind, select

if TYPE_CHECKING:
    from kact_cli.formats.archive import ArchiveReader
    from kact_cli.formats.base import TableReader


@dataclass(frozen=True)
class OpenTable:
    """A table open for reading: `columns` are all there are, `reader` gives the numbers in them."""

    source: Source
    format: Format
    reader: TableReader

    @property
    def columns(self) -> Sequence[Column]:
        return self.reader.columns

    @property
    def fields(self) -> Sequence[Column]:
        """The columns, then the fields of structs in them: whatever may be named."""
        columns = self.reader.columns
        return [*columns, *self.reader.fields[len(columns) :]]


@dataclass(frozen=True)
class OpenArchive:
    """An archive open for reading: `columns` are all its members."""

    source: Source
    format: Format
    reader: ArchiveReader

    @property
    def columns(self) -> Sequence[Column]:
        return self.reader.columns

    def tensor(self, index: int) -> NpyTensor:
        """A member. Raises DataError for what is no tensor, or broken."""
        return NpyTensor(self.reader.open(index), self.reader.tensor(index))

    def chosen(self, options: Options) -> list[int]:
        """The members that a chain would compute."""
        return self.reader.selected(options)

    def only(self, options: Options) -> NpyTensor:
        """The one tensor that is chosen. Raises UsageError where there are more."""
        chosen = self.chosen(options)
        if len(chosen) > 1:
            names = listed([self.columns[i].name for i in chosen])
            raise UsageError(
                f"{self.source.name} has {len(chosen)} tensors; --columns chooses: {names}"
            )
        return self.tensor(chosen[0])


Numbers = NpyTensor | OpenTable | OpenArchive
"""A file open for reading, of whatever kind."""


def numeric(columns: Sequence[Column], options: Options, noun: str = "column") -> list[int]:
    """The positions of the columns that hold numbers, or of those that the user chose."""
    include = options.columns
    if not include:
        include = tuple(c.name for c in columns if c.kind is not Kind.OTHER)
    return select(columns, include, options.exclude, noun=noun) if include else []


@contextlib.contextmanager
def open_numbers(
    path: str | Source, options: Options | None = None, *, again: bool = False
) -> Iterator[Numbers]:
    """Open a file, or `-`, in any format; a source that is open already is not closed.

    A pipe is spooled where its format is not read in order, or (`again`) where it has to be read
    more than once.
    """
    options = options or Options()
    with contextlib.ExitStack() as stack:
        source = path if isinstance(path, Source) else open_source(path)
        if source is not path:
            stack.enter_context(contextlib.closing(source))
        found = detect(source, options.source_format)
        # A tensor comes in order; who needs it in another spools it
        seeks = found.seeks and found.kind != "tensor"
        if source.size is None and (seeks or again):
            source = stack.enter_context(source.spool())
        if found.kind == "tensor":
            yield NpyTensor.open(source, options.source_dtype)
        elif found.kind == "archive":
            from kact_cli.formats.open import archive_reader

            yield OpenArchive(source, found, archive_reader(found, source, options))
        else:
            from kact_cli.formats.open import open_reader

            reader = open_reader(found, source, options)
            yield OpenTable(source, found, stack.enter_context(contextlib.closing(reader)))
        source.check_unchanged()

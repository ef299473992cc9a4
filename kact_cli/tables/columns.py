"""Which columns of a table are the tensor.

By default the floating-point columns and the lists of them; where there are none, the integer ones.
`--columns` and `--exclude` take names and globs (`logit_*,score`), separated by commas; a name that
has a comma in it is given by itself.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from kact_cli.errors import UsageError
from kact_cli.messages import listed, nearest
from kact_cli.types import Array


class Kind(Enum):
    """What a column holds, as far as taking part goes."""

    FLOAT = "floating point"
    LIST = "lists of floating point"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    EMPTY = "nothing yet"
    """A column of text that has no value where it is looked at: it takes part when named."""
    OTHER = "no number"


class Column(NamedTuple):
    """A column of a table: its name, what it holds, and its type as its format names it."""

    name: str
    kind: Kind
    type: str


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


def select(
    columns: Sequence[Column],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    warn: Callable[[str], None] = lambda _: None,
    noun: str = "column",
) -> list[int]:
    """The positions of the columns that make up the tensor, rising; messages call each a `noun`.

    Raises UsageError for a name that no column has, for a named column that holds no numbers, and
    where nothing is left.
    """
    left_out = excluded(columns, exclude, noun)
    if include:
        chosen = set()
        for pattern in _patterns(include, columns):
            found = _matching(pattern, columns, noun)
            if len(found) == 1 and columns[found[0]].kind is Kind.OTHER:
                column = columns[found[0]]
                raise UsageError(f"{noun} '{column.name}' is {column.type}, which is no number")
            chosen |= {i for i in found if columns[i].kind is not Kind.OTHER}
        chosen -= left_out
    else:
        kinds = {Kind.FLOAT, Kind.LIST}
        chosen = {i for i, c in enumerate(columns) if c.kind in kinds} - left_out
        if not chosen:
            chosen = {i for i, c in enumerate(columns) if c.kind is Kind.INTEGER} - left_out
            if chosen:
                names = [columns[i].name for i in sorted(chosen)]
                warn(f"no floating-point {noun}s; taking the integer ones: {listed(names)}")
        if all(column.kind is Kind.EMPTY for column in columns):
            chosen = set(range(len(columns))) - left_out  # a CSV of nothing but its header
    if not chosen:
        there = listed([f"{c.name} ({c.type})" for c in columns]) or "none"
        raise UsageError(f"no {noun} left to compute; there are: {there}")
    return sorted(chosen)


def excluded(columns: Sequence[Column], exclude: Sequence[str], noun: str = "column") -> set[int]:
    """The positions of the columns that names and globs leave out."""
    return {i for pattern in _patterns(exclude, columns) for i in _matching(pattern, columns, noun)}


def _patterns(given: Sequence[str], columns: Sequence[Column]) -> list[str]:
    names = {c.name for c in columns}
    split: list[str] = []
    for text in given:
        split += [text] if text in names else [p.strip() for p in text.split(",") if p.strip()]
    return split


def _matching(pattern: str, columns: Sequence[Column], noun: str) -> list[int]:
    exact = [i for i, c in enumerate(columns) if c.name == pattern]
    found = exact or [i for i, c in enumerate(columns) if fnmatch.fnmatchcase(c.name, pattern)]
    if not found:
        names = [c.name for c in columns]
        hint = nearest(pattern, names) or f"; there are: {listed(names)}"
        raise UsageError(f"no {noun} '{pattern}'{hint}")
    return found

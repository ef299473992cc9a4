"""Which columns of a table are the tensor.

By default the floating-point and decimal columns and the lists of them; where there are none, the
integer ones.
Where the kind of a column is a guess, as in a CSV, what is left out is said, save for identifiers.
`--columns` and `--exclude` take names and globs (`logit_*,score`), separated by commas; a name that
has a comma in it is given by itself.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from kact_cli.errors import DataError, UsageError
from kact_cli.messages import clipped, listed, nearest, typed
from kact_cli.types import Array


class Kind(Enum):
    """What a column holds, as far as taking part goes."""

    FLOAT = "floating point"
    DECIMAL = "decimal"
    LIST = "lists of floating point or decimals"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    """As lists of other numbers, it takes part when named."""
    OTHER_LIST = "lists of other numbers"
    EMPTY = "nothing yet"
    """A column of text that has no value where it is looked at: it takes part when named."""
    OTHER = "no number"


class Column(NamedTuple):
    """A column of a table: its name, what it holds, and its type as its format names it."""

    name: str
    kind: Kind
    type: str
    guessed: bool = False
    """Whether `kind` is what the first records show, and not what the format says."""
    counts: bool = False
    """Whether its first values are whole numbers that rise by one, as identifiers do."""
    example: str = ""
    """Where the first cell of a CSV is that makes it text."""
    mixed: bool = False
    """Whether most of what is text otherwise are numbers."""
    fault: str = "not numeric"
    """Why it is not computed, of what is no number or not taken for one."""
    inner: bool = False
    """Whether it is a field of a struct, which takes part when named."""
    is_index: bool = False
    """Whether it is what pandas has as the index of its rows, which takes part when named."""


BY_DEFAULT = (Kind.FLOAT, Kind.DECIMAL, Kind.LIST)
"""What takes part unless the user says otherwise."""


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


NAMELESS = "''"
"""What a message shows of a column without a name."""
_IDENTIFIER = re.compile(
    r"(?i:(.*[_ .-])?(ids?|uuid|index|idx)|unnamed: \d+(\.\d+)?)|.*[a-z](Id|ID|Index)"
)


def select(
    columns: Sequence[Column],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    warn: Callable[[str], None] = lambda _: None,
    noun: str = "column",
) -> list[int]:
    """The positions of the columns that make up the tensor, rising; messages call each a `noun`.

    Raises UsageError for a name that no column has, for a named column that holds no numbers, and
    where nothing is left; DataError where there are no numbers to begin with.
    """
    left_out = excluded(columns, exclude, noun)
    chosen = _named(columns, include, noun) if include else _default(columns, left_out, warn, noun)
    chosen -= left_out
    if not chosen:
        there = listed([f"{clipped(c.name) or NAMELESS} ({c.type})" for c in columns]) or "none"
        if not include and not exclude and any(c.guessed for c in columns):
            raise DataError(f"no {noun} holds numbers; there are: {there}")
        raise UsageError(f"no {noun} left to compute; there are: {there}")
    named = _patterns(include, columns)
    for i in sorted(chosen):
        if _identifies(columns, i) and columns[i].name not in named:
            name = columns[i].name
            way = f"--exclude {typed(name)} leaves it alone"
            warn(f"column '{clipped(name)}' looks like an identifier; {way}")
    return sorted(chosen)


def added(columns: Sequence[Column], chosen: Iterable[int], suffix: str) -> list[str]:
    """The names of the results of `chosen`, where they are added beside what there is.

    Raises UsageError for a name that there is already.
    """
    names = {column.name for column in columns}
    new: list[str] = []
    for i in chosen:
        name = columns[i].name + suffix
        if name in names:
            twice = "two results would be" if name in new else "there is a column"
            raise UsageError(f"{twice} called '{clipped(name)}'; choose another --suffix")
        names.add(name)
        new.append(name)
    return new


def unseen(
    columns: Sequence[Column],
    chosen: Iterable[int],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> list[int]:
    """The positions of the columns that were left out on a guess, which a fraction disproves."""
    if include:
        return []
    decided = {*chosen, *excluded(columns, exclude)}
    guesses = (Kind.INTEGER, Kind.EMPTY)
    return [
        i for i, c in enumerate(columns) if c.guessed and c.kind in guesses and i not in decided
    ]


def excluded(columns: Sequence[Column], exclude: Sequence[str], noun: str = "column") -> set[int]:
    """The positions of the columns that names and globs leave out."""
    return {i for pattern in _patterns(exclude, columns) for i in _matching(pattern, columns, noun)}


def _named(columns: Sequence[Column], include: Sequence[str], noun: str) -> set[int]:
    chosen = set()
    for pattern in _patterns(include, columns):
        found = _matching(pattern, columns, noun)
        if len(found) == 1 and columns[found[0]].kind is Kind.OTHER:
            it = columns[found[0]]
            where = f" ({it.example})" if it.example else ""
            what = f"{noun} '{clipped(it.name)}' is {clipped(it.type)}"
            raise UsageError(f"{what}, {it.fault}{where}")
        chosen |= {i for i in found if columns[i].kind is not Kind.OTHER}
    return chosen


def _default(
    columns: Sequence[Column], left_out: set[int], warn: Callable[[str], None], noun: str
) -> set[int]:
    """The floating-point columns, or else the integer ones; what is surprising in that is said."""
    rest = [i for i, c in enumerate(columns) if i not in left_out and not (c.inner or c.is_index)]
    chosen = {i for i in rest if columns[i].kind in BY_DEFAULT}
    whole = [i for i in rest if columns[i].kind is Kind.INTEGER]
    values = [i for i in whole if not (_identifies(columns, i) or columns[i].counts)]
    mixed = [columns[i].name for i in rest if columns[i].mixed]
    if mixed:
        first = next(columns[i] for i in rest if columns[i].mixed)
        which = columns_named(mixed)
        warn(f"{which} passes as text, though there are numbers in it ({first.example})")
    if not chosen and whole:
        chosen = set(values or (i for i in whole if not _identifies(columns, i)))
        taken = listed([typed(columns[i].name) for i in sorted(chosen or whole)])
        if not chosen:
            raise UsageError(f"no {noun} holds numbers but identifiers: {taken}; -c takes them in")
        warn(f"no floating-point {noun}s; taking the integer ones: {taken}")
    elif any(columns[i].guessed for i in values):
        names = [columns[i].name for i in values if columns[i].guessed]
        which = typed(",".join(names))
        every = typed(",".join(columns[i].name for i in sorted({*chosen, *values})))
        warn(
            f"{columns_named(names)} holds whole numbers and is left out; to compute it too: "
            f"-c {every}; to leave it out: --exclude {which}"
        )
    if all(c.kind is Kind.EMPTY and not c.guessed for c in columns):
        chosen = set(rest)  # a CSV of nothing but its header
    return chosen


def columns_named(names: Sequence[str]) -> str:
    """Columns as the subject of a sentence in the singular."""
    if len(names) == 1:
        return f"column '{clipped(names[0])}'"
    return f"each of the columns {listed([clipped(name) for name in names])}"


def _identifies(columns: Sequence[Column], i: int) -> bool:
    """Whether a column's name says that its numbers are no values but identify the rows."""
    numeric = columns[i].kind in (Kind.INTEGER, Kind.FLOAT, Kind.DECIMAL)
    unnamed = i == 0 and not columns[i].name and columns[i].guessed
    return numeric and (unnamed or _IDENTIFIER.fullmatch(columns[i].name) is not None)


def _patterns(given: Sequence[str], columns: Sequence[Column]) -> list[str]:
    names = {c.name for c in columns}
    split: list[str] = []
    for text in given:
        split += [text] if text in names else [p.strip() for p in text.split(",") if p.strip()]
    return split


def _matching(pattern: str, columns: Sequence[Column], noun: str) -> list[int]:
    exact = [i for i, c in enumerate(columns) if c.name == pattern]
    found = exact or [
        i
        for i, c in enumerate(columns)
        # A glob that has no dot is not about what is inside
        if fnmatch.fnmatchcase(c.name, pattern) and ("." in pattern or not c.inner)
    ]
    if not found:
        names = [clipped(c.name) for c in columns]
        is_glob = any(mark in pattern for mark in "*?[")
        close = nearest(pattern, _globs(names) if is_glob else names)
        matches = " matches" if is_glob else ""
        hint = close or f"; there are: {listed([name or NAMELESS for name in names])}"
        raise UsageError(f"no {noun}{matches} '{clipped(pattern)}'{hint}")
    return found


def _globs(names: Sequence[str]) -> list[str]:
    """The globs that were perhaps meant: the starts and ends of names, up to where words part."""
    globs: dict[str, None] = {}
    for name in names:
        for part in re.finditer(r"[_ .-]|(?<=\D)(?=\d)", name):
            globs |= {name[: part.end()] + "*": None, "*" + name[part.start() :]: None}
    return list(globs)

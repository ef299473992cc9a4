"""What a column of a CSV holds, by its cells in the head of the file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from kact_cli.formats.csv.spelling import Cell, Spelling, bare, shown
from kact_cli.tables.columns import Column, Kind

NUMBERS, MIXED = 1 / 2, 1 / 3
"""Of cells that are numbers, fractions among them: from here on the others are taken for faults,
and from here on for text that is worth a warning."""

_FIGURE = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.I | re.A)
_AMONG_SIGNS = re.compile(r"(?!0$)[^\w\s]{0,2}0[^\d\s]{0,5}", re.A)
"""What `_signs` makes of 50%, $5, 3.5 kg and [0.1, 0.2]."""

_TYPES = {
    Kind.FLOAT: "float64",
    Kind.INTEGER: "integer",
    Kind.EMPTY: "empty",
    Kind.OTHER: "text",
}


def column(name: str, cells: Sequence[str], lines: Sequence[int], spelling: Spelling) -> Column:
    """The column of that name, with these cells, in records that begin on these lines."""
    if not any(cells):
        return _empty(name, len(cells) > 0)
    found = [bare(cell) for cell in cells]
    kinds = [spelling.of(cell) for cell in found]
    fractions = kinds.count(Cell.FRACTION) + kinds.count(Cell.NEARLY)
    codes = kinds.count(Cell.CODE)
    whole = kinds.count(Cell.WHOLE) + codes
    text = kinds.count(Cell.TEXT)
    kind, mixed = Kind.OTHER, False
    if not fractions + whole + text:
        kind = Kind.EMPTY
    elif fractions:
        # Beside text, nan is what is missing
        nans = 0
        if text:
            read = [c for c, is_ in zip(found, kinds, strict=True) if is_ is Cell.FRACTION]
            nans = sum(c.lower().lstrip("+-") == "nan" for c in read)
        numbers = fractions + whole - nans
        share = numbers / (numbers + text)
        kind = Kind.FLOAT if share >= NUMBERS else Kind.OTHER
        mixed = kind is Kind.OTHER and share >= MIXED
    elif not text and not codes:
        kind = Kind.INTEGER
    else:
        mixed = bool(text) and whole > text
    if kind is Kind.OTHER and 2 * text > len(found) - kinds.count(Cell.NULL):
        words = [cell for cell, is_ in zip(found, kinds, strict=True) if is_ is Cell.TEXT]
        signs, count = Counter(map(_signs, words)).most_common(1)[0]
        mixed |= bool(_AMONG_SIGNS.fullmatch(signs)) and 2 * count > len(words)
    example = ""
    if kind is Kind.OTHER:
        odd = (Cell.TEXT, Cell.CODE)[not text]
        at = kinds.index(odd)
        example = f"line {lines[at] + 1:,}: {shown(found[at])}"
    return Column(
        name,
        kind,
        _TYPES[kind],
        guessed=len(cells) > 0,
        counts=kind is Kind.INTEGER and _rises(found, kinds),
        example=example,
        mixed=mixed,
    )


def _signs(cell: str) -> str:
    """A cell without spaces, with 0 in place of each number and of each row of numbers in it."""
    return re.sub("0(?:[,;]?0)*", "0", _FIGURE.sub("0", "".join(cell[:200].split())))


@lru_cache(1)  # a line of commas is a file of columns without a name
def _empty(name: str, guessed: bool) -> Column:
    return Column(name, Kind.EMPTY, _TYPES[Kind.EMPTY], guessed=guessed)


def _rises(cells: Sequence[str], kinds: Sequence[Cell]) -> bool:
    """Whether there are several numbers, none missing, each one more than the one before."""
    if len(cells) < 2 or Cell.NULL in kinds or max(map(len, cells)) > 30:
        return False
    start = int(cells[0])
    return all(int(cell) == start + i for i, cell in enumerate(cells))

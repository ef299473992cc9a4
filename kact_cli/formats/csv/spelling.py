"""What a cell is: a number, a null or text. The one rule, for the first records and for the rest.

A number is written as Python, R, pandas and the databases write them: `1`, `-1.5`, `.5`, `1e-3`,
`nan`, `inf`, in any case, with a decimal comma where the user said so; spaces and tabs around it
and quotes do not matter. Nothing else is a number: no thousands separators, no `1D0`, no minus
sign of Unicode, no no-break space.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from kact_cli.messages import clipped, typed

NULLS = frozenset({"", "na", "n/a", "<na>", "#n/a", "null", "none"})
"""Cells, in any case of letters, that hold no number: null, and written back as they were.

An empty cell is what pandas, Polars and DuckDB write for null; NA is R's, null and None are what
databases and Python leave behind. nan is a number.
"""

NULL_NAMES = ("an empty cell", "NA", "N/A", "<NA>", "#N/A", "null", "None")
"""The same for people; a test holds the two together."""

_WHOLE = re.compile(r"[+-]?\d+", re.A)
_CODE = re.compile(r"0\d+", re.A)
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?)", re.I | re.A)
_NEARLY = re.compile(
    r"[+-]?(?:\d+,\d+|\d{1,3}(?:[,.'_\xa0\u202f]\d{3})+(?:[.,]\d+)?|\d{1,3}(?: \d{3})+[.,]\d+"
    r"|(?:\d+\.?\d*|\.\d+)d[+-]?\d+|\d\.#\w+|0x[\da-f]+\.?[\da-f]*p[+-]?\d+)",
    re.I | re.A,
)
_ADDRESS = re.compile(r"\d+(?:\.\d+){3}", re.A)
_UNSEEN = "\ufeff\u200b\x1a\0"
"""What an editor does not show, and Unicode does not call a space."""
_COMMA = re.compile(r"[+-]?\d*,\d+(?:e[+-]?\d+)?", re.I | re.A)


class Cell(Enum):
    """What a cell is."""

    WHOLE = "a whole number"
    CODE = "a whole number with zeros in front, as 007"
    FRACTION = "a number with a fraction or an exponent, nan or inf"
    NULL = "no value"
    NEARLY = "a number, but not as kact reads them: 1,234 or −1 or 1D0, or beside what is unseen"
    TEXT = "any other"


WHOLE = frozenset({Cell.WHOLE, Cell.CODE})
NUMBERS = WHOLE | {Cell.FRACTION}


def bare(cell: str) -> str:
    """The cell without the spaces and the quotes around it, as its number or null is read."""
    cell = cell.strip(" \t")
    if len(cell) >= 2 and cell[0] == cell[-1] == '"':
        cell = cell[1:-1].strip(" \t")
    return cell


class Spelling(NamedTuple):
    """How a file spells its numbers and nulls."""

    nulls: tuple[str, ...] = ()
    """What else is null, letter by letter: `--null`."""
    decimal: str = "."
    """What stands before a fraction: a point or a comma."""

    def of(self, cell: str) -> Cell:
        """What a cell is, which `bare` has been through."""
        if not cell or cell in self.nulls or cell.lower() in NULLS:
            return Cell.NULL
        if _WHOLE.fullmatch(cell):
            return Cell.CODE if _CODE.fullmatch(cell) else Cell.WHOLE
        if _NUMBER.fullmatch(self.pointed(cell)):
            return Cell.FRACTION
        plain = cell.replace("\N{MINUS SIGN}", "-").strip().strip(_UNSEEN)
        number = _NUMBER.fullmatch(plain) or _NUMBER.fullmatch(self.pointed(plain))
        nearly = number or (_NEARLY.fullmatch(plain) and not _ADDRESS.fullmatch(plain))
        return Cell.NEARLY if nearly else Cell.TEXT

    def pointed(self, cell: str) -> str:
        """The cell with point and comma exchanged, where commas are decimal."""
        return cell if self.decimal == "." else cell.translate({44: ".", 46: ","})

    def refusal(self, cell: str, column: str) -> str:
        """What is said of a cell that is no number in a column of numbers, and the way out."""
        way = f"--null {shown(cell)} reads it as missing"
        if self.decimal == "." and _COMMA.fullmatch(cell):
            way = "--decimal , reads decimal commas"
        elif self.decimal == "," and _NUMBER.fullmatch(cell):
            way = "--decimal . reads decimal points"
        alone = f"--exclude {typed(column)} leaves the column alone"
        return f"{shown(cell)} is not a number; {way}, {alone}"


def shown(cell: str) -> str:
    """A cell as a message quotes it."""
    return repr(clipped(cell, 40))

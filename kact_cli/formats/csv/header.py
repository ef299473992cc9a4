"""Whether the first record of a CSV names its columns.

A name stands over numbers: then there is a header. A number stands over numbers: then there is
none, save where the record is what pandas and R write for names, a run 0..n-1 or 1..n, or is
quoted while the numbers are not. Where columns disagree, and where whole numbers stand over
fractions as years do, nobody knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kact_cli.errors import DataError
from kact_cli.formats.csv.spelling import NUMBERS, WHOLE, Cell, Spelling, bare
from kact_cli.messages import clipped
from kact_cli.tables.columns import Column, Kind

_NUMBERS = NUMBERS | {Cell.NEARLY}
"""A number on top is one however it is written."""


def has_header(
    first: Sequence[str],
    below: Sequence[Sequence[str]],
    columns: Sequence[Column],
    spelling: Spelling,
) -> bool:
    """Whether the cells `first` are names, by the cells `below` each, which hold `columns`.

    Raises DataError where they may as well be data.
    """
    top = [spelling.of(bare(cell)) for cell in first]
    over = [i for i, c in enumerate(columns) if c.kind in (Kind.FLOAT, Kind.INTEGER)]
    if not any(below):
        return _alone(first, top)
    quoted = over and all(cell.startswith('"') for cell in first)
    if quoted and not any(cell.startswith('"') for i in over for cell in below[i]):
        return True

    def fractions_alone(i: int) -> bool:
        return all(spelling.of(bare(cell)) not in WHOLE for cell in below[i])

    if over and _is_run(first, top, alone=fractions_alone(over[0])):
        return True
    names = any(top[i] not in _NUMBERS and top[i] is not Cell.NULL for i in over)
    numbers = [i for i in over if top[i] in _NUMBERS]
    row = numbers[-1:] == [numbers[0] + len(numbers) - 1] if numbers else False
    years = all(top[i] in WHOLE for i in numbers) and _stand_as_years(
        [bare(first[i]) for i in numbers],
        [spelling.of(bare(cell)) for i in numbers for cell in below[i]],
        row,
    )
    # As pandas writes an index, and columns that are called by fractions
    index = top[0] is Cell.NULL and (columns[0].kind is Kind.OTHER or columns[0].counts)
    if (names and numbers and not years) or ((years or (index and numbers)) and not names):
        raise _open(first)
    if names or numbers:
        return names
    return not all(cell in _NUMBERS or cell is Cell.NULL for cell in top)


def _stand_as_years(top: Sequence[str], below: Sequence[Cell], row: bool) -> bool:
    """Whether whole numbers stand over fractions for the most part, or count up as names do.

    Names that count up are years, or begin with 0 or 1 in a `row` of columns side by side.
    """
    if not top:
        return False
    years = all(re.fullmatch("[12][0-9]{3}", cell) for cell in top)
    if len(top) > 1 and (years or (row and top[0] in ("0", "1"))):
        return [*top] == [str(int(top[0]) + i) for i in range(len(top))]
    fractions = below.count(Cell.FRACTION)
    return 0 < 2 * fractions >= sum(cell in NUMBERS for cell in below)


def _alone(first: Sequence[str], top: Sequence[Cell]) -> bool:
    """Of a record with none below."""
    numbers = [cell for cell in top if cell in _NUMBERS]
    if not numbers:
        return True
    if len(numbers) + top.count(Cell.NULL) < len(top) or _is_run(first, top, alone=True):
        raise _open(first)
    return False


def _is_run(first: Sequence[str], top: Sequence[Cell], *, alone: bool) -> bool:
    """Whether the cells are 0..n-1 or 1..n, after an empty one or not; `alone`: a single 0 is."""
    rest = [bare(cell) for cell in (first[1:] if top[0] is Cell.NULL else first)]
    if not rest or rest[0] not in ("0", "1") or (len(first) == 1 and (rest != ["0"] or not alone)):
        return False
    return rest == [str(int(rest[0]) + i) for i in range(len(rest))]


def _open(first: Sequence[str]) -> DataError:
    return DataError(
        f"the first record, {clipped(','.join(first))!r}, may be names or data: "
        "say --header or --no-header"
    )

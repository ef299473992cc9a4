"""The preview on the terminal: rows of numbers, the input's beside what became of them.

A table's other columns, which name the rows, are shown in front of them as far as there is room.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from kact_cli.cli.screen.show import cells, colourful, middle_cut, number, padded, shared, short
from kact_cli.messages import counted
from kact_cli.reports.preview import Preview

CELL = 10
"""The least width of a column that has more to show; of one of lists, it is that of a number and
of what says that there are more."""
WIDEST = 400
"""More characters of a cell are never shown."""
MORE = "  ..."
"""After the last column that fits, where there are others."""


@dataclass
class _Column:
    """A column of the picture: what is shown in it, line by line, and how wide it may be."""

    title: str
    values: Sequence[Any]
    width: int = 0

    @property
    def right(self) -> bool:
        return not any(isinstance(v, str) for v in self.values)

    @property
    def most(self) -> int:
        """The width that shows everything."""
        return max([cells(short(self.title)), *(cells(_cell(v)) for v in self.values)])

    @property
    def least(self) -> int:
        """The width that shows a number whole, and enough of anything else."""
        cell = CELL + 3 if any(isinstance(v, list) for v in self.values) else CELL
        whole = (cells(_cell(v)) for v in self.values if not isinstance(v, str | list))
        return max([min(cell, self.most), *whole])

    def shown(self, value: Any) -> str:
        return padded(_cell(value, self.width), self.width, right=self.right)

    @property
    def heading(self) -> str:
        return padded(middle_cut(self.title, self.width), self.width, right=self.right)


def show(found: Preview, *, unasked: bool = False) -> None:
    """Print a preview on standard output, as wide as the terminal.

    `unasked`: it came where an OUTPUT might have been meant, which the last line says.
    """
    colours = colourful()
    for text, dim in lines(found, max(40, shutil.get_terminal_size().columns)):
        click.echo(click.style(text, dim=True) if dim and colours else text, color=colours)
    if unasked:
        click.echo("nothing was written; name an OUTPUT")


def lines(found: Preview, width: int) -> Iterator[tuple[str, bool]]:
    """The lines, and whether each belongs to what was there before, and is shown dimmed."""
    yield from ((line, False) for line in textwrap.wrap(found.result, width))
    if not found.rows or not found.columns:
        yield "no values", False
        return
    label = min(24, width // 3, max(len(layer.label) for layer in found.layers))
    row_width = max(3, *(len(f"{row:,}") for row in found.rows))
    kept, computed = _fitting(found, width - row_width - label - 3)
    more = "" if len(computed) == len(found.columns) else MORE
    yield "", False
    titles = " ".join(column.heading for column in [*kept, *computed])
    yield f"{'row':>{row_width}}  {'':{label}} {titles}{more}".rstrip(), True
    names = sum(column.width + 1 for column in kept)
    before, layers = -1, len(found.layers)
    for i, row in enumerate(found.rows):
        if row != before + 1:
            yield f"{'...':>{row_width}}", True
        for n, layer in enumerate(found.layers):
            first = f"{row:,}" if n == 0 else ""
            named = "".join(c.shown(c.values[i]) + " " for c in kept) if n == 0 else " " * names
            values = " ".join(c.shown(c.values[i * layers + n]) for c in computed)
            name = short(layer.label, label)
            yield f"{first:>{row_width}}  {name:{label}} {named}{values}{more}", n == 0
        before = row
    yield "", False
    for text in (*_left_out(found, len(kept), len(computed)), *_statistics(found)):
        yield from ((line, False) for line in textwrap.wrap(text, width))


def _fitting(found: Preview, room: int) -> tuple[list[_Column], list[_Column]]:
    """The other columns and the computed ones that fit, each as wide as there is room for it.

    The others get two fifths of the room, and what the computed ones leave.
    """
    kept = [_Column(n, [row[i] for row in found.kept_rows]) for i, n in enumerate(found.kept)]
    layers = found.layers
    computed = [
        _Column(name, [layer.rows[i][n] for i in range(len(found.rows)) for layer in layers])
        for n, name in enumerate(found.columns[: room // 2])
    ]
    needed = sum(column.least + 1 for column in computed)
    others = _first(kept, max(2 * room // 5, room - needed))
    left = room - sum(column.least + 1 for column in others)
    shown = _first(computed, left)
    if len(shown) < len(found.columns):
        left -= len(MORE)
        shown = _first(computed, left) or computed[:1]
    both = [*others, *shown]
    least = [column.least for column in both]
    room = left + sum(least[: len(others)]) - len(shown)
    for column, width in zip(both, shared(least, [c.most for c in both], room), strict=True):
        column.width = width
    return others, shown


def _first(columns: Sequence[_Column], room: int) -> list[_Column]:
    """The first of the columns, as many as there is room for."""
    found = []
    for column in columns:
        room -= column.least + 1
        if room < 0:
            break
        found.append(column)
    return found


def _cell(value: Any, width: int = WIDEST) -> str:
    """A value in at most `width` characters; of a list as many numbers as there is room for."""
    if value is None:
        return "null"
    if isinstance(value, list):
        inside = [_cell(v) for v in value[:width]]
        text = f"[{', '.join(inside)}]"
        while len(text) > width and len(inside) > 1:
            inside.pop()
            text = f"[{', '.join(inside)}, ..]"
    elif isinstance(value, float):
        text = number(value, 4)
    else:
        text = str(value)
    return short(text, width)


def _left_out(found: Preview, kept: int, computed: int) -> Iterator[str]:
    """What there was no room for."""
    count, others = len(found.columns), len(found.kept)
    parts = []
    if computed < count:
        parts.append(f"{computed:,} of {count:,} computed columns")
    if kept < others:
        parts.append(f"{kept:,} of the {counted(others, 'other column')}")
    if parts:
        yield f"{' and '.join(parts)} shown"


def _statistics(found: Preview) -> Iterator[str]:
    s = found.summary
    if found.sampled == found.total:
        what = f"all {found.sampled:,} rows" if found.sampled != 1 else "the one row"
    else:
        of = "at the start" if found.total is None else f"of {found.total:,}"
        what = f"a sample of {found.sampled:,} rows {of}"
    yield (
        f"{what}: min {number(s.least) or 'none'}, mean {number(s.mean) or 'none'}, "
        f"max {number(s.most) or 'none'}"
    )
    nulls = f", {s.nulls:,} null" if s.nulls else ""
    yield f"{s.nan:,} NaN, {s.positive_inf + s.negative_inf:,} inf{nulls}"

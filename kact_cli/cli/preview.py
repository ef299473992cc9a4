"""The preview on the terminal: rows of numbers, the input's beside what became of them."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

import click

from kact_cli.cli.show import colourful, number, short
from kact_cli.reports.preview import Preview

CELL = 10
MORE = "  ..."
"""After the last column that fits, where there are others."""


def show(found: Preview) -> None:
    """Print a preview on standard output, as wide as the terminal."""
    colours = colourful()
    for text, dim in lines(found, max(40, shutil.get_terminal_size().columns)):
        click.echo(click.style(text, dim=True) if dim and colours else text, color=colours)


def lines(found: Preview, width: int) -> Iterator[tuple[str, bool]]:
    """The lines, and whether each belongs to what was there before, and is shown dimmed."""
    yield found.result, False
    label = min(24, width // 3, max(len(layer.label) for layer in found.layers))
    row_width = max([len(f"{row:,}") for row in found.rows], default=1)
    room, count = width - row_width - label - 3, len(found.columns)
    if count * (CELL + 1) > room:
        room -= len(MORE)
    shown = found.columns[: max(1, room // (CELL + 1))]
    if not found.rows or not shown:
        yield "nothing in it", False
        return
    more = "" if len(shown) == count else MORE
    titles = " ".join(short(name, CELL).rjust(CELL) for name in shown)
    yield "", False
    yield f"{'row':>{row_width}}  {'':{label}} {titles}{more}", True
    before = -1
    for i, row in enumerate(found.rows):
        if row != before + 1:
            yield f"{'...':>{row_width}}", True
        for n, layer in enumerate(found.layers):
            cells = " ".join(_cell(v) for v in layer.rows[i][: len(shown)])
            first = f"{row:,}" if n == 0 else ""
            name = short(layer.label, label)
            yield f"{first:>{row_width}}  {name:{label}} {cells}{more}", n == 0
        before = row
    yield "", False
    if more:
        text = f"{len(shown):,} of {count:,} columns shown; all {count:,} computed"
        yield from ((line, True) for line in textwrap.wrap(text, width))
    for text in _statistics(found):
        yield from ((line, False) for line in textwrap.wrap(text, width))


def _cell(value: Any) -> str:
    if value is None:
        return "null".rjust(CELL)
    if isinstance(value, list):
        inside = ",".join("null" if v is None else number(v, 3) for v in value[:3])
        return short(f"[{inside}{',..' if len(value) > 3 else ''}]", CELL).rjust(CELL)
    if isinstance(value, int | float):
        return short(number(float(value), 4), CELL).rjust(CELL)
    return short(str(value), CELL).rjust(CELL)


def _statistics(found: Preview) -> Iterator[str]:
    s = found.summary
    if found.sampled == found.total:
        what = f"all {found.sampled:,} rows"
    else:
        of = "at the start" if found.total is None else f"of {found.total:,}"
        what = f"a sample of {found.sampled:,} rows {of}"
    yield (
        f"{what}: min {number(s.least) or 'none'}, mean {number(s.mean) or 'none'}, "
        f"max {number(s.most) or 'none'}"
    )
    nulls = f", {s.nulls:,} null" if s.nulls else ""
    yield f"{s.nan:,} NaN, {s.positive_inf + s.negative_inf:,} inf{nulls}"

"""How numbers and tables are shown: as wide as the terminal, with colours; plain in a pipe.

Tables are rich's, which is imported when there is something to show.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from kact_cli.cli.console import takes_colours
from kact_cli.messages import display

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = ".:-=+*#@"
LONGEST = 32
"""Words of more characters may be broken."""


def number(value: float | int | None, digits: int = 6) -> str:
    """A number in few characters; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, int) and abs(value) < 10**9:
        return f"{value:,}"
    return f"{value:.{digits}g}"


def columns(
    rows: Sequence[Sequence[str]],
    *,
    right: Iterable[int] = (),
    whole: Iterable[int] = (),
    titled: bool = False,
) -> list[str]:
    """Rows of cells as lines; those in the columns `right` flush so, the first row may be titles.

    On a terminal, text wraps between words, save in the columns `right` and `whole`; where that
    alone is too wide for it, each row becomes a block with a line for each title.
    """
    right = frozenset(right)
    whole = right | frozenset(whole)
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    room = width() - 2 * (len(widths) - 1)
    if sum(widths) <= room:  # nothing wraps; rich takes 30 times as long
        lines = [
            "  ".join(padded(c, widths[i], right=i in right) for i, c in enumerate(row)).rstrip()
            for row in rows
        ]
        return [*map(_bold, lines[:1]), *lines[1:]] if titled else lines
    least = [
        width
        if i in whole
        else min(LONGEST, max(cells(w) for row in rows for w in ["", *row[i].split()]))
        for i, width in enumerate(widths)
    ]
    if titled and sum(least) > room:
        lines = []
        for row in rows[1:]:
            pairs = [(f"  {t}", cell) for t, cell in zip(rows[0][1:], row[1:], strict=True)]
            first = f"{rows[0][0]} {row[0]}" if 0 in right else row[0]
            lines += [*wrapped(first, style="bold"), *columns(pairs)]
        return lines
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    fitting = shared(least, widths, room) if sum(least) <= room else [None] * len(widths)
    for i, fixed in enumerate(fitting):
        flush: Any = "right" if i in right else "left"
        grid.add_column(justify=flush, no_wrap=i in whole, overflow="fold", width=fixed)
    for number, row in enumerate(rows):
        style = "bold" if titled and number == 0 else ""
        grid.add_row(*(Text(cell, style) for cell in row))
    return _rendered(grid)


def shared(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """Widths of columns, each at least so wide and at most so wide, that share what room is left.

    The columns get it a character at a time, the first ones first.
    """
    if sum(most) <= room:
        return [*most]
    widths = [*least]
    left = room - sum(widths)
    while left > 0 and (narrow := [i for i, w in enumerate(widths) if w < most[i]]):
        for i in narrow[:left]:
            widths[i] += 1
        left -= len(narrow)
    return widths


def _bold(line: str) -> str:
    return click.style(line, bold=True) if colourful() else line


def wrapped(text: str, *, style: str = "", indent: int = 0) -> list[str]:
    """A text as lines, which on a terminal wraps between words."""
    from rich.padding import Padding
    from rich.text import Text

    return _rendered(Padding(Text(text, style), (0, 0, 0, indent), expand=False))


def _rendered(shown: Any) -> list[str]:
    """What rich makes of it, as lines for `click.echo`."""
    from rich.console import Console

    console = Console(
        width=width(), force_terminal=colourful(), markup=False, emoji=False, highlight=False
    )
    with console.capture() as captured:
        console.print(shown)
    return [line.rstrip() for line in captured.get().splitlines()]


def width() -> int:
    """How many characters a line may take: a pipe has room for any number."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if terminal else 1 << 16


def cells(text: str) -> int:
    """How many characters wide a terminal shows the text: some take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def short(text: str, width: int | None = None) -> str:
    """`text` on one line of at most `width` characters, with nothing that moves the cursor."""
    text = display(text)
    if width is None or cells(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1) + "~"


def middle_cut(text: str, width: int) -> str:
    """The same for a name, which keeps its end too: many names of a file differ there alone."""
    text = display(text)
    if cells(text) <= width:
        return text
    end = text[-(width - 1) // 2 :]
    while cells(end) > width // 2:
        end = end[1:]
    return short(text, width - cells(end)) + end


def padded(text: str, width: int, *, right: bool = False) -> str:
    """`text` with spaces that make it `width` characters wide on a terminal."""
    spaces = " " * (width - cells(text))
    return spaces + text if right else text + spaces


def bars(counts: Sequence[int]) -> str:
    """A histogram in one line; a bin with anything in it is never blank."""
    marks = BARS if unicode() else ASCII_BARS
    most = max(counts, default=0) or 1
    return "".join(marks[math.ceil(c / most * len(marks)) - 1] if c else " " for c in counts)


def unicode() -> bool:
    """Whether standard output can show more than ASCII."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        BARS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def colourful() -> bool:
    """Whether standard output is a terminal that takes colours, and none were refused."""
    return takes_colours() and sys.stdout is not None and sys.stdout.isatty()


def as_json(value: Any) -> str:
    """JSON that every reader takes: infinities and NaN, which it has no numbers for, as text."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value

"""How numbers and tables are shown on a terminal or in a pipe: plain text, safe to print."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from kact_cli.messages import display

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = ".:-=+*#@"


def number(value: float | int | None, digits: int = 6) -> str:
    """A number in few characters; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, int) and abs(value) < 10**9:
        return f"{value:,}"
    return f"{value:.{digits}g}"


def columns(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell; those in `right` flush so.

    On a terminal, what does not fit is cut off rather than wrapped.
    """
    terminal = sys.stdout is not None and sys.stdout.isatty()
    limit = shutil.get_terminal_size().columns if terminal else None
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        lines.append(line if limit is None or len(line) <= limit else f"{line[: limit - 1]}~")
    return lines


def short(text: str, width: int) -> str:
    """`text` on one line of at most `width` characters, with nothing that moves the cursor."""
    text = display(text)
    return text if len(text) <= width else text[: width - 1] + "~"


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
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return False
    return sys.stdout is not None and sys.stdout.isatty()


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

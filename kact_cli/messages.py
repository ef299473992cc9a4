"""How anything is said in one line: sizes, names, lists of names, errors, near misses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from kact_cli.errors import KactError, reason, without_secrets


def display(path: str) -> str:
    """`path` as it can be shown on one line of a terminal, without the secrets of a URI."""
    path = without_secrets(path) or "''"
    return path if path.isprintable() else "".join(map(_printable, path))


def _printable(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def nearest(word: str, known: Mapping[str, Any] | list[str]) -> str:
    """`; did you mean 'X'?` for the known word nearest to `word`, or nothing."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def clipped(text: str, most: int = 60) -> str:
    """The text, or as much of it as a message has room for."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def typed(name: str) -> str:
    """A name, or several with commas, as it is typed in a shell."""
    import shlex

    quoted = shlex.quote("".join(map(_printable, clipped(name))))
    return quoted if name.isprintable() else f"${quoted}"


MOST_NAMES = 20
"""Of many columns, how many a message names."""


def listed(names: Sequence[str]) -> str:
    """The names, separated by commas, for a message: of many only the first."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def human(count: float) -> str:
    """A number of bytes in the largest unit that keeps it above one, of 3 digits: `1.5 MiB`."""
    size, units = float(count), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    if units[0] == "bytes":
        return counted(round(count), "byte")
    return f"{size:,.0f} {units[0]}" if size >= 999.5 else f"{size:.3g} {units[0]}"


def amount(count: float, unit: str) -> str:
    """So many of a unit: `1.5 MiB` for bytes, `12,000 values` for others."""
    return human(count) if unit == "bytes" else f"{count:,.0f} {unit}"


def counted(count: int, one: str, many: str = "") -> str:
    """So many things: `1 row`, `2 rows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def rate(count: float, seconds: float, unit: str = "bytes") -> str:
    """So many of a unit a second: `150 MiB/s`."""
    return f"{amount(count / max(seconds, 1e-9), unit)}/s"


def took(seconds: float) -> str:
    """A time that is over, of 3 digits: `0.0712 s`; from a minute on as `duration`."""
    return f"{seconds:.3g} s" if seconds < 59.5 else duration(seconds)


def duration(seconds: float) -> str:
    """A time in whole seconds: `12 s`, `2:30 min` or `1:05 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"


def describe(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, KactError):
        return str(error)
    if isinstance(error, OSError):
        name = f"{display(os.fsdecode(error.filename))}: " if error.filename else ""
        return name + reason(error)
    if isinstance(error, MemoryError):
        return "not enough memory; a smaller --chunk-size or fewer --jobs may do"
    if is_thread_limit(error):
        return "the system starts no more threads (see ulimit -u and -v)"
    return " ".join(f"{type(error).__name__}: {error}".split())


def is_thread_limit(error: BaseException) -> bool:
    """Whether the system has refused to start a thread; Python has no error of its own for it."""
    return isinstance(error, RuntimeError) and "start new thread" in str(error)

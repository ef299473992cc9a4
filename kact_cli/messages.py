"""How anything is said in one line: sizes, names, lists of names, errors, near misses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kact_cli.errors import KactError, reason, without_secrets

if TYPE_CHECKING:
    pass


def display(path: str) -> str:
    """`path` as it can be shown on one line of a terminal, without the secrets of a URI."""
    path = without_secrets(path)
    return path if path.isprintable() else "".join(map(_printable, path))


def _printable(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def nearest(word: str, known: Mapping[str, Any] | list[str]) -> str:
    """`; did you mean 'X'?` for the known word nearest to `word`, or nothing."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def clipped(text: str, most: int = 60) -> str:
    """The text, or as much of it as a message has room for."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


MOST_NAMES = 20
"""Of many columns, how many a message names."""


def listed(names: Sequence[str]) -> str:
    """The names, separated by commas, for a message: of many only the first."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def human(count: int) -> str:
    """A number of bytes in the largest unit that keeps it above one: `1.5 MiB`."""
    size, units = float(count), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{count:,} bytes" if units[0] == "bytes" else f"{size:.4g} {units[0]}"


def describe(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, KactError):
        return str(error)
    if isinstance(error, OSError):
        return (
            f"{display(os.fsdecode(error.filename))}: {reason(error)}"
            if error.filename
            else (reason(error))
        )
    if isinstance(error, MemoryError):
        return "not enough memory; a smaller --chunk-size or fewer --jobs may do"
    return " ".join(f"{type(error).__name__}: {error}".split())

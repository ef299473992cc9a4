"""Which format a file is in: by what the user said, by its first bytes, by its suffix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kact_cli.errors import DataError, UsageError
from kact_cli.files.source import Source
from kact_cli.formats.declared import CSV, FORMATS, Format
from kact_cli.formats.foreign import HEAD_BYTES, refuse_foreign

if TYPE_CHECKING:
    pass


def detect(source: Source, name: str | None = None) -> Format:
    """The format of an input: as the user said (`name`), by its first bytes, or by its suffix.

    Raises DataError for what is none of kact's formats, and says what it is where that is known.
    """
    if name:
        return by_name(name)
    head, suffix = source.peek(16), by_suffix(source.name)
    found = by_head(head)
    if found is not None and not (found is CSV and suffix not in (None, CSV)):
        return found
    refuse_foreign(source.name, source.peek(HEAD_BYTES))
    if suffix is None and (not head or b"\0" in head):
        raise DataError(
            f"{source.name} is {'empty' if not head else 'in no format that kact knows'}"
        )
    return suffix or CSV


def output_format(path: str, source: Format, name: str | None = None) -> Format:
    """The format of an output: as the user said, by its suffix, or the input's."""
    if name:
        return by_name(name)
    return by_suffix(path) or source


def by_name(name: str) -> Format:
    """The format called `name`; UsageError names those that there are."""
    for f in FORMATS:
        if f.name == name:
            return f
    raise UsageError(f"unknown format '{name}'; there are {', '.join(f.name for f in FORMATS)}")


def by_head(head: bytes) -> Format | None:
    """The format of a file that starts with `head`, or None."""
    return next((f for f in FORMATS if any(head.startswith(m) for m in f.magic)), None)


def by_suffix(path: str) -> Format | None:
    """The format that a file name asks for, or None."""
    lower = path.lower()
    return next((f for f in FORMATS if lower.endswith(f.suffixes)), None)

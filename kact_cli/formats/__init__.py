"""The file formats, each declared once: how it is told by its first bytes and by its suffix."""

from __future__ import annotations

from typing import Literal, NamedTuple

from kact_cli.errors import UsageError


class Format(NamedTuple):
    """One format. A tensor format holds one array; a table format, rows of named columns."""

    name: str
    kind: Literal["tensor", "table"]
    suffixes: tuple[str, ...]
    magic: tuple[bytes, ...]
    """What a file of the format may start with."""
    seeks: bool = False
    """Whether reading it as a table goes to and fro in the file, as it cannot in a pipe."""


NPY = Format("npy", "tensor", (".npy",), (b"\x93NUMPY",), seeks=True)
PARQUET = Format("parquet", "table", (".parquet", ".pq"), (b"PAR1", b"PARE"), seeks=True)
ARROW = Format("arrow", "table", (".arrow", ".feather", ".ipc"), (b"ARROW1",), seeks=True)
ARROW_STREAM = Format("arrows", "table", (".arrows",), (b"\xff\xff\xff\xff",))
CSV = Format(
    "csv",
    "table",
    tuple(t + c for t in (".csv", ".tsv") for c in ("", ".gz", ".zst", ".zstd")),
    (b"\x1f\x8b", b"\x28\xb5\x2f\xfd"),  # compressed; plain text starts with anything
)

FORMATS = (NPY, PARQUET, ARROW, ARROW_STREAM, CSV)
"""Every format, in the order in which they are tried."""


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

"""A stream of CSV bytes, cut into blocks of whole records.

A block needs nothing from those before it, so that several are parsed, computed and written as
text at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kact_cli.formats.csv_cells import RecordError, separators

BLOCK = 1 << 20
"""Bytes read at once."""

RECORD_LIMIT = 16 << 20
"""Bytes that one record may have: a cell may hold a document, but an unterminated quote ends."""


@dataclass(frozen=True)
class Block:
    """Whole records; each ends with the record end, if need be an added one."""

    data: bytes
    ended: bool = True
    """Whether the last record has its end in the file; False only at the end of the file."""


def iter_blocks(
    read: Callable[[int], bytes], record_end: bytes, delimiter: bytes, size: int = BLOCK
) -> Iterator[Block]:
    """Cut what `read` gives, from the first record on, into blocks of about `size` bytes.

    `read(n)` gives at most n bytes, b"" at the end. A record longer than a block grows the block.
    Raises RecordError, counted from the end of the last block, for a record longer than
    RECORD_LIMIT and for a quote that is never closed.
    """
    rest = b""
    while piece := read(max(size, len(rest))):
        data = rest + piece if rest else piece
        cut = _last_record_end(data, record_end, delimiter)
        if cut:
            yield Block(data[:cut])
        elif len(data) > RECORD_LIMIT:
            cause = " (is a quote not closed?)" if b'"' in data else ""
            limit = f"{RECORD_LIMIT >> 20} MiB"
            raise RecordError(f" is longer than {limit}{cause}")
        rest = data[cut:]
    if rest:
        if not _last_record_end(rest + record_end, record_end, delimiter):
            raise RecordError(" has a quote that is never closed")
        yield Block(rest + record_end, ended=False)


def _last_record_end(data: bytes, record_end: bytes, delimiter: bytes) -> int:
    """The length of the whole records in `data`, which begins with one."""
    if b'"' not in data:
        return data.rfind(record_end) + 1
    found = separators(data, delimiter, record_end)
    ends = np.flatnonzero(np.frombuffer(data, np.uint8)[found] == ord(record_end))
    return int(found[ends[-1]]) + 1 if len(ends) else 0

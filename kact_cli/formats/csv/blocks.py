"""A stream of CSV bytes, cut into blocks of whole records.

A block needs nothing from those before it, so that several are parsed, computed and written as
text at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kact_cli.formats.csv.cells import RecordError, last_record_end
from kact_cli.formats.csv.compression import Read
from kact_cli.formats.csv.dialect import Dialect
from kact_cli.formats.declared import beyond
from kact_cli.messages import human

BLOCK = 1 << 20
"""Bytes read at once."""

MOST = 1 << 30
"""Bytes that one record may have, whatever the user says: places in a block take 31 bits, and what
is written of it needs some more."""


@dataclass(frozen=True)
class CsvBlock:
    """Whole records; each ends with the record end, if need be an added one."""

    data: bytes
    ended: bool = True
    """Whether the last record has its end in the file; False only at the end of the file."""


def iter_blocks(
    read: Read, dialect: Dialect, *, head: bytes = b"", size: int = BLOCK, limit: int = MOST
) -> Iterator[CsvBlock]:
    """Cut the records, `head` and then what `read` gives, into blocks of about `size` bytes.

    `head` is what is left of the bytes that were sniffed, after the dialect's preamble. A record
    longer than a block grows the block. Raises RecordError, counted from the end of the last
    block, for a record longer than `limit` and for a quote that is never closed.
    """
    end = dialect.record_end
    rest, more = head, True
    while more:
        wanted = min(max(size, 2 * len(rest)), max(size, limit + 1))
        pieces = [rest]
        missing = wanted - len(rest)
        while missing > 0 and (piece := read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        more = missing <= 0
        data = b"".join(pieces)
        if cut := last_record_end(data, dialect.delimiter, end):
            yield CsvBlock(data[:cut])
        elif len(data) > limit:
            cause = " (is a quote not closed?)" if b'"' in data else ""
            raise RecordError(f" takes {beyond(limit)}, up to {human(MOST)}{cause}")
        rest = data[cut:]
    if rest:
        if not last_record_end(rest + end, dialect.delimiter, end):
            raise RecordError(" has a quote that is never closed")
        yield CsvBlock(rest + end, ended=False)

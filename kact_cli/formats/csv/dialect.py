"""How a CSV file is written: delimiter, line ending, what precedes the records, its columns.

All of it is found in the head of the file, once, and holds to the file's end. `header` says
whether the first record names the columns, `kinds` what each column holds.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kact_cli.errors import DataError, UsageError
from kact_cli.formats.csv.cells import SPACE, RecordError, place, separators, uneven
from kact_cli.formats.csv.header import has_header
from kact_cli.formats.csv.kinds import column
from kact_cli.formats.csv.spelling import NUMBERS, Cell, Spelling, bare, shown
from kact_cli.tables.columns import Column

HEAD = 1 << 20
"""Bytes of the file that are looked at, if there are so many."""

DELIMITERS = (",", "\t", ";", "|")
"""What is looked for, in order of preference where several would do; then runs of spaces."""

BOM = b"\xef\xbb\xbf"

_DELIMITER = re.compile(r'[^"\r\n\0.+\-A-Za-z0-9]')
_SEPARATOR_LINE = re.compile(rb'"?sep=([^"\r\n])"?\r?', re.I)
_NAME = re.compile(r'"((?:[^"]|"")*)"(.*)', re.S)
_DELIMITER_SAMPLE = 100  # records
_SAMPLE = 1 << 16  # bytes


@dataclass(frozen=True)
class Dialect:
    """How one CSV file is written. Cells are quoted by `"`, which `""` stands for inside."""

    delimiter: bytes
    """One byte; a space stands for a run of spaces."""
    line_ending: bytes
    columns: tuple[Column, ...]
    """Named as in the header, empty and repeated names too; c0, c1, ... where there is none."""
    preamble: bytes
    """What precedes the first record, to be written back as it is: the BOM, blank lines and
    comments, the header."""
    header: bool
    """Whether the last record of the preamble names the columns."""
    quoted: bool
    """Whether it quotes every name."""
    spelling: Spelling

    @property
    def record_end(self) -> bytes:
        """The byte that ends a record; a line feed before which a carriage return may stand."""
        return self.line_ending[-1:]

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]


class Record(NamedTuple):
    """A record of the head: its cells as they are written, where it ends, and its line."""

    cells: list[str]
    end: int
    line: int


def sniff(
    head: bytes,
    *,
    delimiter: str | None = None,
    header: bool | None = None,
    spelling: Spelling | None = None,
    whole: bool = False,
    certain: bool = False,
) -> Dialect:
    """The dialect of the file that begins with `head`, which is all of it if `whole`.

    `certain`: the user says that it is CSV. Raises DataError for what is no CSV text in UTF-8, for
    an empty file and where it is open whether there is a header; UsageError for a delimiter that
    can not be one.
    """
    _refuse_what_is_not_text(head)
    if delimiter is not None and not (delimiter.isascii() and _DELIMITER.fullmatch(delimiter)):
        raise UsageError(f"no delimiter: {delimiter!r}; it is one ASCII character, as , or ;")
    spelling = spelling or Spelling()
    bom = BOM if head.startswith(BOM) else b""
    body = head[len(bom) :]
    _check_utf8(body, whole)
    line_ending = _line_ending(body)
    length, said = _preamble(body, line_ending[-1:])
    body = body[length:]
    if not body.strip():
        holds = "has nothing but comments" if head[:length].strip() else "is empty"
        raise DataError(f"the file {holds}: CSV begins with a header or a record")
    end = line_ending[-1:]
    if whole and not body.endswith(end):
        body += end
    chosen = (delimiter or said or _delimiter(body, line_ending, spelling)).encode()
    before = head[: len(bom) + length]
    records = list(_records(body[:_SAMPLE], chosen, line_ending))
    if len(records) < 3 and len(body) > _SAMPLE:
        records = list(_records(body, chosen, line_ending))
    lines = before.count(end)
    if not records:
        raise DataError(f"{place(0, lines)} has a quote that is never closed, or is too long")
    first = records[0].cells

    def columns(records: list[Record]) -> list[Column]:
        at = [lines + record.line for record in records]
        return [column("", cells, at, spelling) for cells in _by_column(records, len(first))]

    found = columns(records[header is not False :])
    if header is None:
        alone = whole and len(records) == 1 and len(first) == 1
        if alone and not certain and spelling.of(bare(first[0])) not in NUMBERS:
            raise DataError(f"{shown(first[0])} alone is no table (--header, if it names a column)")
        header = has_header(first, _by_column(records[1:], len(first)), found, spelling)
        found = found if header else columns(records)
    if header:
        names = [_name(cell) for cell in first]
        before += body[: records[0].end]
    else:
        names = [f"c{i}" for i in range(len(first))]
    _check_even(records[header:], len(first), header, lines)
    named = tuple(Column(name, *c[1:]) for name, c in zip(names, found, strict=True))
    quoted = header and all(cell.startswith('"') for cell in first)
    return Dialect(chosen, line_ending, named, before[: len(head)], header, quoted, spelling)


def _check_even(records: Sequence[Record], width: int, header: bool, lines: int) -> None:
    """Raise DataError for the first of the records that has not `width` cells."""
    records = [r for r in records if r.cells != [""] or width == 1]
    for i, record in enumerate(records):
        count = len(record.cells)
        if count != width:
            rows = header and width > 1 and all(len(r.cells) == width + 1 for r in records)
            named = any(r.cells[-1] for r in records)  # else a delimiter ends each record
            hint = " (R's row.names? With col.names=NA they have a name)" if rows and named else ""
            raise RecordError(uneven(count, width) + hint, i, record.line).after(0, lines)


def _by_column(records: list[Record], width: int) -> Sequence[Sequence[str]]:
    if records and all(len(r.cells) == width for r in records):
        return list(zip(*(r.cells for r in records), strict=True))
    return [[r.cells[i] for r in records if i < len(r.cells)] for i in range(width)]


def _refuse_what_is_not_text(head: bytes) -> None:
    zeros = head[:4096].count(0)
    if head[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        raise DataError("not UTF-8 text but UTF-32: convert it with `iconv -f utf-32 -t utf-8`")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or 4 * zeros > len(head[:4096]):
        raise DataError("not UTF-8 text (UTF-16?): convert it with `iconv -f utf-16 -t utf-8`")
    if zeros:
        raise DataError("binary data, not CSV: there are zero bytes in it")


def _check_utf8(body: bytes, whole: bool) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as e:
        if whole or e.start < len(body) - 3:  # else a character cut in two
            raise not_utf8() from None


def not_utf8(place: str = "the file") -> DataError:
    """The error for bytes that are not UTF-8."""
    return DataError(f"{place} is not UTF-8 (Latin-1?): convert it with `iconv -f latin1 -t utf-8`")


def _line_ending(body: bytes) -> bytes:
    feed, carriage = body.find(b"\n"), body.find(b"\r")
    if feed < 0:
        return b"\r" if 0 <= carriage < len(body) - 1 else b"\n"
    return b"\r\n" if body[feed - 1 : feed] == b"\r" else b"\n"


def _preamble(body: bytes, end: bytes) -> tuple[int, str | None]:
    """The length of what is no record yet: blank lines, comments, and Excel's `sep=;` with the
    delimiter that it names."""
    length, delimiter = 0, None
    for line in io.BytesIO(body.replace(b"\r", b"\n") if end == b"\r" else body):
        text = line.rstrip(b"\n")
        if match := _SEPARATOR_LINE.fullmatch(text):
            delimiter = match[1].decode(errors="replace")
        elif text.strip(b" \r") and not text.startswith(b"#"):
            break
        length += len(line)
    return length, delimiter


def _records(
    text: bytes, delimiter: bytes, line_ending: bytes, limit: int | None = None
) -> Iterator[Record]:
    """The whole records of the text, at most `limit` of them; blank lines are none, save in one
    column."""
    found = separators(text, delimiter, line_ending[-1:])
    is_end = np.frombuffer(text, np.uint8)[found] == ord(line_ending[-1:])
    ends, bounds = found.tolist(), np.flatnonzero(is_end)[:limit].tolist()
    start, first, line = 0, 0, 0
    blank: list[Record] = []
    for last in bounds:
        cells, at = [], start
        for stop in ends[first : last + 1]:
            cells.append(text[at:stop].decode())
            at = stop + 1
        cells[-1] = cells[-1].removesuffix("\r")
        if delimiter == SPACE:
            cells = [cell.strip(" ") for cell in cells]
        record = Record(cells, at, line)
        line += text.count(line_ending[-1:], start, at)
        start, first = at, last + 1
        if cells == [""]:
            blank.append(record)
            continue
        if len(cells) == 1:
            yield from blank
        blank = []
        yield record


def _delimiter(text: bytes, line_ending: bytes, spelling: Spelling) -> str:
    """The candidate that cuts the first records into the same number of cells, and into numbers.

    Runs of spaces do where nothing else does, and where all that they cut out below the header are
    numbers, as in `1,5 2,5`. Nor is a decimal comma a delimiter between numbers without quotes.
    """

    def cut(candidate: str) -> list[list[str]]:
        sample = text if text.count(line_ending[-1:], 0, _SAMPLE) < 3 else text[:_SAMPLE]
        found = _records(sample, candidate.encode(), line_ending, _DELIMITER_SAMPLE)
        return [record.cells for record in found]

    def score(records: list[list[str]]) -> tuple[bool, float, int]:
        cells = [bare(cell) for record in records for cell in record]
        numbers = sum(spelling.of(c) in _NUMERIC for c in cells)
        even = len({*map(len, records)}) == 1
        return even, numbers / max(1, len(cells)), len(records[0]) if records else 0

    first = cut(",")[:1] if spelling.decimal == "," and b'"' not in text else []
    taken = "," if any(spelling.of(bare(cell)) in NUMBERS for r in first for cell in r) else ""
    scores = {d: score(cut(d)) for d in DELIMITERS if d.encode() in text and d != taken}
    many = {d: s for d, s in scores.items() if s[2] > 1}
    best = max(many.values(), default=(False, 0.0, 0))
    if b" " in text:
        records = cut(" ")
        even, numbers, width = score(records[1:] or records)
        certain = 1 == numbers > best[1] if best[0] else numbers > 0
        if even and width > 1 and certain:
            return " "
    if not many:
        return ";" if spelling.decimal == "," else ","
    return max(many, key=many.__getitem__)


_NUMERIC = NUMBERS | {Cell.NEARLY}


def _name(cell: str) -> str:
    """The name that a cell of the header spells."""
    match = _NAME.fullmatch(cell)
    return match[1].replace('""', '"') + match[2] if match else cell

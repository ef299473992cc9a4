"""How a CSV file is written: delimiter, line ending, byte order mark, header, column names.

All of it is found in the head of the file (`HEAD` bytes), once, and holds to the file's end.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import dataclass
from enum import StrEnum

from kact_cli.errors import DataError, UsageError

HEAD = 1 << 20
"""Bytes of the file that are looked at, if there are so many."""

DELIMITERS = (",", "\t", ";", "|")
"""What is looked for, in order of preference where several would do."""

BOM = b"\xef\xbb\xbf"

NULLS = frozenset({"", "na", "n/a", "<na>", "#n/a", "null", "none"})
"""Cells, in any case of letters, that hold no number: null, and written back as they were.

An empty cell is what pandas, Polars and DuckDB write for null; NA is R's, null and None are what
databases and Python leave behind. nan is a number.
"""

NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf(?:inity)?)", re.I | re.A)
_INTEGER = re.compile(r"[+-]?\d+", re.A)
_CODE = re.compile(r"0\d+", re.A)
_DELIMITER = re.compile(r'[^"\r\n\0.+\-A-Za-z0-9]')
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.A)
_DELIMITER_SAMPLE = 100  # records
_KINDS_SAMPLE = 1 << 16  # characters


class Kind(StrEnum):
    """What the cells of a column are, as far as the head of the file shows.

    Whole numbers of which one begins with a zero, as 007, are text: someone's codes.
    """

    FLOAT = "float"
    INTEGER = "integer"
    EMPTY = "empty"
    TEXT = "text"


@dataclass(frozen=True)
class Dialect:
    """How one CSV file is written. Cells are quoted by `"`, which `""` stands for inside."""

    delimiter: bytes
    line_ending: bytes
    names: tuple[str, ...]
    """As in the header, empty and repeated names included; c0, c1, ... where there is none."""
    kinds: tuple[Kind, ...]
    preamble: bytes
    """What precedes the first record, to be written back as it is: the BOM, the header."""

    @property
    def record_end(self) -> bytes:
        """The byte that ends a record; a line feed before which a carriage return may stand."""
        return self.line_ending[-1:]


def sniff(
    head: bytes, *, delimiter: str | None = None, header: bool | None = None, whole: bool = False
) -> Dialect:
    """The dialect of the file that begins with `head`, which is all of it if `whole`.

    Without `header`, the first record is one unless each of its cells is a number or empty.
    Raises DataError for what is no CSV text in UTF-8 and for an empty file, UsageError for a
    delimiter that can not be one.
    """
    _refuse_what_is_not_text(head)
    bom = BOM if head.startswith(BOM) else b""
    body = head[len(bom) :]
    line_ending = _line_ending(body)
    text = _decode(body, whole)
    if not text.strip():
        raise DataError("the file is empty: CSV begins with a header or a record")
    if delimiter is not None and not (delimiter.isascii() and _DELIMITER.fullmatch(delimiter)):
        raise UsageError(f"no delimiter: {delimiter!r}; it is one ASCII character, as , or ;")
    chosen = delimiter or _delimiter(text, line_ending)
    sample = text[:_KINDS_SAMPLE]
    records = _records(sample, chosen, line_ending)
    if len(records) < 3:
        sample = text
        records = _records(sample, chosen, line_ending)
    cut = not (whole and sample is text) and not sample.endswith(line_ending.decode())
    if cut and len(records) > 1:
        records.pop()
    first = records[0]
    if header is None:
        header = not all(is_number(cell) or not cell.strip() for cell in first)
    data = records[header:]
    kinds = _kinds(data, len(first))
    if chosen == ";" and Kind.FLOAT not in kinds:
        _refuse_decimal_commas(data)
    names = tuple(first) if header else tuple(f"c{i}" for i in range(len(first)))
    length = _header_length(body, chosen.encode(), line_ending) if header else 0
    return Dialect(chosen.encode(), line_ending, names, kinds, head[: len(bom) + length])


def is_number(cell: str) -> bool:
    """Whether kact reads the cell as a number: 1, -1.5, .5, 1e-3, nan, inf, in any case."""
    return NUMBER.fullmatch(cell.strip()) is not None


def _refuse_what_is_not_text(head: bytes) -> None:
    zeros = head[:4096].count(0)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or 4 * zeros > len(head[:4096]):
        raise DataError("not UTF-8 text (UTF-16?): convert it with `iconv -f utf-16 -t utf-8`")
    if zeros:
        raise DataError("binary data, not CSV: there are zero bytes in it")


def _decode(body: bytes, whole: bool) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as e:
        if not whole and e.start >= len(body) - 3:  # a character cut in two
            return body[: e.start].decode()
        raise not_utf8() from None


def not_utf8(place: str = "the file") -> DataError:
    """The error for bytes that are not UTF-8."""
    return DataError(f"{place} is not UTF-8 (Latin-1?): convert it with `iconv -f latin1 -t utf-8`")


def _line_ending(body: bytes) -> bytes:
    feed, carriage = body.find(b"\n"), body.find(b"\r")
    if feed < 0:
        return b"\r" if 0 <= carriage < len(body) - 1 else b"\n"
    return b"\r\n" if body[feed - 1 : feed] == b"\r" else b"\n"


def _records(
    text: str, delimiter: str, line_ending: bytes, limit: int | None = None
) -> list[list[str]]:
    """The records of the text; a blank line is one only where there is one column."""
    lines = io.StringIO(text, newline="\r" if line_ending == b"\r" else "\n")
    old = csv.field_size_limit(len(text) + 1)
    try:
        records = list(itertools.islice(csv.reader(lines, delimiter=delimiter), limit))
    except csv.Error as e:
        raise DataError(f"not CSV: {e}") from None
    finally:
        csv.field_size_limit(old)
    width = max(map(len, records), default=1)
    return [record or [""] for record in records if record or width == 1]


def _delimiter(text: str, line_ending: bytes) -> str:
    """The candidate that cuts the first records into the same number of cells, and into numbers."""

    def score(candidate: str) -> tuple[bool, float, int]:
        records = _records(text, candidate, line_ending, _DELIMITER_SAMPLE + 1)
        records = records[:-1] if len(records) > 1 else records
        cells = [cell for record in records for cell in record]
        numbers = sum(is_number(c) or bool(_DECIMAL_COMMA.fullmatch(c)) for c in cells)
        return len({*map(len, records)}) == 1, numbers / len(cells), len(records[0])

    candidates = [d for d in DELIMITERS if d in text]
    many = [d for d in candidates if score(d)[2] > 1]
    return max(many or [","], key=score)


def _kinds(records: list[list[str]], width: int) -> tuple[Kind, ...]:
    return tuple(_kind([record[i] for record in records if i < len(record)]) for i in range(width))


def _kind(cells: list[str]) -> Kind:
    kind = Kind.EMPTY
    for cell in map(str.strip, cells):
        if cell.lower() in NULLS:
            continue
        if not NUMBER.fullmatch(cell) or _CODE.fullmatch(cell):
            return Kind.TEXT
        if not _INTEGER.fullmatch(cell):
            kind = Kind.FLOAT
        elif kind is Kind.EMPTY:
            kind = Kind.INTEGER
    return kind


def _refuse_decimal_commas(records: list[list[str]]) -> None:
    for record in records:
        for cell in record:
            if _DECIMAL_COMMA.fullmatch(cell.strip()):
                raise DataError(
                    f"decimal commas ({cell}): kact reads decimal points;"
                    " convert the file with `tr ',;' '.,'`"
                )


def _header_length(body: bytes, delimiter: bytes, line_ending: bytes) -> int:
    from kact_cli.formats.csv.cells import separators

    end = line_ending[0 if line_ending == b"\r" else -1]
    for position in separators(body, delimiter, line_ending[-1:]):
        if body[position] == end:
            return int(position) + 1
    return len(body)

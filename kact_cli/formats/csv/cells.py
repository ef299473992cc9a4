"""Where the cells of a block of CSV text are: found for all at once, without a loop over them."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kact_cli.errors import DataError
from kact_cli.messages import counted

Positions = NDArray[np.int64]

SPACE = b" "
"""The delimiter of which a run is as good as one, as NumPy's savetxt and aligned columns have."""

_QUOTE = ord('"')


class RecordError(DataError):
    """Something is wrong with one record; its number is known once those before are counted.

    Blocks are parsed at the same time, each counting from its own first record and line. Who takes
    the results in order raises `error.after(...)` instead. `what` names the column, `said` the
    fault; the place comes between.
    """

    def __init__(self, said: str, record: int = 0, line: int = 0, what: str = "") -> None:
        super().__init__(said, record, line, what)
        self.said, self.record, self.line, self.what = said, record, line, what

    def __str__(self) -> str:
        return self.said

    def after(self, records: int, lines: int) -> DataError:
        """The error for the user; record 1 is the first after the header, line 1 the file's."""
        return DataError(self.what + place(records + self.record, lines + self.line) + self.said)


def place(record: int, line: int) -> str:
    """Where a record is, both counted from 0."""
    return f"record {record + 1:,} (line {line + 1:,})"


class Cells(NamedTuple):
    """Where the cells of the selected columns begin and end: arrays of (records, columns)."""

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]


class Records(NamedTuple):
    """The whole records of a block: where each begins, and where its cells end."""

    data: bytes
    starts: Positions
    ends: Positions
    """Of shape (records, columns)."""
    delimiter: bytes
    record_end: bytes

    def cells(self, columns: NDArray[np.intp]) -> Cells:
        """The cells of `columns` (indices, rising)."""
        starts, ends = np.empty((2, len(self.starts), len(columns)), np.int32)
        for i, column in enumerate(columns):
            starts[:, i] = self.ends[:, column - 1] + 1 if column else self.starts
            ends[:, i] = self.ends[:, column]
        text = np.frombuffer(self.data, np.uint8)
        last = len(columns) and columns[-1] == self.ends.shape[1] - 1
        if last and self.record_end == b"\n" and b"\r" in self.data:
            before = text[ends[:, -1] - 1] == ord("\r")
            ends[:, -1] -= before & (ends[:, -1] > starts[:, -1])
        if self.delimiter == SPACE:
            trim(text, starts.reshape(-1), ends.reshape(-1))
        return Cells(starts, ends)

    def line(self, record: int) -> int:
        """How many lines come before a record."""
        return self.data.count(self.record_end, 0, int(self.starts[record]))


@cache
def byte_set(members: bytes) -> NDArray[np.bool_]:
    """Which of the 256 bytes are `members`: an index away for a whole array."""
    table = np.zeros(256, bool)
    table[np.frombuffer(members, np.uint8)] = True
    return table


def separators(data: bytes, delimiter: bytes, record_end: bytes) -> Positions:
    """Where the delimiters and record ends are that are not within quotes.

    A quote opens a cell only as its first character, as for Python's csv module; anywhere else
    it stands for itself. Of spaces, the last of each run between two cells counts.
    """
    text = np.frombuffer(data, np.uint8)
    mask = text == ord(delimiter)
    mask |= text == ord(record_end)
    if b'"' not in data:
        found = np.flatnonzero(mask)
        return _ends_of_runs(text, found, record_end) if delimiter == SPACE else found
    mask |= text == _QUOTE
    events = np.flatnonzero(mask)
    is_quote = text[events] == _QUOTE
    quotes = events[is_quote]
    if _only_whole_cells_are_quoted(text, quotes, delimiter, record_end):
        inside = np.cumsum(is_quote, dtype=np.uint32) & 1
        found = events[~is_quote & (inside == 0)]
    else:
        found = _separators_one_by_one(data, delimiter, record_end)
    return _ends_of_runs(text, found, record_end) if delimiter == SPACE else found


def _ends_of_runs(text: NDArray[np.uint8], found: Positions, record_end: bytes) -> Positions:
    """Of the spaces and record ends `found`, the ends, and the last space before each cell but the
    first of a record."""
    is_end = text[found] == ord(record_end)
    first = np.ones(len(found), bool)  # of a run of spaces
    first[1:] = is_end[1:] | is_end[:-1] | (np.diff(found) > 1)
    began = found[np.maximum.accumulate(np.where(first, np.arange(len(found)), 0))]
    leading = (began == 0) | (text[began - 1] == ord(record_end))
    before_end = byte_set(b" \r" + record_end)[text[np.minimum(found + 1, len(text) - 1)]]
    kept: Positions = found[is_end | ~(leading | before_end)]
    return kept


def last_record_end(data: bytes, delimiter: bytes, record_end: bytes) -> int:
    """The length of the whole records in `data`, which begins with one; 0 if there is none."""
    if b'"' not in data:
        return data.rfind(record_end) + 1
    text = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    if not _only_whole_cells_are_quoted(text, quotes, delimiter, record_end):
        found = _separators_one_by_one(data, delimiter, record_end)
        ends = found[text[found] == ord(record_end)]
        return int(ends[-1]) + 1 if len(ends) else 0
    end = len(data)
    while (end := data.rfind(record_end, 0, end)) >= 0:
        before = int(np.searchsorted(quotes, end))
        if before % 2 == 0:
            break
        end = int(quotes[before - 1])
    return end + 1


def _only_whole_cells_are_quoted(
    text: NDArray[np.uint8], quotes: Positions, delimiter: bytes, record_end: bytes
) -> bool:
    """Whether each odd quote follows a separator (or a quote: `""`) and each even one precedes one.

    Then a separator is within quotes if the number of quotes before it is odd.
    """
    before = byte_set(delimiter + record_end + b'"')
    after = byte_set(delimiter + record_end + b'"\r')
    opening, closing = quotes[0::2], quotes[1::2]
    opening = opening[opening > 0]
    closing = closing[closing < len(text) - 1]
    return bool(before[text[opening - 1]].all() and after[text[closing + 1]].all())


def _separators_one_by_one(data: bytes, delimiter: bytes, record_end: bytes) -> Positions:
    d, e = re.escape(delimiter), re.escape(record_end)
    cell = re.compile(rb'(?:"(?:[^"]|"")*+"|(?!"))[^%b%b]*+([%b%b])' % (d, e, d, e))
    found = []
    at = 0
    while match := cell.match(data, at):
        at = match.end()
        found.append(at - 1)
    return np.array(found, np.int64)


def locate(data: bytes, delimiter: bytes, record_end: bytes, width: int) -> Records:
    """The records of `width` cells in a block of whole ones.

    A blank line is a record of one empty cell if `width` is 1, otherwise no record at all.
    Raises RecordError for a record that has more or fewer cells.
    """
    text = np.frombuffer(data, np.uint8)
    ends = separators(data, delimiter, record_end)
    is_end = np.take(text, ends, mode="clip") == ord(record_end)
    if not _is_regular(is_end, width):
        ends, starts = _without_blank_lines(data, ends, is_end, width, record_end)
        return Records(data, starts, ends.reshape(-1, width), delimiter, record_end)
    grid = ends.reshape(-1, width)
    starts = np.zeros(len(grid), np.int64)
    starts[1:] = grid[:-1, -1] + 1
    return Records(data, starts, grid, delimiter, record_end)


def trim(text: NDArray[np.uint8], starts: NDArray[np.int32], ends: NDArray[np.int32]) -> None:
    """Move the ends of the cells inwards, past spaces and tabs."""
    space = byte_set(b" \t")
    for edge, step, look in ((starts, 1, 0), (ends, -1, -1)):
        cells = np.arange(len(starts))
        while len(cells):
            # After the last cell of a block there is a record end, so `starts` is within the text.
            cells = cells[space[text[edge[cells] + look]] & (starts[cells] < ends[cells])]
            edge[cells] += step


def piece_offsets(starts: NDArray[np.int32], ends: NDArray[np.int32]) -> NDArray[np.int32]:
    """The offsets of an Arrow array of texts whose even elements are the cells in order.

    Arrow wants texts without gaps, so what stands between two cells is an element too.
    """
    offsets = np.zeros(2 * len(starts) + 1, np.int32)
    offsets[:-1:2] = starts
    offsets[1::2] = ends
    offsets[-1] = ends[-1] if len(ends) else 0
    return offsets


def _is_regular(is_end: NDArray[np.bool_], width: int) -> bool:
    return (
        len(is_end) % width == 0
        and bool(is_end[width - 1 :: width].all())
        and int(np.count_nonzero(is_end)) * width == len(is_end)
    )


def uneven(count: int, width: int) -> str:
    """What is said of a record of `count` cells where there should be `width`."""
    return f" has {counted(count, 'cell')} where there should be {width:,}"


def _without_blank_lines(
    data: bytes, ends: Positions, is_end: NDArray[np.bool_], width: int, record_end: bytes
) -> tuple[Positions, Positions]:
    """The separators without those of blank lines, and where each record starts."""
    text = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(is_end)
    starts = np.concatenate([[0], ends[last[:-1]] + 1])
    counts = np.diff(last, prepend=-1)
    lengths = ends[last] - starts
    blank = (counts == 1) & (
        (lengths == 0) | ((lengths == 1) & (text[np.minimum(starts, len(text) - 1)] == ord("\r")))
    )
    wrong = np.flatnonzero((counts != width) & ~blank)
    if len(wrong):
        record = int(wrong[0] - np.count_nonzero(blank[: wrong[0]]))
        line = data.count(record_end, 0, int(starts[wrong[0]]))
        raise RecordError(uneven(int(counts[wrong[0]]), width), record, line)
    return np.delete(ends, last[blank]), starts[~blank]

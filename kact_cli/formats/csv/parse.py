"""The numbers in a block of CSV text, by Arrow's cast from text, and what is wrong with them.

What a number and a null are, `spelling` says. Arrow's cast agrees with it on nearly every cell, and
where it refuses one, or might have taken what `spelling` refuses, that is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kact_cli.formats.csv.blocks import CsvBlock
from kact_cli.formats.csv.cells import (
    Cells,
    RecordError,
    Records,
    byte_set,
    locate,
    piece_offsets,
    trim,
)
from kact_cli.formats.csv.dialect import Dialect, not_utf8
from kact_cli.formats.csv.spelling import NULLS, NUMBERS, Cell, bare, shown
from kact_cli.messages import clipped, typed
from kact_cli.tables.arrays import bitmap

Mask = NDArray[np.bool_]
Offsets = NDArray[np.int32]

_PROBE = 100
_LONGEST_NAN = len("-nan")
_EXCHANGED = bytes.maketrans(b".,", b",.")


@dataclass(frozen=True)
class ParsedBlock:
    """The selected columns of a block as a tensor of (records, columns)."""

    block: CsvBlock
    dialect: Dialect
    located: Records
    columns: NDArray[np.intp]
    """Which columns of the file, rising."""
    cells: Cells
    numbers: NDArray[Any]
    """float64 or float32, C-contiguous; 0 where null."""
    nulls: Mask | None
    """Which numbers are null; None if none is."""
    overflows: int
    """Cells such as 1e400 that are finite numbers, but not in this dtype."""
    filled: Sequence[int] = ()
    """Which of the columns that were left out on a guess have values here."""

    @property
    def records(self) -> int:
        return len(self.numbers)


def parse(
    block: CsvBlock,
    dialect: Dialect,
    columns: Sequence[int],
    dtype: DTypeLike = np.float64,
    unseen: Sequence[int] = (),
) -> ParsedBlock:
    """Read the cells of `columns` (indices, rising) as numbers of `dtype`.

    float64 is what pandas, NumPy, Polars and DuckDB make of numbers in CSV; float32 is rounded
    once, from the text. Quotes and spaces around a number are ignored. `unseen` are columns that
    were left out because their first cells are whole numbers, or null.
    Raises RecordError for records of another width, for cells that are no numbers and for a
    fraction in the columns `unseen`.
    """
    data = block.data
    located = locate(data, dialect.delimiter, dialect.record_end, len(dialect.columns))
    if not data.isascii():
        _check_utf8(located)
    filled = _filled(located, dialect, np.array(unseen, np.intp)) if len(unseen) else []
    selected = np.array(columns, np.intp)
    cells = located.cells(selected)
    numbers, nulls = _numbers(located, cells, np.dtype(dtype), dialect, selected)
    starts, ends = cells.starts.reshape(-1), cells.ends.reshape(-1)
    overflows = sum(
        b"inf" not in data[starts[i] : ends[i]].lower()
        for i in np.flatnonzero(np.isinf(numbers.reshape(-1)))
    )
    return ParsedBlock(block, dialect, located, selected, cells, numbers, nulls, overflows, filled)


def _numbers(
    located: Records,
    cells: Cells,
    dtype: np.dtype[Any],
    dialect: Dialect,
    columns: NDArray[np.intp],
) -> tuple[NDArray[Any], Mask | None]:
    import pyarrow as pa

    data, spelling = located.data, dialect.spelling
    shape = cells.starts.shape
    starts, ends = cells.starts.reshape(-1), cells.ends.reshape(-1)
    text = data if spelling.decimal == "." else data.translate(_EXCHANGED)
    nulls = starts == ends
    try:
        if spelling.nulls:
            _find_words(data, starts, ends, nulls, spelling.nulls, fold=False)
        # A few first: Arrow goes on to the end, making an error of each cell, ten times as slow.
        _cast(text, starts[:_PROBE], ends[:_PROBE], nulls[:_PROBE], dtype)
        numbers = _cast(text, starts, ends, nulls, dtype)
    except pa.ArrowInvalid:
        starts, ends, nulls = _read_closely(data, starts, ends, spelling.nulls)
        try:
            numbers = _cast(text, starts, ends, nulls, dtype)
        except pa.ArrowInvalid:
            raise _not_a_number(located, cells, dialect, columns) from None
    nans = np.isnan(numbers)
    if nans.any() and (ends - starts)[nans & ~nulls].max(initial=0) > _LONGEST_NAN:
        raise _not_a_number(located, cells, dialect, columns)  # Arrow reads nan(...) too
    any_null = bool(nulls.any())
    if any_null:
        numbers[nulls] = 0
    return numbers.reshape(shape), nulls.reshape(shape) if any_null else None


def _cast(
    data: bytes, starts: Offsets, ends: Offsets, nulls: Mask, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Arrow's cast from text, which rounds correctly, on the text where it is.

    Arrow wants pieces of text without gaps. So what stands between two cells is a piece too, and
    null, which is not looked at.
    """
    import pyarrow as pa

    count = len(starts)
    offsets = piece_offsets(starts, ends)
    valid = np.zeros((count, 2), bool)
    np.logical_not(nulls, out=valid[:, 0])
    mask = bitmap(valid.reshape(-1))
    pieces = pa.Array.from_buffers(
        pa.string(), 2 * count, [pa.py_buffer(mask), pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    cast = pieces.cast(pa.from_numpy_dtype(dtype))
    numbers: NDArray[Any] = np.frombuffer(cast.buffers()[1], dtype)[: 2 * count : 2].copy()
    return numbers


def _trimmed(data: bytes, starts: Offsets, ends: Offsets) -> tuple[Offsets, Offsets]:
    """Without the spaces and the quotes around each cell: `spelling.bare` for all at once."""
    text = np.frombuffer(data, np.uint8)
    starts, ends = starts.copy(), ends.copy()
    trim(text, starts, ends)
    quoted = (text[starts] == ord('"')) & (text[ends - 1] == ord('"')) & (ends - starts >= 2)
    if quoted.any():
        starts += quoted
        ends -= quoted
        trim(text, starts, ends)
    return starts, ends


def _read_closely(
    data: bytes, starts: Offsets, ends: Offsets, words: Sequence[str]
) -> tuple[Offsets, Offsets, Mask]:
    """The cells without the spaces and quotes around them, and which of them are null."""
    starts, ends = _trimmed(data, starts, ends)
    nulls: Mask = starts == ends
    _find_words(data, starts, ends, nulls, words, fold=False)
    _find_words(data, starts, ends, nulls, NULLS, fold=True)
    return starts, ends, nulls


def _find_words(
    data: bytes,
    starts: Offsets,
    ends: Offsets,
    nulls: Mask,
    words: Sequence[str] | frozenset[str],
    *,
    fold: bool,
) -> None:
    """Mark the cells that spell one of the words, in any case of letters if `fold`."""
    text = np.frombuffer(data, np.uint8)
    letters = np.frombuffer(bytes(range(256)).lower() if fold else bytes(range(256)), np.uint8)
    spelled = [word.encode() for word in words]
    initials = byte_set(b"".join(w[:1] + w[:1].upper() * fold for w in spelled))
    cells = np.flatnonzero(initials[text[starts]])
    lengths = ends[cells] - starts[cells]
    for word in spelled:
        same = cells[lengths == len(word)]
        for i, letter in enumerate(word):
            same = same[letters[text[starts[same] + i]] == letter]
        nulls[same] = True


def _filled(located: Records, dialect: Dialect, columns: NDArray[np.intp]) -> list[int]:
    """Which of the columns, left out on a guess, have whole numbers in the block.

    Raises RecordError where a cell shows that a column holds other numbers.
    """
    import pyarrow as pa

    cells, integers = located.cells(columns), np.dtype(np.int64)
    starts, ends = cells.starts.reshape(-1), cells.ends.reshape(-1)
    nulls, found = starts == ends, None
    try:
        _cast(located.data, starts, ends, nulls, integers)
    except pa.ArrowInvalid:
        starts, ends, nulls = _read_closely(located.data, starts, ends, dialect.spelling.nulls)
        try:
            _cast(located.data, starts, ends, nulls, integers)
        except pa.ArrowInvalid:
            fractions = (Cell.FRACTION, Cell.NEARLY)
            found = _first(located, cells, lambda cell: dialect.spelling.of(cell) in fractions)
            nulls[:] = True  # there is text
    if found is not None:
        at, cell = found
        name = dialect.names[columns[at % len(columns)]]
        said = (
            f"{shown(cell)} is a fraction in a column that was left out for whole numbers; to "
            f"compute it, name it in -c with the others; to leave it out: --exclude {typed(name)}"
        )
        raise _error(said, located, name, at // len(columns))
    empty = nulls.reshape(-1, len(columns)).all(axis=0)
    return [int(column) for column in columns[~empty]]


def _not_a_number(
    located: Records, cells: Cells, dialect: Dialect, columns: NDArray[np.intp]
) -> RecordError:
    """The error that names the first cell that is neither a number nor null."""
    known = NUMBERS | {Cell.NULL}
    found = _first(located, cells, lambda cell: dialect.spelling.of(cell) not in known)
    assert found is not None, "Arrow refuses what is a number"
    at, cell = found
    name = dialect.names[columns[at % len(columns)]]
    return _error(dialect.spelling.refusal(cell, name), located, name, at // len(columns))


def _first(located: Records, cells: Cells, wanted: Callable[[str], bool]) -> tuple[int, str] | None:
    """The first cell that is wanted, bare, and its number, record by record."""
    spans = zip(cells.starts.reshape(-1).tolist(), cells.ends.reshape(-1).tolist(), strict=True)
    for at, (start, end) in enumerate(spans):
        cell = bare(located.data[start:end].decode())
        if wanted(cell):
            return at, cell
    return None


def _error(said: str, located: Records, name: str, record: int) -> RecordError:
    return RecordError(f": {said}", record, located.line(record), f"column {clipped(name)!r}, ")


def _check_utf8(located: Records) -> None:
    try:
        located.data.decode()
    except UnicodeDecodeError as e:
        record = int(np.searchsorted(located.starts, e.start, "right")) - 1
        line = located.data.count(located.record_end, 0, e.start)
        raise RecordError(f": {not_utf8('its text')}", record, line) from None

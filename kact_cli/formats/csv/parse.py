"""The numbers in a block of CSV text, and where in the text they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kact_cli.formats.csv.blocks import CsvBlock
from kact_cli.formats.csv.cells import Cells, RecordError, byte_set, locate, piece_offsets
from kact_cli.formats.csv.dialect import NULLS, NUMBER, Dialect, not_utf8
from kact_cli.tables.arrays import bitmap

Mask = NDArray[np.bool_]

_PROBE = 100


@dataclass(frozen=True)
class ParsedBlock:
    """The selected columns of a block as a tensor of (records, columns)."""

    block: CsvBlock
    dialect: Dialect
    columns: NDArray[np.intp]
    """Which columns of the file, rising."""
    cells: Cells
    numbers: NDArray[Any]
    """float64 or float32, C-contiguous; 0 where null."""
    nulls: Mask | None
    """Which numbers are null; None if none is."""
    overflows: int
    """Cells such as 1e400 that are finite numbers, but not in this dtype."""

    @property
    def records(self) -> int:
        return len(self.numbers)


def parse(
    block: CsvBlock, dialect: Dialect, columns: list[int], dtype: DTypeLike = np.float64
) -> ParsedBlock:
    """Read the cells of `columns` (indices, rising) as numbers of `dtype`.

    float64 is what pandas, NumPy, Polars and DuckDB make of numbers in CSV; float32 is rounded
    once, from the text. A cell in NULLS is null. Quotes and spaces around a number are ignored.
    Raises RecordError for records of another width, and for cells that are no numbers.
    """
    selected = np.array(columns, np.intp)
    data = block.data
    if not data.isascii():
        _check_utf8(data, dialect)
    width = len(dialect.names)
    cells = locate(data, dialect.delimiter, dialect.record_end, width, selected)
    numbers, nulls = _numbers(data, cells, np.dtype(dtype), dialect, selected)
    infinite = np.flatnonzero(np.isinf(numbers.reshape(-1)))
    overflows = sum(
        b"inf" not in data[s:e].lower()
        for s, e in zip(
            cells.starts.reshape(-1)[infinite], cells.ends.reshape(-1)[infinite], strict=True
        )
    )
    return ParsedBlock(block, dialect, selected, cells, numbers, nulls, overflows)


def _numbers(
    data: bytes, cells: Cells, dtype: np.dtype[Any], dialect: Dialect, columns: NDArray[np.intp]
) -> tuple[NDArray[Any], Mask | None]:
    import pyarrow as pa

    shape = cells.starts.shape
    starts, ends = cells.starts.reshape(-1), cells.ends.reshape(-1)
    nulls = starts == ends
    try:
        # A few first: Arrow goes on to the end, making an error of each cell, ten times as slow.
        _cast(data, starts[:_PROBE], ends[:_PROBE], nulls[:_PROBE], dtype)
        numbers = _cast(data, starts, ends, nulls, dtype)
    except pa.ArrowInvalid:
        starts, ends = _trimmed(data, starts, ends)
        nulls = starts == ends
        _find_null_words(data, starts, ends, nulls)
        try:
            numbers = _cast(data, starts, ends, nulls, dtype)
        except pa.ArrowInvalid:
            raise _not_a_number(data, starts, ends, nulls, dialect, columns) from None
    any_null = bool(nulls.any())
    if any_null:
        numbers[nulls] = 0
    return numbers.reshape(shape), nulls.reshape(shape) if any_null else None


def _cast(
    data: bytes,
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    nulls: Mask,
    dtype: np.dtype[Any],
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


def _trimmed(
    data: bytes, starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Without the spaces and the quotes around each cell."""
    text = np.frombuffer(data, np.uint8)
    starts, ends = starts.copy(), ends.copy()
    _trim_spaces(text, starts, ends)
    quoted = (text[starts] == ord('"')) & (text[ends - 1] == ord('"')) & (ends - starts >= 2)
    if quoted.any():
        starts += quoted
        ends -= quoted
        _trim_spaces(text, starts, ends)
    return starts, ends


def _trim_spaces(
    text: NDArray[np.uint8], starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> None:
    space = byte_set(b" \t")
    for edge, step, look in ((starts, 1, 0), (ends, -1, -1)):
        cells = np.arange(len(starts))
        while len(cells):
            # After the last cell of a block there is a record end, so `starts` is within the text.
            trim = space[text[edge[cells] + look]] & (starts[cells] < ends[cells])
            cells = cells[trim]
            edge[cells] += step


def _find_null_words(
    data: bytes, starts: NDArray[np.int32], ends: NDArray[np.int32], nulls: Mask
) -> None:
    """Mark the cells that spell null, in any case of letters."""
    text = np.frombuffer(data, np.uint8)
    lower = np.frombuffer(bytes(range(256)).lower(), np.uint8)
    initials = byte_set("".join(word[:1] + word[:1].upper() for word in NULLS).encode())
    cells = np.flatnonzero(initials[text[starts]])
    lengths = ends[cells] - starts[cells]
    for word in NULLS:
        same = cells[lengths == len(word)]
        for i, letter in enumerate(word.encode()):
            same = same[lower[text[starts[same] + i]] == letter]
        nulls[same] = True


def _not_a_number(
    data: bytes,
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    nulls: Mask,
    dialect: Dialect,
    columns: NDArray[np.intp],
) -> RecordError:
    """The error that names the first cell that is no number."""
    for i in np.flatnonzero(~nulls):
        cell = data[starts[i] : ends[i]].decode()
        if not NUMBER.fullmatch(cell):
            break
    record, column = divmod(int(i), len(columns))
    name = dialect.names[columns[column]]
    shown = cell if len(cell) <= 40 else cell[:37] + "..."
    hint = " (a decimal comma? kact reads decimal points)" if _has_decimal_comma(cell) else ""
    return RecordError(f", column {name!r}: {shown!r} is not a number{hint}", record)


def _has_decimal_comma(cell: str) -> bool:
    return cell.count(",") == 1 and NUMBER.fullmatch(cell.replace(",", ".")) is not None


def _check_utf8(data: bytes, dialect: Dialect) -> None:
    try:
        data.decode()
    except UnicodeDecodeError as e:
        record = data.count(dialect.record_end, 0, e.start)
        raise RecordError(f": {not_utf8('its text')}", record) from None

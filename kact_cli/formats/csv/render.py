"""A block of CSV text with new numbers in it, every other byte as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kact_cli.formats.csv.cells import SPACE, Cells
from kact_cli.formats.csv.floats import Texts, shortest_rows, written
from kact_cli.formats.csv.parse import ParsedBlock
from kact_cli.tables.arrays import arrow_array


def render(
    parsed: ParsedBlock, numbers: NDArray[Any], float_format: str | None = None
) -> memoryview:
    """The text of the block with `numbers`, of shape (records, columns), in place of its own.

    Nulls stay as they were. The text is a selection of pieces, in order, from one buffer that
    holds the old text and then the new numbers, each with the delimiter before it.
    """
    data, dialect = parsed.block.data, parsed.dialect
    cells, columns, nulls = parsed.cells, parsed.columns, parsed.nulls
    runs = dialect.delimiter == SPACE
    together = not runs and columns[-1] - columns[0] == len(columns) - 1
    texts = _row_texts(parsed, numbers, float_format, len(data)) if together else None
    if texts is not None:
        cells = Cells(cells.starts[:, :1], cells.ends[:, -1:])
        columns = columns[:1]
    else:
        texts = _texts(parsed, numbers, float_format, len(data))
    texts.data[: len(data)] = np.frombuffer(data, np.uint8)
    offsets = _offsets(cells, columns, texts, len(data), runs)
    return _taken(parsed, texts.data, offsets, _selection(len(numbers), columns, nulls, runs))


def append(
    parsed: ParsedBlock, numbers: NDArray[Any], float_format: str | None = None
) -> memoryview:
    """The text of the block with `numbers`, of shape (records, columns), as cells that are added to
    each record before its end.

    A null is an empty cell; where runs of spaces separate the cells, so that none is empty, NA.
    """
    data, dialect, count = parsed.block.data, parsed.dialect, len(numbers)
    missing = dialect.delimiter + (b"NA" if dialect.delimiter == SPACE else b"")
    reserve = len(data) + len(missing)
    texts = _row_texts(parsed, numbers, float_format, reserve)
    if texts is None:
        texts = _texts(parsed, numbers, float_format, reserve)
    texts.data[:reserve] = np.frombuffer(data + missing, np.uint8)
    last = np.array([len(dialect.columns) - 1], np.intp)
    # The pieces are what ends with each record's last cell, what comes after the last of these,
    # what stands for a null, and each text with what there is before it
    offsets = np.zeros(count + 3 + 2 * len(texts.starts), np.int32)
    offsets[1 : count + 1] = parsed.located.cells(last).ends[:, 0]
    offsets[count + 1 : count + 3] = len(data), reserve
    offsets[count + 3 :: 2] = texts.starts
    offsets[count + 4 :: 2] = texts.ends
    each = len(texts.starts) // max(1, count)
    number = np.arange(count * each, dtype=np.int32).reshape(count, each) * 2 + (count + 3)
    if parsed.nulls is not None:
        number = np.where(parsed.nulls, np.int32(count + 1), number)
    record = np.arange(count, dtype=np.int32)[:, None]
    chosen = np.append(np.hstack([record, number]).reshape(-1), np.int32(count))
    return _taken(parsed, texts.data, offsets, chosen)


def _row_texts(
    parsed: ParsedBlock, numbers: NDArray[Any], float_format: str | None, reserve: int
) -> Texts | None:
    """The numbers of each record as one text, led by a delimiter, where they are nothing but
    numbers as they are written by default."""
    if (
        float_format is not None
        or parsed.nulls is not None
        or parsed.dialect.spelling.decimal != "."
        or numbers.dtype.itemsize == 2
        or not np.isfinite(numbers).all()
    ):
        return None
    return shortest_rows(numbers, parsed.dialect.delimiter, reserve)


def _texts(
    parsed: ParsedBlock, numbers: NDArray[Any], float_format: str | None, reserve: int
) -> Texts:
    """The text of each number, led by a delimiter."""
    dialect = parsed.dialect
    flat, decimal = numbers.reshape(-1), dialect.spelling.decimal
    return written(flat, float_format, dialect.delimiter, decimal, reserve)


def _taken(
    parsed: ParsedBlock,
    data: NDArray[np.uint8],
    offsets: NDArray[np.int32],
    chosen: NDArray[np.int32],
) -> memoryview:
    """The pieces of `data` between `offsets` whose numbers are `chosen`, one after another."""
    import pyarrow as pa

    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    pieces = pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)
    taken = pieces.take(arrow_array(chosen))
    length = np.frombuffer(taken.buffers()[1], np.int32)[len(taken)]
    added = 0 if parsed.block.ended else 1
    return memoryview(taken.buffers()[2])[: length - added]


def _offsets(
    cells: Cells, columns: NDArray[np.intp], texts: Texts, length: int, runs: bool
) -> NDArray[np.int32]:
    """Where the pieces are: the text before cell 0, cell 0, the text before cell 1, ..., the text
    after the last cell, nothing, number 0, nothing, number 1, ... A cell's delimiter is its own,
    save in the first column, where there is none, and where it is a run of spaces, which stays."""
    count = len(texts.starts)
    offsets = np.zeros(4 * count + 2, np.int32)
    old, new = offsets[1 : 2 * count + 1], offsets[2 * count + 2 :]
    leads = np.zeros(len(columns), np.int32) if runs else (columns > 0).astype(np.int32)
    np.subtract(cells.starts, leads, out=old[0::2].reshape(-1, len(leads)))
    old[1::2] = cells.ends.reshape(-1)
    offsets[2 * count + 1] = length
    new[0::2] = texts.starts
    new[1::2] = texts.ends
    if not leads.all():
        new[0::2].reshape(-1, len(leads))[:] += 1 - leads
    return offsets


def _selection(
    records: int, columns: NDArray[np.intp], nulls: NDArray[np.bool_] | None, runs: bool
) -> NDArray[np.int32]:
    """The numbers of the pieces that make up the new text."""
    width = len(columns)
    count = records * width
    cell = np.arange(count, dtype=np.int32).reshape(records, width)
    number = 2 * cell + (2 * count + 2)
    if nulls is not None:
        number = np.where(nulls, 2 * cell + 1, number)
    # Between neighbouring columns there is no text: the delimiter goes with the number.
    apart = [True, *((np.diff(columns) > 1) | runs)]
    chosen = np.empty((records, width + sum(apart)), np.int32)
    i = 0
    for column in range(width):
        if apart[column]:
            chosen[:, i] = 2 * cell[:, column]
            i += 1
        chosen[:, i] = number[:, column]
        i += 1
    return np.append(chosen.reshape(-1), np.int32(2 * count))

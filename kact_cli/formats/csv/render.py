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
    import pyarrow as pa

    data, dialect = parsed.block.data, parsed.dialect
    cells, columns, nulls = parsed.cells, parsed.columns, parsed.nulls
    if (
        float_format is None
        and nulls is None
        and dialect.spelling.decimal == "."
        and dialect.delimiter != SPACE
        and columns[-1] - columns[0] == len(columns) - 1
        and numbers.dtype.itemsize > 2
        and np.isfinite(numbers).all()
    ):
        # Neighbouring columns of nothing but numbers are written as one
        texts = shortest_rows(numbers, dialect.delimiter, reserve=len(data))
        cells = Cells(cells.starts[:, :1], cells.ends[:, -1:])
        columns = columns[:1]
    else:
        flat, decimal = numbers.reshape(-1), dialect.spelling.decimal
        texts = written(flat, float_format, dialect.delimiter, decimal, reserve=len(data))
    runs = dialect.delimiter == SPACE
    texts.data[: len(data)] = np.frombuffer(data, np.uint8)
    offsets = _offsets(cells, columns, texts, len(data), runs)
    pieces = pa.Array.from_buffers(
        pa.binary(),
        len(offsets) - 1,
        [None, pa.py_buffer(offsets), pa.py_buffer(texts.data)],
    )
    chosen = pieces.take(arrow_array(_selection(len(numbers), columns, nulls, runs)))
    length = np.frombuffer(chosen.buffers()[1], np.int32)[len(chosen)]
    added = 0 if parsed.block.ended else 1
    return memoryview(chosen.buffers()[2])[: length - added]


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

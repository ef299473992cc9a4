"""A block of CSV text with new numbers in it, every other byte as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kact_cli.formats.csv.cells import SPACE
from kact_cli.formats.csv.floats import Texts, written
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

    data = parsed.block.data
    delimiter = parsed.dialect.delimiter
    flat = numbers.reshape(-1)
    texts = written(
        flat, float_format, delimiter, parsed.dialect.spelling.decimal, reserve=len(data)
    )
    texts.data[: len(data)] = np.frombuffer(data, np.uint8)
    offsets = _offsets(parsed, texts)
    pieces = pa.Array.from_buffers(
        pa.binary(),
        len(offsets) - 1,
        [None, pa.py_buffer(offsets), pa.py_buffer(texts.data)],
    )
    chosen = pieces.take(arrow_array(_selection(parsed)))
    length = np.frombuffer(chosen.buffers()[1], np.int32)[len(chosen)]
    added = 0 if parsed.block.ended else 1
    return memoryview(chosen.buffers()[2])[: length - added]


def _offsets(parsed: ParsedBlock, texts: Texts) -> NDArray[np.int32]:
    """Where the pieces are: the text before cell 0, cell 0, the text before cell 1, ..., the text
    after the last cell, nothing, number 0, nothing, number 1, ... A cell's delimiter is its own,
    save in the first column, where there is none, and where it is a run of spaces, which stays."""
    count = len(texts.starts)
    offsets = np.zeros(4 * count + 2, np.int32)
    old, new = offsets[1 : 2 * count + 1], offsets[2 * count + 2 :]
    leads = (parsed.columns > 0).astype(np.int32) * (parsed.dialect.delimiter != SPACE)
    np.subtract(parsed.cells.starts, leads, out=old[0::2].reshape(-1, len(leads)))
    old[1::2] = parsed.cells.ends.reshape(-1)
    offsets[2 * count + 1] = len(parsed.block.data)
    new[0::2] = texts.starts
    new[1::2] = texts.ends
    if not leads.all():
        new[0::2].reshape(-1, len(leads))[:] += 1 - leads
    return offsets


def _selection(parsed: ParsedBlock) -> NDArray[np.int32]:
    """The numbers of the pieces that make up the new text."""
    records, width = parsed.numbers.shape
    count = records * width
    cell = np.arange(count, dtype=np.int32).reshape(records, width)
    number = 2 * cell + (2 * count + 2)
    if parsed.nulls is not None:
        number = np.where(parsed.nulls, 2 * cell + 1, number)
    # Between neighbouring columns there is no text: the delimiter goes with the number.
    apart = [True, *((np.diff(parsed.columns) > 1) | (parsed.dialect.delimiter == SPACE))]
    chosen = np.empty((records, width + sum(apart)), np.int32)
    i = 0
    for column in range(width):
        if apart[column]:
            chosen[:, i] = 2 * cell[:, column]
            i += 1
        chosen[:, i] = number[:, column]
        i += 1
    return np.append(chosen.reshape(-1), np.int32(2 * count))

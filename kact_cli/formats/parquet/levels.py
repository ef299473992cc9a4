"""Arrow arrays of numbers, and of lists of them, as Parquet's levels and values.

Each slot of a column chunk has a repetition level (0 starts a row, k goes on with the list that is
k deep) and a definition level: how many of the nodes above the value that may be missing are there.
Values that are missing take no room. For an optional list of optional numbers:

    [[1, null], null, []]    repetition 0 1 0 0    definition 3 2 0 1    values 1

Format: https://github.com/apache/parquet-format/blob/master/README.md#nested-encoding
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kact_cli.formats.parquet.metadata.schema import OPTIONAL, Leaf
from kact_cli.tables.arrays import list_items, stored, valid_mask, values
from kact_cli.tables.schema import is_list, numpy_dtype, storage_of
from kact_cli.types import Array

Levels = NDArray[np.uint8]

FLBA = 7
PHYSICAL = {
    "f": {2: (FLBA, "<f2"), 4: (4, "<f4"), 8: (5, "<f8")},
    "i": {1: (1, "<i4"), 2: (1, "<i4"), 4: (1, "<i4"), 8: (2, "<i8")},
    "u": {1: (1, "<u4"), 2: (1, "<u4"), 4: (1, "<u4"), 8: (2, "<u8")},
}
"""Kind and width of a number -> the physical type, and the dtype of its values in a page."""


@dataclass
class Values:
    """Some rows of a column taken apart."""

    rows: int
    slots: int
    repetition: Levels | None
    """None in a column without lists."""
    definition: Levels | None
    """None where no value is missing."""
    values: NDArray[Any]
    """Those that are not missing."""


def page_dtype(kind: pa.DataType, leaf: Leaf) -> np.dtype[Any] | None:
    """The dtype in the pages of `leaf` of a column of numbers, or of lists of them (of lists ...).

    None if the column is something else, or stored in an unexpected way.
    """
    kind, depth = storage_of(kind), 0
    while is_list(kind):
        kind, depth = kind.value_type, depth + 1
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        return None
    dtype = numpy_dtype(kind)
    physical, stored = PHYSICAL[dtype.kind][dtype.itemsize]
    known = physical == leaf.physical and depth == leaf.depth
    return np.dtype(stored) if known and (physical != FLBA or leaf.length == 2) else None


def take_apart(array: pa.Array, leaf: Leaf, page_bytes: int) -> Iterator[Values]:
    """The rows of `array`, a page's worth at a time: about `page_bytes` of values."""
    pages = max(1, round(array.nbytes / page_bytes))
    rows = max(1, -(-len(array) // pages))
    for start in range(0, len(array), rows):
        part = array.slice(start, rows)
        if leaf.depth or part.null_count:
            yield _levels(part, leaf)
        else:
            yield Values(len(part), len(part), None, None, values(_dense(part)))


def join(parts: Sequence[Values], leaf: Leaf) -> Values:
    """Some rows of `leaf`, then the rows of the next part, and so on."""
    if len(parts) == 1:
        return parts[0]
    repetition = definition = None
    if leaf.depth:
        repetition = np.concatenate([p.repetition for p in parts if p.repetition is not None])
    if any(p.definition is not None for p in parts):
        top = len(leaf.levels)
        definition = np.concatenate(
            [
                np.full(p.slots, top, np.uint8) if p.definition is None else p.definition
                for p in parts
            ]
        )
    return Values(
        sum(p.rows for p in parts),
        sum(p.slots for p in parts),
        repetition,
        definition,
        np.concatenate([p.values for p in parts]),
    )


def count_slots(array: pa.Array) -> list[int]:
    """How many slots each leaf of a column has for the rows of `array`, as Parquet's reader makes
    it: null lists have no items there, but for those of a fixed length."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind = array.type
    if pa.types.is_struct(kind):
        return [n for i in range(kind.num_fields) for n in count_slots(array.field(i))]
    if not is_list(kind) and not pa.types.is_map(kind):
        return [len(array)]
    items, offsets = list_items(array)
    if offsets is None:
        items, empty = array.flatten(), array.null_count
    else:
        empty = len(array) - np.count_nonzero(np.diff(offsets))
    return [n + empty for n in count_slots(items)]


def _levels(array: pa.Array, leaf: Leaf) -> Values:
    """Level by level from the rows to the values: `array` holds what is there of the live slots."""
    rows = slots = len(array)
    repetition = np.zeros(rows, np.uint8)
    definition = np.zeros(0, np.uint8)
    live: NDArray[np.bool_] | None = None  # all of them, and each defined to the level reached
    depth = 0
    array = stored(array)
    for reached, node in enumerate(leaf.levels):
        lengths: Array | None = None
        there: Array | None
        if node == OPTIONAL:
            there = valid_mask(array)
            array = array if there is None else array.drop_null()
        else:
            depth += 1
            items, offsets = list_items(_dense(array))
            if offsets is None:
                lengths = np.full(len(array), array.type.list_size)
            else:
                lengths = np.diff(offsets)
            array = items
            there = None if lengths.all() else lengths > 0
        if there is not None and live is None:
            live, definition = np.ones(slots, np.bool_), np.full(slots, reached, np.uint8)
        if live is not None:
            definition[live] += 1 if there is None else there
        if lengths is not None:
            counts = lengths
            if live is not None:
                counts = np.ones(slots, np.int64)
                counts[live] = np.maximum(lengths, 1)
            ends = np.cumsum(counts)
            slots = int(ends[-1])
            deeper = np.full(slots, depth, np.uint8)
            deeper[ends - counts] = repetition
            repetition = deeper
        if live is not None:
            if there is not None:
                live[live] = there
            if lengths is not None:
                live, definition = np.repeat(live, counts), np.repeat(definition, counts)
    return Values(
        rows,
        slots,
        repetition if depth else None,
        None if live is None else definition,
        values(_dense(array)),
    )


def _dense(array: pa.Array) -> pa.Array:
    """The array, which must not have a null."""
    if array.null_count:
        raise ValueError("a null where the schema allows none")
    return array

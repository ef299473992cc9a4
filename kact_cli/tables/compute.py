"""A part of a table, computed on Arrow arrays: a batch in, the same rows out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from kact_cli.engine.engine import merge_states
from kact_cli.engine.plan import Reduction
from kact_cli.tables.arrays import Leaves, arrow_array, null_mask, values
from kact_cli.tables.parts import Part
from kact_cli.types import Array, ReductionState, State


def compute(
    part: Part, arrays: Sequence[pa.Array], types: Sequence[pa.DataType], state: State
) -> list[pa.Array]:
    """The part's columns `arrays`, computed, as arrays of `types`; nulls stay where they are."""
    if part.item is not None:
        leaves = Leaves.of(arrays[0])
        out = np.empty(len(leaves.values), part.results[0])
        for where, block, nulls in _item_blocks(part, leaves):
            done = part.transform(block, state, nulls)
            if where is None:
                out = done.reshape(-1)
            else:
                out[where] = done
        return [leaves.rebuild(out, types[0])]
    masks = [null_mask(a) for a in arrays]
    if not part.columnar:
        done = part.transform(_copied(arrays[0], part), state, masks[0])
        return [arrow_array(done, masks[0], types[0])]
    outs = [np.empty(len(arrays[0]), dtype) for dtype in part.results]
    for rows, block, nulls in _row_blocks(part, arrays, masks):
        done = part.transform(block, state, nulls)
        with np.errstate(over="ignore"):  # float16 beside wider columns: inf, as by itself
            for out, column in zip(outs, done, strict=True):
                out[rows] = column
    return [arrow_array(*column) for column in zip(outs, masks, types, strict=True)]


def reduce(
    part: Part, arrays: Sequence[pa.Array], reduction: Reduction, state: State
) -> ReductionState | None:
    """The state of a batch for a streamed reduction; None for a batch without rows."""
    if len(arrays[0]) == 0:
        return None
    total: ReductionState | None = None
    for block, nulls in _blocks(part, arrays):
        found = part.reduce(block, reduction, state, nulls)
        total = found if total is None else merge(part, reduction, total, found)
    return total


def merge(part: Part, reduction: Reduction, a: ReductionState, b: ReductionState) -> ReductionState:
    """The state of two batches together."""
    return merge_states(part.program, reduction.step, a, b)


def _blocks(part: Part, arrays: Sequence[pa.Array]) -> Iterator[tuple[Array, Array | None]]:
    """The rows of a part as blocks to be computed, and where each is null."""
    if part.item is not None:
        for _, block, nulls in _item_blocks(part, Leaves.of(arrays[0])):
            yield block, nulls
        return
    masks = [null_mask(a) for a in arrays]
    if not part.columnar:
        yield _copied(arrays[0], part), masks[0]
        return
    for _, block, nulls in _row_blocks(part, arrays, masks):
        yield block, nulls


def _copied(array: pa.Array, part: Part) -> Array:
    """The values of an array as a block that may be overwritten."""
    return np.array(values(array), part.program.source)


def _row_blocks(
    part: Part, arrays: Sequence[pa.Array], masks: Sequence[Array | None]
) -> Iterator[tuple[slice, Array, Array | None]]:
    """The columns side by side, a cache-sized number of rows at a time: (columns, rows)."""
    columns = [values(a) for a in arrays]
    count, each = len(arrays[0]), part.block_rows()
    buffer = np.empty((len(columns), min(each, count)), part.program.source)
    for a in range(0, count, each):
        rows = slice(a, min(a + each, count))
        block = buffer[:, : rows.stop - a]
        if not block.flags.c_contiguous:
            block = np.empty(block.shape, block.dtype)
        for row, column in zip(block, columns, strict=True):
            row[:] = column[rows]
        nulls = None
        if any(m is not None for m in masks):
            nulls = np.zeros(block.shape, bool)
            for row, mask in zip(nulls, masks, strict=True):
                if mask is not None:
                    row[:] = mask[rows]
        yield rows, block, nulls


def _item_blocks(part: Part, leaves: Leaves) -> Iterator[tuple[Array | None, Array, Array | None]]:
    """The items of a list column as blocks (rows, *item).

    Lists of different lengths come length by length, each with the positions of its values;
    elsewhere the positions are None: the block is everything.
    """
    data = _copied(leaves.values, part)
    if not part.reductions:
        yield None, data, None
        return
    nulls = leaves.nulls()
    shape = _common_shape(part, leaves)
    if shape is None:
        for where in _by_length(leaves):
            yield where, data[where], None if nulls is None else nulls[where]
    elif data.size:
        yield None, data.reshape(shape), None if nulls is None else nulls.reshape(shape)


def _common_shape(part: Part, leaves: Leaves) -> tuple[int, ...] | None:
    """The shape that all values of a list column have as one block; None where lengths differ."""
    if not part.ragged:
        return (-1, *(n or 0 for n in part.item or ()))
    if leaves.offsets is None:
        # Around innermost lists of one length there are ragged ones, whose axes do not reduce
        return (-1, (part.item or (0,))[-1] or 0)
    lengths = np.unique(np.diff(leaves.offsets))
    return (-1, int(lengths[0])) if len(lengths) == 1 and lengths[0] else None


def _by_length(leaves: Leaves) -> Iterator[Array]:
    """The positions of the values of all lists of one length (lists, length), length by length."""
    offsets = np.zeros(1, np.int64) if leaves.offsets is None else leaves.offsets
    starts, lengths = offsets[:-1], np.diff(offsets)
    order = np.argsort(lengths, kind="stable")
    distinct, firsts = np.unique(lengths[order], return_index=True)
    for length, lists in zip(distinct, np.split(starts[order], firsts[1:]), strict=False):
        if length:
            yield lists[:, None] + np.arange(length)

"""A part of a table, computed on Arrow arrays: a batch in, the same rows out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from kact_cli.engine.engine import merge_statistics
from kact_cli.engine.plan import Reduction
from kact_cli.tables.arrays import Leaves, arrow_array, null_mask, values
from kact_cli.tables.parts import Part
from kact_cli.types import Array, State, Statistics


def compute(
    part: Part, arrays: Sequence[pa.Array], types: Sequence[pa.DataType], state: State
) -> list[pa.Array]:
    """The part's columns `arrays`, computed, as arrays of `types`; nulls stay where they are."""
    if part.item is not None:
        leaves = Leaves.of(arrays[0])
        data = np.array(values(leaves.values), part.program.source)
        out = np.empty(len(data), part.results[0])
        for where, block, nulls in _item_blocks(part, leaves, data):
            done = part.transform(block, state, nulls)
            if where is None:
                out = done.reshape(-1)
            else:
                out[where] = done
        return [leaves.rebuild(out, types[0])]
    masks = [null_mask(a) for a in arrays]
    if not part.columnar:
        block = np.array(values(arrays[0]), part.program.source)
        done = part.transform(block, state, masks[0])
        return [arrow_array(done, masks[0], types[0])]
    outs = [np.empty(len(arrays[0]), dtype) for dtype in part.results]
    for rows, block, nulls in _blocks(part, arrays, masks):
        done = part.transform(block, state, nulls)
        with np.errstate(over="ignore"):  # float16 beside wider columns: inf, as by itself
            for out, column in zip(outs, done, strict=True):
                out[rows] = column
    return [arrow_array(*column) for column in zip(outs, masks, types, strict=True)]


def statistics(
    part: Part, arrays: Sequence[pa.Array], reduction: Reduction, state: State
) -> Statistics | None:
    """The statistics of a batch for a streamed reduction; None for a batch without rows."""
    if len(arrays[0]) == 0:
        return None
    masks = [null_mask(a) for a in arrays]
    total: Statistics | None = None
    blocks: Iterable[tuple[Array, Array | None]]
    if part.item is not None:
        leaves = Leaves.of(arrays[0])
        data = np.array(values(leaves.values), part.program.source)
        blocks = ((b, n) for _, b, n in _item_blocks(part, leaves, data))
    elif part.columnar:
        blocks = ((b, n) for _, b, n in _blocks(part, arrays, masks))
    else:
        blocks = [(np.array(values(arrays[0]), part.program.source), masks[0])]
    for block, nulls in blocks:
        found = part.statistics(block, reduction, state, nulls)
        total = found if total is None else merge(part, reduction, total, found)
    return total


def merge(part: Part, reduction: Reduction, a: Statistics, b: Statistics) -> Statistics:
    """The statistics of two batches together."""
    return merge_statistics(part.program.chain, reduction.step, a, b)


def _blocks(
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


def _item_blocks(
    part: Part, leaves: Leaves, data: Array
) -> Iterator[tuple[Array | None, Array, Array | None]]:
    """The items of a list column as blocks (rows, *item).

    Lists of different lengths come length by length, each with the positions of its values;
    elsewhere the positions are None: the block is everything.
    """
    nulls = leaves.nulls() if part.reductions else None
    if not part.reductions:
        yield None, data, None
        return
    if leaves.offsets is None or not part.ragged:
        # Around innermost lists of one length there may be ragged ones, whose axes do not reduce
        item = part.item or ()
        shape = (-1, *(n or 0 for n in (item[-1:] if part.ragged else item)))
        if data.size:
            yield None, data.reshape(shape), nulls.reshape(shape) if nulls is not None else None
        return
    starts, lengths = leaves.offsets[:-1], np.diff(leaves.offsets)
    distinct = np.unique(lengths)
    if len(distinct) == 1 and distinct[0]:
        shape = (-1, int(distinct[0]))
        yield None, data.reshape(shape), nulls.reshape(shape) if nulls is not None else None
        return
    order = np.argsort(lengths, kind="stable")
    bounds = [*np.searchsorted(lengths[order], distinct).tolist(), len(order)]
    for length, a, b in zip(distinct.tolist(), bounds, bounds[1:], strict=False):
        if length:
            rows = starts[order[a:b], None] + np.arange(length)
            yield rows, data[rows], nulls[rows] if nulls is not None else None

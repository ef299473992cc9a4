"""The same numbers of several files, side by side: those that are compared, and their inputs.

Tensors of one shape are read element by element, whatever their orders; tables row by row, the
columns that were chosen; a tensor of one or two axes may stand for a table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from kact_cli.engine.layout import Grid, grow
from kact_cli.errors import DataError, DifferentError
from kact_cli.formats.npy import BLOCK_BYTES, NpyTensor
from kact_cli.messages import counted
from kact_cli.reports.errors import Place
from kact_cli.reports.numbers import OpenTable
from kact_cli.tables.columns import ColumnBlock
from kact_cli.types import Array, Shape

RUN = 512
"""The elements that a read has at least, where a C-ordered tensor meets a Fortran-ordered one."""
Rows = Iterator[list[ColumnBlock]]


class Piece(NamedTuple):
    """The same elements of several tensors: what reads them, and where each is."""

    read: Callable[[], list[Array]]
    place: Callable[[int], Place]


def unlike(number: int) -> type[DataError]:
    """The error for the file of that number, which does not go with the first one.

    That of number 1 says that the files differ; number 2 are the inputs, of which neither is.
    """
    return DifferentError if number == 1 else DataError


def seekable(
    numbers: Sequence[NpyTensor | OpenTable], stack: contextlib.ExitStack
) -> list[NpyTensor | OpenTable]:
    """All, from temporary files where they came through a pipe and are not read in order."""
    orders = {n.header.fortran_order if isinstance(n, NpyTensor) else False for n in numbers}
    if len(orders) == 1:
        return list(numbers)
    return [n.seekable(stack) if isinstance(n, NpyTensor) else n for n in numbers]


def pieces(tensors: Sequence[NpyTensor], shape: Shape) -> Iterator[Piece]:
    """The elements of tensors of one shape, piece by piece; they are read when that is called.

    What comes through a pipe is read at once, in order.
    """
    orders = {t.header.fortran_order for t in tensors}
    if len(orders) == 1 or sum(n > 1 for n in shape) < 2:
        return _side_by_side(tensors, shape, "F" if tensors[0].header.fortran_order else "C")
    return _boxes(tensors, shape)


def _elements(tensors: Sequence[NpyTensor]) -> int:
    """How many elements a piece has."""
    return BLOCK_BYTES // max(t.header.dtype.itemsize for t in tensors)


def _side_by_side(tensors: Sequence[NpyTensor], shape: Shape, order: str) -> Iterator[Piece]:
    """Pieces of tensors of the same order."""
    dims = shape if order == "C" else shape[::-1]
    each, size = _elements(tensors), tensors[0].header.size
    piped = any(t.source.size is None for t in tensors)
    for first in range(0, size, each):
        count = min(each, size - first)

        def place(i: int, first: int = first) -> Place:
            found = tuple(int(n) for n in np.unravel_index(first + i, dims))
            return found if order == "C" else found[::-1]

        def read(first: int = first, count: int = count) -> list[Array]:
            return [t.read(first, count) for t in tensors]

        # A pipe is read here, in its order
        yield Piece(partial(list, read()) if piped else read, place)


def _boxes(tensors: Sequence[NpyTensor], shape: Shape) -> Iterator[Piece]:
    """Boxes of tensors of different order, long enough in all to be read in long runs."""
    ones = (1,) * len(shape)
    outer = grow(shape[::-1], ones, shape[::-1], RUN)[::-1]
    grid = Grid(shape, grow(shape, outer, shape, _elements(tensors)))
    for number in range(len(grid)):
        start, box = grid.box(number)

        def place(i: int, start: Shape = start, box: Shape = box) -> Place:
            return tuple(s + int(n) for s, n in zip(start, np.unravel_index(i, box), strict=True))

        def read(start: Shape = start, box: Shape = box) -> list[Array]:
            return [t.box(start, box).reshape(-1) for t in tensors]

        yield Piece(read, place)


def blocks(numbers: NpyTensor | OpenTable, positions: Sequence[int]) -> Rows:
    """The columns at these positions, some rows at a time."""
    if isinstance(numbers, OpenTable):
        rising = sorted(positions)
        order = [rising.index(i) for i in positions]
        for found in numbers.reader.numbers(rising):
            yield [found[i] for i in order]
        return
    header, width = numbers.header, len(positions)
    each = max(1, BLOCK_BYTES // (header.dtype.itemsize * max(1, width)))
    for first in range(0, header.shape[0], each):
        count, rank = min(each, header.shape[0] - first), len(header.shape)
        start, box = (first, 0)[:rank], (count, width)[:rank]
        rows = numbers.box(start, box).reshape(count, width)
        yield [ColumnBlock(rows[:, i].astype(rows.dtype.newbyteorder("="))) for i in range(width)]


def aligned(
    files: Sequence[Rows], names: Sequence[str]
) -> Iterator[tuple[int, list[list[ColumnBlock]]]]:
    """The same rows of all: the number of the first, and of each file the blocks of its columns.

    Raises what is `unlike` where one has more rows than another.
    """
    held: list[list[ColumnBlock]] = [[] for _ in files]
    done = 0
    while True:
        for side, rows in enumerate(files):
            while not held[side] or held[side][0].rows == 0:
                more = next(rows, None)
                if more is None:
                    break
                held[side] = more
        ready = [found[0].rows if found else 0 for found in held]
        count = min(ready)
        if not count:
            break
        yield done, [[block.slice(0, count) for block in found] for found in held]
        held = [[block.slice(count, block.rows) for block in found] for found in held]
        done += count
    for side in range(1, len(files)):
        if ready[0] != ready[side]:
            counts = [done + ready[i] + _count(files[i]) for i in (0, side)]
            raise unlike(side)(
                f"{names[0]} has {counted(counts[0], 'row')} and {names[side]} has {counts[1]:,}"
            )


def _count(rows: Iterable[list[ColumnBlock]]) -> int:
    return sum(found[0].rows for found in rows if found)

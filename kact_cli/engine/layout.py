"""Cutting a tensor into boxes: the arithmetic under the planner, free of files and activations.

A tensor is seen in the order in which it lies in the file (a Fortran-ordered one with its axes
reversed), as a C-contiguous block of shape `dims`. Neighbouring axes that every reduction treats
alike are merged, so a tensor of any rank has few dims. A box is a `start` and a `shape`, a sequence
of integers for each dim.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from kact_cli.types import Shape


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def merge_axes(shape: Sequence[int], groups: Sequence[frozenset[int]]) -> tuple[Shape, list[Shape]]:
    """Merge axes of `shape` that lie in the same ones of `groups`.

    `groups` holds the set of axes of each reduction. Returns the merged dims and, for each group,
    the dims that it reduces. Axes of length one disappear, unless nothing else is left.
    """
    dims: list[int] = []
    roles: list[tuple[bool, ...]] = []
    for axis, length in enumerate(shape):
        role = tuple(axis in group for group in groups)
        if length == 1:
            continue
        if roles and roles[-1] == role:
            dims[-1] *= length
        else:
            dims.append(length)
            roles.append(role)
    if not dims:
        dims, roles = [1], [tuple(bool(group) for group in groups)]
    reduced = [tuple(d for d, role in enumerate(roles) if role[g]) for g in range(len(groups))]
    return tuple(dims), reduced


@dataclass(frozen=True)
class Grid:
    """A box cut into tiles of one shape (smaller at the far edges), counted in C order."""

    dims: Shape
    tile: Shape

    @cached_property
    def counts(self) -> Shape:
        return tuple(ceil_div(d, t) for d, t in zip(self.dims, self.tile, strict=True))

    def __len__(self) -> int:
        return math.prod(self.counts)

    def box(self, index: int) -> tuple[Shape, Shape]:
        """The start and the shape of tile number `index`."""
        start = []
        for count, tile in zip(reversed(self.counts), reversed(self.tile), strict=True):
            index, position = divmod(index, count)
            start.append(position * tile)
        start.reverse()
        shape = tuple(min(t, d - s) for t, d, s in zip(self.tile, self.dims, start, strict=True))
        return tuple(start), shape


def run_length(dims: Shape, tile: Shape) -> int:
    """How many elements of a tile lie next to one another in the block `dims`."""
    run = 1
    for d, t in zip(reversed(dims), reversed(tile), strict=True):
        run *= t
        if t < d:
            break
    return run


def runs(dims: Shape, start: Shape, shape: Shape) -> Iterator[tuple[int, int]]:
    """The contiguous runs (offset, count), in elements, of a box in the block `dims`."""
    strides = [math.prod(dims[d + 1 :]) for d in range(len(dims))]
    last = len(dims) - 1
    while last > 0 and shape[last] == dims[last]:
        last -= 1
    base = sum(s * stride for s, stride in zip(start, strides, strict=True))
    count = math.prod(shape[last:])
    for position in itertools.product(*(range(n) for n in shape[:last])):
        yield base + sum(p * s for p, s in zip(position, strides, strict=False)), count


def grow(dims: Shape, fixed: Shape, limits: Shape, elements: int) -> Shape:
    """The largest tile of at most `elements` that has at least the lengths of `fixed`.

    Grows from the innermost dim outwards, as far as `limits`, so that a tile's runs are long.
    """
    tile = list(fixed)
    for d in reversed(range(len(dims))):
        others = math.prod(tile) // tile[d]
        tile[d] = max(tile[d], min(limits[d], elements // others))
    return tuple(tile)

"""A block seen as the groups that a reduction runs over."""

from __future__ import annotations

import math

import numpy as np

from kact_cli.types import Array, Shape


def as_groups(block: Array, dims: Shape) -> Array:
    """`block` as a C-contiguous (outer, length, inner), `dims` of it being the length.

    A view wherever the dims lie together, else a copy.
    """
    rank = block.ndim
    if dims and list(dims) != list(range(dims[0], dims[-1] + 1)):
        kept = [d for d in range(rank) if d not in dims]
        moved = np.ascontiguousarray(block.transpose([*kept, *dims]))
        length = math.prod(block.shape[d] for d in dims)
        return moved.reshape(-1, length, 1)
    a, b = (dims[0], dims[-1] + 1) if dims else (rank, rank)
    shape = block.shape
    return block.reshape(math.prod(shape[:a]), math.prod(shape[a:b]), math.prod(shape[b:]))


def from_groups(groups: Array, block: Array, dims: Shape) -> None:
    """Copy what `as_groups(block, dims)` gave back into `block`, where it was not a view."""
    if not np.may_share_memory(groups, block):
        order = [d for d in range(block.ndim) if d not in dims] + list(dims)
        target = block.transpose(order)
        target[...] = groups.reshape(target.shape)

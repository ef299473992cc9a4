"""Every value of a dtype, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kact_cli.golden.floats import Numbering
from kact_cli.types import Array

BLOCK_BYTES = 1024 * 1024


def patterns(numbering: Numbering) -> Iterator[Array]:
    """Every value in the order of its bits, from 0 up: 0.0 first, each NaN included."""
    unsigned = np.dtype(f"u{numbering.dtype.itemsize}")
    total = 1 << numbering.bits
    each = min(total, BLOCK_BYTES // unsigned.itemsize)
    first = np.arange(each).astype(unsigned)
    for start in range(0, total, each):
        yield (first + unsigned.type(start)).view(numbering.dtype)


def rising(numbering: Numbering, first: int, last: int) -> Iterator[Array]:
    """Every finite value from number `first` to number `last`, both included, in rising order."""
    each = BLOCK_BYTES // 8
    for start in range(first, last + 1, each):
        yield numbering.values(np.arange(start, min(start + each, last + 1)))


def specials(numbering: Numbering) -> Array:
    """NaN, inf, -inf, 0.0 and -0.0; then subnormals from 0 outwards, both signs in turn.

    Of 2 bytes every subnormal, of more the nearest to 0, their powers of two, and the largest. For
    an integer, 0, the smallest and the largest value, and those next to them.
    """
    if not numbering.is_float:
        ends = [0, numbering.least, numbering.most, numbering.least + 1, numbering.most - 1, 1]
        chosen = [*ends, *([-1] if numbering.least < 0 else [])]
        return numbering.values(np.array(list(dict.fromkeys(chosen)), np.int64))
    smallest_normal = 1 << numbering.mantissa
    if numbering.bits == 16:
        subnormal = np.arange(1, smallest_normal)
    else:
        powers = {1 << n for n in range(numbering.mantissa)}
        subnormal = np.array(sorted({*powers, 3, smallest_normal - 1}))
    both = np.stack([subnormal, ~subnormal], axis=1).reshape(-1)
    infinity = numbering.infinity
    nan = infinity + (1 << (numbering.mantissa - 1))
    numbers = np.concatenate([[nan, infinity, ~infinity, 0, -1], both])
    return numbering.values(numbers.astype(np.int64))

"""How far two vectors of numbers are apart, in units in the last place and absolutely.

The floats of one dtype, in rising order, are numbered: 0 is zero of either sign, 1 the smallest
positive number, and so on to infinity, which follows the largest finite one. The distance in ULP
is the difference of these numbers, so 1 for neighbours everywhere: across a power of two, across
zero, up to infinity. Between integers it is their difference.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kact_cli.engine.bfloat16 import as_bfloat16
from kact_cli.types import BFLOAT16, Array

DType = np.dtype[Any]


def common_dtype(a: DType, b: DType) -> DType | None:
    """The float dtype in whose ULP two dtypes are compared, the narrower; None: both are whole."""
    floats = [d.newbyteorder("=") for d in (a, b) if d.kind == "f" or d == BFLOAT16]
    return min(floats, key=lambda d: (d.itemsize, d != BFLOAT16)) if floats else None


def ordered(x: Array) -> Array:
    """The numbers of floats (2, 4 or 8 bytes, native) in their order; NaN has no place.

    They are integers as wide as the floats.
    """
    bits = x.view(f"i{x.itemsize}")
    magnitude = bits & np.iinfo(bits.dtype).max
    return np.where(bits < 0, -magnitude, bits)


def distance(a: Array, b: Array) -> Array:
    """The distance of two vectors in ULP of their common dtype; of integers, exact.

    It is unsigned, and as wide as what is compared; it does not overflow.
    """
    dtype = common_dtype(a.dtype, b.dtype)
    if dtype == BFLOAT16:
        i, j = (ordered(as_bfloat16(x).view(np.int16)) for x in (a, b))
    elif dtype is not None:
        i, j = (ordered(np.ascontiguousarray(x, dtype)) for x in (a, b))
    elif np.result_type(a, b).kind == "f":  # int64 and uint64
        signed, other = (a, b) if a.dtype.kind == "i" else (b, a)
        i, j = signed.astype(np.int64), other.astype(np.uint64)
        apart = np.where(i < 0, j - i.view(np.uint64), np.zeros(1, np.uint64))
        apart[(i < 0) & (apart < j)] = np.iinfo(np.uint64).max  # further than 64 bits can say
        u = i.view(np.uint64)
        return np.where(i < 0, apart, np.maximum(u, j) - np.minimum(u, j))
    else:
        wide = np.uint64 if np.result_type(a, b).kind == "u" else np.int64
        i, j = a.astype(wide), b.astype(wide)
    unsigned = f"u{i.itemsize}"
    far: Array = np.maximum(i, j).view(unsigned) - np.minimum(i, j).view(unsigned)
    return far

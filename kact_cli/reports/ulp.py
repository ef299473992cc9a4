"""How far two vectors of numbers are apart, in units in the last place and absolutely.

The floats of one dtype, in rising order, are numbered: 0 is zero of either sign, 1 the smallest
positive number, and so on to infinity, which follows the largest finite one. The distance in ULP
is the difference of these numbers, so 1 for neighbours everywhere: across a power of two, across
zero, up to infinity. Between integers it is their difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from kact_cli.engine.bfloat16 import as_bfloat16, as_floats
from kact_cli.types import BFLOAT16, Array

DType = np.dtype[Any]
Place = tuple[int, ...]
"""The indices of an element of a tensor; the row, and the position in its list, in a column."""


def common_dtype(a: DType, b: DType) -> DType | None:
    """The float dtype in whose ULP two dtypes are compared, the narrower; None: both are whole."""
    floats = [d.newbyteorder("=") for d in (a, b) if d.kind == "f" or d == BFLOAT16]
    return min(floats, key=lambda d: (d.itemsize, d != BFLOAT16)) if floats else None


def ordered(x: Array) -> Array:
    """The numbers (int64) of floats (2, 4 or 8 bytes, native) in their order; NaN has no place."""
    bits = x.view(f"i{x.itemsize}").astype(np.int64)
    magnitude = bits & ((1 << (8 * x.itemsize - 1)) - 1)
    return np.where(bits < 0, -magnitude, bits)


def distance(a: Array, b: Array) -> Array:
    """The distance (uint64) of two vectors in ULP of their common dtype; of integers, exact."""
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
    return np.maximum(i, j).view(np.uint64) - np.minimum(i, j).view(np.uint64)


@dataclass(frozen=True)
class Tolerance:
    """What passes: a pair that is equal, or within `max_ulp`, or within `atol + rtol * |b|`."""

    max_ulp: int | None = None
    rtol: float | None = None
    atol: float | None = None

    def passes(self, ulp: Array, absolute: Array, b: Array) -> Array:
        """Which pairs pass; None of them is NaN."""
        passed: Array = ulp <= np.uint64(self.max_ulp or 0)
        if self.rtol is not None or self.atol is not None:
            limit = (self.atol or 0.0) + (self.rtol or 0.0) * np.abs(b)
            passed |= absolute <= limit
        return passed


@dataclass(frozen=True)
class Worst:
    """The largest error, the position where it is (the first such), and the two values there."""

    error: float
    at: Place
    a: float
    b: float


@dataclass(frozen=True)
class Errors:
    """What became of comparing pairs. Pairs with a NaN or a null are in no error or mean."""

    pairs: int = 0
    compared: int = 0
    differ: int = 0
    """Pairs of different numbers, 0.0 and -0.0 being the same."""
    zero_signs: int = 0
    """Pairs of zeros of different sign."""
    nan: int = 0
    """Pairs of which one alone is NaN."""
    null: int = 0
    """Pairs of which one alone is null."""
    beyond: int = 0
    """Pairs that the tolerance does not pass; those of `nan` and `null` included."""
    ulp_sum: int = 0
    absolute_sum: float = 0.0
    absolute_count: int = 0
    """Pairs that are a finite distance apart."""
    ulp: Worst | None = None
    absolute: Worst | None = None
    first_nan: Place | None = None
    first_null: Place | None = None

    @property
    def mean_ulp(self) -> float | None:
        return self.ulp_sum / self.compared if self.compared else None

    @property
    def mean_absolute(self) -> float | None:
        return self.absolute_sum / self.absolute_count if self.absolute_count else None

    def placed(self, place: Callable[[int], Place]) -> Errors:
        """The same, each position in the vectors made a place in the whole."""

        def moved(worst: Worst | None) -> Worst | None:
            return worst and replace(worst, at=place(worst.at[0]))

        return replace(
            self,
            ulp=moved(self.ulp),
            absolute=moved(self.absolute),
            first_nan=self.first_nan and place(self.first_nan[0]),
            first_null=self.first_null and place(self.first_null[0]),
        )

    def merge(self, later: Errors) -> Errors:
        """Both together; `later` comes after this."""
        sums = {name: getattr(self, name) + getattr(later, name) for name in _SUMS}
        return Errors(
            **sums,
            ulp=_larger(self.ulp, later.ulp),
            absolute=_larger(self.absolute, later.absolute),
            first_nan=later.first_nan if self.first_nan is None else self.first_nan,
            first_null=later.first_null if self.first_null is None else self.first_null,
        )


_SUMS = [f.name for f in fields(Errors) if f.default == 0]


def _larger(a: Worst | None, b: Worst | None) -> Worst | None:
    if a is None or b is None:
        return a or b
    return b if b.error > a.error else a


def errors(
    a: Array,
    b: Array,
    tolerance: Tolerance,
    nulls: tuple[Array | None, Array | None] = (None, None),
) -> Errors:
    """Compare two vectors of numbers, of any dtypes; a place is the index in them."""
    a, b = (x.astype(x.dtype.newbyteorder("="), copy=False) for x in (a, b))
    a, b = (x.view(np.uint8) if x.dtype == bool else x for x in (a, b))
    narrow = BFLOAT16 in (a.dtype, b.dtype)
    a, b = as_floats(a), as_floats(b)
    pairs, where = len(a), np.arange(len(a))
    absent = [np.zeros(len(a), bool) if n is None else n for n in nulls]
    null, first_null = _mismatches(absent, where)
    a, b, where = _without(absent, a, b, where)
    with np.errstate(all="ignore"):
        absent = [np.isnan(a), np.isnan(b)]
        nan, first_nan = _mismatches(absent, where)
        a, b, where = _without(absent, a, b, where)
        ulp = distance(*(as_bfloat16(x) for x in (a, b))) if narrow else distance(a, b)
        x, y = a.astype(np.float64), b.astype(np.float64)
        whole = common_dtype(a.dtype, b.dtype) is None
        absolute = ulp.astype(np.float64) if whole else np.abs(x - y)
        absolute[x == y] = 0  # inf - inf is NaN
        finite = absolute[np.isfinite(absolute)]
        beyond = len(ulp) - int(np.count_nonzero(tolerance.passes(ulp, absolute, y)))
        zeros = (x == 0) & (y == 0) & (np.signbit(x) != np.signbit(y))

    def worst(error: Array) -> Worst | None:
        if not len(error):
            return None
        i = int(error.argmax())
        return Worst(error[i].item(), (int(where[i]),), a[i].item(), b[i].item())

    return Errors(
        pairs=pairs,
        compared=len(ulp),
        differ=int(np.count_nonzero(ulp)),
        zero_signs=int(np.count_nonzero(zeros)),
        nan=nan,
        null=null,
        beyond=beyond + nan + null,
        ulp_sum=_sum(ulp),
        absolute_sum=float(finite.sum()),
        absolute_count=len(finite),
        ulp=worst(ulp),
        absolute=worst(absolute),
        first_nan=first_nan,
        first_null=first_null,
    )


def _mismatches(absent: Sequence[Array], where: Array) -> tuple[int, Place | None]:
    """How many pairs have one value of two, and where the first of them is."""
    found = absent[0] != absent[1]
    count = int(np.count_nonzero(found))
    return count, (int(where[found.argmax()]),) if count else None


def _without(absent: Sequence[Array], *vectors: Array) -> tuple[Array, ...]:
    """The vectors without the pairs of which either is absent."""
    either = absent[0] | absent[1]
    return tuple(v[~either] for v in vectors) if either.any() else vectors


def _sum(ulp: Array) -> int:
    """The sum of a vector of uint64, however large: by halves, which do not overflow."""
    low = int((ulp & np.uint64(2**32 - 1)).sum())
    return low + (int((ulp >> np.uint64(32)).sum()) << 32)

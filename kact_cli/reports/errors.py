"""The errors of one vector of numbers against another, and of many parts together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np

from kact_cli.engine.bfloat16 import as_bfloat16, as_floats
from kact_cli.reports.by_input import ByInput
from kact_cli.reports.distribution import Distribution
from kact_cli.reports.ulp import common_dtype, distance
from kact_cli.types import BFLOAT16, Array

Place = tuple[int, ...]
"""The indices of an element of a tensor; the row, and the position in its list, in a column."""
PERCENTILES = (50.0, 99.0, 99.9)
"""Of the distances in ULP, those that are shown."""


@dataclass(frozen=True)
class Tolerance:
    """What passes: a pair that is equal, or within `max_ulp`, or within `atol + rtol * |b|`.

    `p99_ulp` is no limit for a pair, but for the 99th percentile of all; where it is the only one,
    every pair passes that is not NaN or null on one side alone.
    """

    max_ulp: int | None = None
    rtol: float | None = None
    atol: float | None = None
    p99_ulp: int | None = None

    @property
    def by_value(self) -> bool:
        """Whether what is large in ULP may be small enough."""
        return self.rtol is not None or self.atol is not None

    def passes(self, ulp: Array, absolute: Array, b: Array) -> Array:
        """Which pairs pass; None of them is NaN."""
        if self.p99_ulp is not None and self.max_ulp is None and not self.by_value:
            return np.ones(len(ulp), bool)
        passed: Array = ulp <= np.uint64(self.max_ulp or 0)
        if self.by_value:
            limit = (self.atol or 0.0) + (self.rtol or 0.0) * np.abs(b)
            passed |= absolute <= limit
        return passed


@dataclass(frozen=True)
class Worst:
    """A pair, how far apart it is, the position where it is, and the input that it comes of."""

    error: float
    at: Place
    a: float
    b: float
    x: float | None = None


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
    """The largest error, the first such."""
    absolute: Worst | None = None
    first_nan: Place | None = None
    first_null: Place | None = None
    worst: tuple[Worst, ...] = ()
    """The largest errors in ULP, as many as were asked for; the first where errors are equal. Where
    values have a tolerance, of the pairs that it does not pass."""
    distribution: Distribution = field(default_factory=Distribution)
    by_input: ByInput | None = None

    @property
    def mean_ulp(self) -> float | None:
        return self.ulp_sum / self.compared if self.compared else None

    def percentile(self, percent: float) -> float | None:
        """The error in ULP that at least `percent` of the pairs do not exceed; None of none."""
        found = self.distribution.percentile(percent)
        return found if found is None or self.ulp is None else min(found, self.ulp.error)

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
            worst=tuple(replace(w, at=place(w.at[0])) for w in self.worst),
        )

    def merge(self, later: Errors, top: int = 0) -> Errors:
        """Both together; `later` comes after this. `top` is how many of the worst are kept."""
        sums = {name: getattr(self, name) + getattr(later, name) for name in _SUMS}
        worst = sorted((*self.worst, *later.worst), key=lambda w: -w.error)[:top]
        both = self.by_input and later.by_input and self.by_input.merge(later.by_input)
        return Errors(
            **sums,
            ulp=_larger(self.ulp, later.ulp),
            absolute=_larger(self.absolute, later.absolute),
            first_nan=later.first_nan if self.first_nan is None else self.first_nan,
            first_null=later.first_null if self.first_null is None else self.first_null,
            worst=tuple(worst),
            distribution=self.distribution.merge(later.distribution),
            by_input=both or self.by_input or later.by_input,
        )


_SUMS = [f.name for f in fields(Errors) if f.default == 0]


def _larger(a: Worst | None, b: Worst | None) -> Worst | None:
    if a is None or b is None:
        return a or b
    return b if b.error > a.error else a


class Given(NamedTuple):
    """What is compared: two vectors of numbers of any dtypes, and beside them what is known."""

    a: Array
    b: Array
    nulls: Sequence[Array | None] = (None, None)
    x: Array | None = None
    """The inputs that both come of."""
    x_nulls: Array | None = None
    """Where these are null, which counts as NaN."""


def errors(given: Given, tolerance: Tolerance, top: int = 0) -> Errors:
    """Compare two vectors of numbers; a place is the index in them. `top`: how many worst to keep.

    Most pairs have the same bits, as a rule: what they need is cheap, and the rest by themselves.
    """
    a, b = (_native(v) for v in (given.a, given.b))
    x, x_nulls = None if given.x is None else _native(given.x), given.x_nulls
    null, first_null, there = _absent(given.nulls, len(a))
    kept = None if there is None else np.flatnonzero(there)
    if kept is not None:
        a, b, x = a[kept], b[kept], None if x is None else x[kept]
        x_nulls = None if x_nulls is None else x_nulls[kept]
    nan, first_nan, numbers = _absent([_nan(v) for v in (a, b)], len(a))
    apart = _different(a, b)
    if numbers is not None:
        apart = apart[numbers[apart]]
    compared = len(a) if numbers is None else int(np.count_nonzero(numbers))
    part = slice(None) if len(apart) == len(a) else apart
    found = _apart(a[part], b[part], tolerance)
    equal = compared - len(apart)

    def place(i: int) -> Place:
        return (int(i if kept is None else kept[i]),)

    def input_of(i: int) -> float | None:
        if x is None:
            return None
        return np.nan if x_nulls is not None and x_nulls[i] else _plain(x, i)

    def worst(error: Array, i: int) -> Worst:
        at = int(apart[i])
        return Worst(error[i].item(), place(at), _plain(a, at), _plain(b, at), input_of(at))

    def largest(error: Array) -> Worst | None:
        if len(error) and error.max() > 0:
            return worst(error, int(error.argmax()))
        if not compared:
            return None
        first = 0 if numbers is None else int(numbers.argmax())
        kind = error.dtype.type(0).item()
        return Worst(kind, place(first), _plain(a, first), _plain(b, first), input_of(first))

    ulp, absolute = found.ulp, found.absolute
    ranked = np.where(found.passed, 0, ulp) if tolerance.by_value else ulp
    finite = absolute[np.isfinite(absolute)]
    by_input = None
    if x is not None:
        among = None if numbers is None else np.flatnonzero(numbers)
        by_input = ByInput.of(x, among, apart, ulp, x_nulls)
    return Errors(
        pairs=len(given.a),
        compared=compared,
        differ=int(np.count_nonzero(ulp)),
        zero_signs=found.zero_signs,
        nan=nan,
        null=null,
        beyond=len(ulp) - int(np.count_nonzero(found.passed)) + nan + null,
        ulp_sum=_sum(ulp),
        absolute_sum=float(finite.sum()),
        absolute_count=len(finite) + equal,
        ulp=largest(ulp),
        absolute=largest(absolute),
        first_nan=None if first_nan is None else place(first_nan),
        first_null=None if first_null is None else (first_null,),
        worst=tuple(worst(ulp, i) for i in _top(ranked, top)),
        distribution=Distribution.of(ulp, equal),
        by_input=by_input,
    )


def _native(x: Array) -> Array:
    """A vector in native byte order; booleans are 0 and 1."""
    x = x.astype(x.dtype.newbyteorder("="), copy=False)
    return x.view(np.uint8) if x.dtype == bool else x


def _plain(x: Array, i: int) -> float:
    """An element as Python's number."""
    number: float = as_floats(x[i : i + 1])[0].item()
    return number


def _nan(x: Array) -> Array | None:
    """Where a vector is NaN; None: nowhere."""
    if x.dtype == BFLOAT16:
        found = (x.view(np.uint16) & 0x7FFF) > 0x7F80
        return found if found.any() else None
    if x.dtype.kind != "f" or not np.isnan(x.max(initial=0)):
        return None
    return np.isnan(x)


def _absent(where: Sequence[Array | None], size: int) -> tuple[int, int | None, Array | None]:
    """How many pairs have one value of two, where the first of them is, and which have both.

    None where all have both.
    """
    if all(w is None for w in where):
        return 0, None, None
    left, right = (np.zeros(size, bool) if w is None else w for w in where)
    alone = left != right
    count = int(np.count_nonzero(alone))
    return count, int(alone.argmax()) if count else None, ~(left | right)


def _different(a: Array, b: Array) -> Array:
    """The indices of the pairs that are not the same bits, or of all where dtypes differ."""
    if a.dtype != b.dtype:
        return np.arange(len(a))
    bits = f"u{a.itemsize}"
    return np.flatnonzero(a.view(bits) != b.view(bits))


class _Apart(NamedTuple):
    ulp: Array
    absolute: Array
    passed: Array
    zero_signs: int


def _apart(a: Array, b: Array, tolerance: Tolerance) -> _Apart:
    """The errors of pairs without NaN."""
    narrow = BFLOAT16 in (a.dtype, b.dtype)
    a, b = as_floats(a), as_floats(b)
    with np.errstate(all="ignore"):
        ulp = distance(*(as_bfloat16(v) for v in (a, b))) if narrow else distance(a, b)
        x, y = a.astype(np.float64), b.astype(np.float64)
        whole = common_dtype(a.dtype, b.dtype) is None
        absolute = ulp.astype(np.float64) if whole else np.abs(x - y)
        absolute[x == y] = 0  # inf - inf is NaN
        passed = tolerance.passes(ulp, absolute, y)
        zeros = (x == 0) & (y == 0) & (np.signbit(x) != np.signbit(y))
    return _Apart(ulp, absolute, passed, int(np.count_nonzero(zeros)))


def _top(ulp: Array, count: int) -> list[int]:
    """The indices of the largest distances that are not 0, the first where they are equal."""
    if not count or not len(ulp):
        return []
    first = np.flatnonzero(ulp == ulp.max())[:count]
    if len(first) == count or not ulp[first[0]]:
        return first.tolist() if ulp[first[0]] else []
    least = np.partition(ulp, len(ulp) - count)[len(ulp) - count] if count < len(ulp) else 0
    larger = np.flatnonzero(ulp > least)
    equal = np.flatnonzero(ulp == least)[: count - len(larger)] if least else larger[:0]
    chosen = np.concatenate([larger, equal])
    return [int(i) for i in chosen[np.argsort(~ulp[chosen], kind="stable")]]


def _sum(ulp: Array) -> int:
    """The sum of a vector of unsigned integers, however large: by halves, which do not overflow."""
    if ulp.itemsize < 8:
        return int(ulp.sum(dtype=np.uint64))
    low = int((ulp & np.uint64(2**32 - 1)).sum())
    return low + (int((ulp >> np.uint64(32)).sum()) << 32)

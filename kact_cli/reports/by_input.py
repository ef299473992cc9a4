"""Errors by the input that they come of: a bin for each range of it, ranges by powers of two.

A bin is what has the first 16 bits in common: of float32 the sign, the exponent and 7 bits of the
mantissa, of float64 the sign, the exponent and 4 bits; of numbers of 2 bytes and less, each is a
bin. Other integers are taken as float64. So there are at most 65,536, whatever is compared, and
one more for what is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kact_cli.engine.bfloat16 import as_floats
from kact_cli.types import BFLOAT16, Array

NULL = 1 << 16
"""The bin of what is null."""
BINS = NULL + 1
_INTEGERS = ("i1", "u1", "i2", "u2")


class Range(NamedTuple):
    """The errors over some inputs, which lie between `first` and `last`, both included.

    NaN is a range of its own, to which null belongs, as is an infinity, and zero.
    """

    first: float
    last: float
    pairs: int
    max_ulp: int
    mean_ulp: float


@dataclass(frozen=True, eq=False)
class ByInput:
    """For each bin from number `start` on: pairs, the largest distance in ULP, and their sum."""

    dtype: np.dtype[Any]
    start: int
    pairs: Array
    most: Array
    total: Array
    whole: bool = False
    """Whether the inputs are integers, though the bins are of floats."""

    @classmethod
    def of(
        cls,
        x: Array,
        compared: Array | None,
        apart: Array,
        ulp: Array,
        nulls: Array | None = None,
    ) -> ByInput:
        """The bins of inputs `x`: of all, or of those whose numbers are `compared`.

        `apart` are the numbers of the inputs whose results differ, by `ulp`; `nulls` is true where
        the input is null.
        """
        bins, dtype = _bins(x)
        whole = dtype.kind == "f" and x.dtype.kind in "iu"
        if nulls is not None:
            bins = np.where(nulls, np.uint32(NULL), bins.astype(np.uint32))
        among = bins if compared is None else bins[compared]
        if not len(among):
            nothing = np.zeros(0, np.int64)
            most, total = nothing.astype(np.uint64), nothing.astype(np.float64)
            return cls(dtype, 0, nothing, most, total, whole)
        start, end = int(among.min()), int(among.max()) + 1
        size = end - start
        if size == 1:
            pairs = np.array([len(among)])
        else:
            pairs = np.bincount((among - among.dtype.type(start)).astype(np.int64), minlength=size)
        most, total = np.zeros(size, np.uint64), np.zeros(size)
        if len(apart):
            where = (bins[apart] - bins.dtype.type(start)).astype(np.int64)
            np.maximum.at(most, where, ulp.astype(np.uint64))
            total += np.bincount(where, ulp, minlength=size)
        return cls(dtype, start, pairs, most, total, whole)

    def merge(self, other: ByInput) -> ByInput:
        """Both together; overwrites this one, once it has every bin."""
        if not len(other.pairs):
            return self
        whole = self
        if len(self.pairs) < BINS:
            kinds = (self.pairs, self.most, self.total)
            pairs, most, total = (np.zeros(BINS, a.dtype) for a in kinds)
            whole = ByInput(other.dtype, 0, pairs, most, total, other.whole)._add(self)
        return whole._add(other)

    def _add(self, other: ByInput) -> ByInput:
        part = slice(other.start, other.start + len(other.pairs))
        self.pairs[part] += other.pairs
        np.maximum(self.most[part], other.most, out=self.most[part])
        self.total[part] += other.total
        return self

    def _ends(self, numbers: Array) -> tuple[Array, Array]:
        """The inputs of bins by their place that are nearest to zero and farthest from it."""
        bins = numbers + self.start
        first, last = _ends(bins, self.dtype)
        if self.whole:
            first = np.copysign(np.ceil(np.abs(first)), first)
            last = np.trunc(last)
        first[bins == NULL] = last[bins == NULL] = np.nan
        return first, last

    def filled(self) -> tuple[Array, Array, Array, Array]:
        """The bins that have any pairs, rising by input: the smallest input (float64) of each by
        magnitude, pairs, largest distance, sum of the distances."""
        numbers = np.flatnonzero(self.pairs)
        first, _ = self._ends(numbers)
        order = np.argsort(first, kind="stable")
        chosen = numbers[order]
        return first[order], self.pairs[chosen], self.most[chosen], self.total[chosen]

    def ranges(self) -> Iterator[Range]:
        """The errors by sign and power of two of the input, rising."""
        numbers = np.flatnonzero(self.pairs)
        first, last = self._ends(numbers)
        powers = np.frexp(np.abs(first))[1]
        powers[~np.isfinite(first)] = 2000
        powers[first == 0] = -2000
        keys = np.where(np.isnan(first), 9000, np.where(first < 0, -3000 - powers, 3000 + powers))
        keys[first == 0] = 0
        for key in np.unique(keys):
            here = numbers[keys == key]
            ends = np.concatenate([first[keys == key], last[keys == key]])
            pairs = int(self.pairs[here].sum())
            most, total = int(self.most[here].max()), float(self.total[here].sum())
            yield Range(float(ends.min()), float(ends.max()), pairs, most, total / pairs)


def collapsed(ranges: Sequence[Range], most: int = 40) -> list[Range]:
    """The same in fewer lines: neighbours with the same largest error are one, and where there are
    still more than `most`, so are neighbours two by two."""
    found: list[Range] = []
    for r in ranges:
        if found and found[-1].max_ulp == r.max_ulp and not np.isnan(r.first):
            r = _joined(found.pop(), r)
        found.append(r)
    while len(found) > most:
        nan = [r for r in found if np.isnan(r.first)]
        rest = found[: len(found) - len(nan)]
        pairs = [rest[i : i + 2] for i in range(0, len(rest), 2)]
        found = [_joined(*p) if len(p) > 1 else p[0] for p in pairs] + nan
    return found


def _joined(a: Range, b: Range) -> Range:
    """Two neighbours as one."""
    pairs = a.pairs + b.pairs
    mean = (a.mean_ulp * a.pairs + b.mean_ulp * b.pairs) / pairs
    return Range(a.first, b.last, pairs, max(a.max_ulp, b.max_ulp), mean)


def _bins(x: Array) -> tuple[Array, np.dtype[Any]]:
    """The bin of each input, as unsigned integers, and the dtype that they are bins of."""
    if x.dtype.kind in "iub" and x.dtype.str[1:] not in _INTEGERS:
        x = x.astype(np.uint8 if x.dtype == bool else np.float64)
    if x.itemsize == 1:
        return x.view(np.uint8), x.dtype
    if x.itemsize == 2:
        return x.view(np.uint16), x.dtype
    bits = x.view(f"u{x.itemsize}")
    return (bits >> bits.dtype.type(8 * x.itemsize - 16)), x.dtype


def _ends(bins: Array, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """The floats of each bin that are nearest to zero and farthest from it, as float64."""
    if dtype.itemsize <= 2:
        values = bins.astype(f"u{dtype.itemsize}").view(dtype)
        with np.errstate(invalid="ignore"):
            exact = (as_floats(values) if dtype == BFLOAT16 else values).astype(np.float64)
        return exact, exact.copy()
    below = 8 * dtype.itemsize - 16
    bits = bins.astype(f"u{dtype.itemsize}") << np.array(below, f"u{dtype.itemsize}")
    rest = np.array((1 << below) - 1, f"u{dtype.itemsize}")
    first, last = bits.view(dtype), (bits | rest).view(dtype)
    last = np.where(np.isinf(first), first, last)
    with np.errstate(invalid="ignore"):
        return first.astype(np.float64), last.astype(np.float64)

"""How many pairs are how many ULP apart, and the percentiles that follow.

Distances below 65,536 are counted one by one. A larger one is counted with those that have its
power of two and its next ten bits in common: within a thousandth of it. That is bounded memory,
whatever is compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kact_cli.types import Array

EXACT_BITS = 16
"""Distances of so many bits are counted one by one."""
_DIGITS = 10
_EXACT, _EACH = 1 << EXACT_BITS, 1 << _DIGITS


@dataclass(frozen=True, eq=False)
class Distribution:
    """The counts of distances, as many of them as there are up to the largest that came."""

    counts: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def of(cls, ulp: Array, zeros: int) -> Distribution:
        """Those of a vector of distances (unsigned), and of so many pairs that are 0 apart."""
        counts = np.bincount(_codes(ulp), minlength=1)
        counts[0] += zeros
        return cls(counts)

    def merge(self, other: Distribution) -> Distribution:
        """Both together."""
        few, many = sorted((self.counts, other.counts), key=len)
        total = many.copy()
        total[: len(few)] += few
        return Distribution(total)

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def percentile(self, percent: float) -> int | None:
        """The least distance that at least `percent` of the pairs do not exceed; None of none.

        Above 65,535 the next larger number that has eleven digits of its own in binary.
        """
        if not self.total:
            return None
        running = np.cumsum(self.counts)
        # 99.9 of 1000 are 999, and a float product may be a little more
        wanted = -(-self.total * round(percent * 1000) // 100_000)
        return _largest(int(np.searchsorted(running, max(1, wanted))))

    def powers(self) -> list[tuple[int, int, int]]:
        """The histogram: first and last distance, and the count, for 0, 1, 2-3, 4-7, 8-15, ...

        It ends with the largest distance; counts of nothing between are 0.
        """
        bins, first = [], 0
        while _code(first) < len(self.counts):
            last = max(0, 2 * first - 1)
            count = int(self.counts[_code(first) : _code(last) + 1].sum())
            bins.append((first, last, count))
            first = last + 1
        return bins


def _codes(ulp: Array) -> Array:
    """The bin of each distance."""
    if not len(ulp) or ulp.max() < _EXACT:
        return ulp.astype(np.intp)
    wide = ulp.astype(np.uint64)
    power = np.frexp(wide.astype(np.float64))[1].astype(np.int64) - 1
    power = np.clip(power, EXACT_BITS, 63)
    power -= (wide >> power.astype(np.uint64)) == 0  # rounded up to the next power of two
    digits = (wide >> (power - _DIGITS).astype(np.uint64)).astype(np.int64) & (_EACH - 1)
    codes = _EXACT + (power - EXACT_BITS) * _EACH + digits
    return np.where(wide < _EXACT, wide.astype(np.int64), codes)


def _code(ulp: int) -> int:
    if ulp < _EXACT:
        return ulp
    power = ulp.bit_length() - 1
    return _EXACT + (power - EXACT_BITS) * _EACH + (ulp >> (power - _DIGITS)) % _EACH


def _largest(code: int) -> int:
    """The largest distance of a bin."""
    if code < _EXACT:
        return code
    power, digits = divmod(code - _EXACT, _EACH)
    return ((_EACH + digits + 1) << (power + EXACT_BITS - _DIGITS)) - 1

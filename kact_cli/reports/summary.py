"""What a stream of numbers is like: counts, extremes, mean, standard deviation, a histogram.

A summary of each part is merged with the next, so that memory does not grow and the parts may be
computed side by side. Mean and sum of squares are merged by the formula of Chan, Golub and LeVeque
(1979), which loses nothing to a large mean. The histogram's bins are as wide as a power of two, at
multiples of that width: two of them merge exactly, by making the finer one coarser, so that one
pass is enough though the range is known only at the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kact_cli.types import Array

BINS = 24
"""The most bins of a histogram; it has more than half of them, where values differ enough."""
_SIGNIFICAND = 52


@dataclass(frozen=True)
class Histogram:
    """How many values lie in [i * width, (i + 1) * width), for i from `first` on.

    `width` is 2**exponent.
    """

    exponent: int
    first: int
    counts: tuple[int, ...]

    @property
    def width(self) -> float:
        return math.ldexp(1.0, self.exponent)

    @property
    def start(self) -> float:
        """Where the first bin begins."""
        with np.errstate(over="ignore"):
            return float(np.ldexp(float(self.first), self.exponent))

    @classmethod
    def of(cls, finite: Array, least: float, most: float) -> Histogram:
        """The histogram of a vector of finite float64 between `least` and `most`."""
        exponent = _fitting(least, most)
        scaled = np.ldexp(finite, -exponent)
        index = np.floor(scaled).astype(np.int64)
        index[(scaled == 0) & (finite < 0)] = -1  # too small for the scale, yet below zero
        first = _bin(least, exponent)
        counts = np.bincount(index - first)
        return cls(exponent, first, tuple(counts.tolist()))

    def merge(self, other: Histogram) -> Histogram:
        exponent = max(self.exponent, other.exponent)
        while True:
            a, b = self._coarser(exponent), other._coarser(exponent)
            first = min(a.first, b.first)
            last = max(a.first + len(a.counts), b.first + len(b.counts))
            if last - first <= BINS:
                break
            exponent += 1
        counts = [0] * (last - first)
        for part in (a, b):
            for i, count in enumerate(part.counts):
                counts[part.first - first + i] += count
        return Histogram(exponent, first, tuple(counts))

    def _coarser(self, exponent: int) -> Histogram:
        shift = exponent - self.exponent
        first = self.first >> shift
        counts = [0] * (((self.first + len(self.counts) - 1) >> shift) - first + 1)
        for i, count in enumerate(self.counts):
            counts[((self.first + i) >> shift) - first] += count
        return Histogram(exponent, first, tuple(counts))


def _bin(value: float, exponent: int) -> int:
    scaled = math.ldexp(value, -exponent)
    return -1 if scaled == 0 and value < 0 else math.floor(scaled)


def _fitting(least: float, most: float) -> int:
    """The exponent of the narrowest bins of which BINS hold everything."""
    largest = max(abs(least), abs(most))
    _, magnitude = math.frexp(largest)
    exponent = max(-1074, magnitude - 1 - _SIGNIFICAND) if largest else -1074
    if most > least:
        _, spread = math.frexp(most / BINS - least / BINS)
        exponent = max(exponent, spread - 2)
    while _bin(most, exponent) - _bin(least, exponent) >= BINS:
        exponent += 1
    return exponent


def nonfinite(values: Array) -> tuple[int, int, int]:
    """How many of a vector's values are NaN, inf and -inf."""
    if values.dtype.kind != "f":
        return 0, 0, 0
    with np.errstate(all="ignore"):
        # One sum says of nearly every vector that there are none
        if values.dtype.itemsize > 2 and math.isfinite(np.add.reduce(values, dtype=np.float64)):
            return 0, 0, 0
    kinds = np.isnan(values), values == np.inf, values == -np.inf
    nan, positive, negative = (int(np.count_nonzero(kind)) for kind in kinds)
    return nan, positive, negative


@dataclass(frozen=True)
class Summary:
    """A column, or a tensor. `least` to `histogram` are of its finite values, None without any."""

    count: int = 0
    """Values of all kinds, nulls included."""
    nulls: int = 0
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    least: float | None = None
    most: float | None = None
    mean: float | None = None
    squares: float = 0.0
    """The sum of the squared distances from the mean."""
    histogram: Histogram | None = None
    low: float = 0.0
    """What the mean lacks for being rounded to a float."""

    @property
    def finite(self) -> int:
        return self.count - self.nulls - self.nan - self.positive_inf - self.negative_inf

    @property
    def std(self) -> float | None:
        """The standard deviation, of the values as a whole population (as `numpy.std` has it)."""
        return math.sqrt(self.squares / self.finite) if self.finite else None

    @classmethod
    def of(cls, values: Array, nulls: Array | None = None) -> Summary:
        """The summary of a vector of numbers, of any dtype; computed in float64."""
        count, absent = len(values), 0
        if nulls is not None:
            absent = int(np.count_nonzero(nulls))
            values = values[~nulls]
        with np.errstate(all="ignore"):
            numbers = values.astype(np.float64)
            counts = (count, absent, *nonfinite(numbers))
            if any(counts[2:]):
                numbers = numbers[np.isfinite(numbers)]
            if not len(numbers):
                return cls(*counts)
            least, most = float(numbers.min()), float(numbers.max())
            histogram = Histogram.of(numbers, least, most)
            mean = float(numbers.mean())
            if not math.isfinite(mean):
                mean = float((numbers / len(numbers)).sum())
            numbers -= mean
            low = float(numbers.mean())
            squares = float(np.dot(numbers, numbers)) - len(numbers) * low * low
        if not math.isfinite(low):
            low, squares = 0.0, math.inf
        return cls(*counts, least, most, mean, max(squares, 0.0), histogram, low)

    def merge(self, other: Summary) -> Summary:
        """The summary of both parts together."""
        counts = (
            self.count + other.count,
            self.nulls + other.nulls,
            self.nan + other.nan,
            self.positive_inf + other.positive_inf,
            self.negative_inf + other.negative_inf,
        )
        mine, its = self.histogram, other.histogram
        if mine is None or its is None or self.mean is None or other.mean is None:
            one = self if its is None else other
            return Summary(
                *counts, one.least, one.most, one.mean, one.squares, one.histogram, one.low
            )
        share = other.finite / (self.finite + other.finite)
        distance = (other.mean - self.mean) + (other.low - self.low)
        shift = self.low + distance * share
        mean = self.mean + shift
        low = shift - (mean - self.mean)
        if not math.isfinite(mean):
            mean, low = self.mean * (1 - share) + other.mean * share, 0.0
        squares = self.squares + other.squares + distance * distance * self.finite * share
        return Summary(
            *counts,
            min(x for x in (self.least, other.least) if x is not None),
            max(x for x in (self.most, other.most) if x is not None),
            mean,
            squares,
            mine.merge(its),
            low,
        )

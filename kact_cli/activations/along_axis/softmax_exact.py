"""Softmax whose result does not depend on the order of its sum: the one of `--exact`.

A first pass finds the peak, the largest x of each group. A second one adds exp(x - peak), each term
rounded to a multiple of 2**-95 and cut into three whole numbers of 32 bits. Sums of whole numbers
are exact, so it makes no difference which terms are added first, how many there are in a part, or
how many additions the processor does at a time. Groups may have up to 2**32 values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kact_cli.activations.arithmetic.exact import Exact
from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import ReductionState

_DIGIT = 32
# Added to a number that is much smaller, they leave in its bits the multiple of 2**-31, 2**-63 and
# 2**-95 that is nearest to it.
_UNITS = (1.5 * 2.0**21, 1.5 * 2.0**-11, 1.5 * 2.0**-43)
# Short groups are turned, so that NumPy adds many of them side by side.
_SHORT = 64


class ExactSoftmax:
    """Groups in parts; the state is the peak, then the peak and the three parts of the sum."""

    rounds = 2

    def collect(self, x: Tile, tmp: Tile, m: Math, known: ReductionState, /) -> ReductionState:
        if not known:
            return (x.max(axis=1),)
        peak = known[0]
        _exp_below(x, tmp, peak, m)
        return peak, *_sums(x, tmp)

    def merge(self, a: ReductionState, b: ReductionState, /) -> ReductionState:
        if len(a) == 1:
            return (np.maximum(a[0], b[0]),)
        return a[0], *(mine + other for mine, other in zip(a[1:], b[1:], strict=True))

    def finish(self, x: Tile, tmp: Tile, m: Math, state: ReductionState, /) -> None:
        peak, *sums = state
        _exp_below(x, tmp, peak, m)
        _divide(x, tmp, *total_of(peak, sums), m)


def softmax(x: Tile, tmp: Tile, m: Math) -> None:
    """Overwrite x with its softmax along axis 1."""
    outer, length, inner = x.shape
    if length < _SHORT and inner < _SHORT and outer > 1:
        groups = tmp.reshape(length, outer, inner)
        np.copyto(groups, x.swapaxes(0, 1))
        shape = (1, length, outer * inner)
        _whole(groups.reshape(shape), x.reshape(shape), m)
        np.copyto(x.swapaxes(0, 1), groups)
    else:
        _whole(x, tmp, m)


def _whole(x: Tile, tmp: Tile, m: Math) -> None:
    peak = x.max(axis=1)
    _exp_below(x, tmp, peak, m)
    rest = m.scratch(x.size).reshape(x.shape) if isinstance(m, Exact) else tmp
    np.copyto(rest, x)
    _divide(x, tmp, *total_of(peak, list(_sums(rest, tmp))), m)


def _exp_below(x: Tile, tmp: Tile, peak: Tile, m: Math) -> None:
    """Overwrite x with exp(x - peak)."""
    assert isinstance(m, Exact)
    if not m.careful:
        x -= peak[:, None]
        m.exp(x, x)
        return
    # What rounding the difference loses is some ULP of exp: Knuth's error-free sum
    given, part = x, m.scratch(x.size).reshape(x.shape)
    np.subtract(given, peak[:, None], out=tmp)
    np.subtract(tmp, given, out=part)
    given -= tmp - part
    part += peak[:, None]
    given -= part
    np.copyto(given, 0, where=~np.isfinite(given))
    m.exp_of_sum(tmp, given, x)


def _sums(terms: Tile, tmp: Tile) -> Iterator[Tile]:
    """The sum of each digit of terms from 0 to 1, as int64; overwrites both."""
    whole = tmp.view(np.int64)
    for unit in _UNITS:
        np.add(terms, unit, out=tmp)
        # Modulo 2**64, as the sum itself
        offset = np.array(unit).view(np.int64) * np.int64(terms.shape[1])
        yield whole.sum(axis=1) - offset
        tmp -= unit
        terms -= tmp


def total_of(peak: Tile, sums: list[Tile]) -> tuple[Tile, Tile]:
    """The sum in float64, and what rounding it lost.

    It is NaN for a group with NaN or inf, or of nothing but -inf.
    """
    high, middle, low = sums
    # Carried, so that equal sums have equal digits whatever they were added up from
    middle = middle + (low >> _DIGIT)
    high = high + (middle >> _DIGIT)
    below = 2**_DIGIT - 1
    small = (low & below) * 2.0**-95 + (middle & below) * 2.0**-63
    medium, large = (high & below) * 2.0**-31, (high >> _DIGIT) * 2.0
    total = small + medium + large
    lost = ((large - total) + medium) + small
    return np.where(np.isfinite(peak), total, np.nan), lost


def _divide(x: Tile, tmp: Tile, total: Tile, lost: Tile, m: Math) -> None:
    x /= total[:, None]
    if isinstance(m, Exact) and m.careful:
        np.multiply(x, (lost / total)[:, None], out=tmp)
        x -= tmp

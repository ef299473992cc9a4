"""Softmax, of groups in memory and of groups larger than memory."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from kact_cli.activations.along_axis import softmax_exact
from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Axis, Doc, ReductionState, activation

GROUP = "Along an axis"

# With an inner dimension below this, NumPy's inner loops are too short: the tile is turned.
FEW = 16
# In groups shorter than this, the largest element is found faster in a transposed copy.
_NARROW = 128
# At most so many terms are added in the tile's dtype: einsum adds 16 at a time, in 4 strands, so
# that few roundings follow one another. At least so many should be, for it to be fast.
_BLOCK, _SHORTEST_BLOCK = 64, 16
# Runs of this length and more are multiplied by their factor as they are; NumPy copies the factor
# for each element of shorter ones, which `copyto` does faster.
_LONG = 256

_SMALLEST_NORMAL = {np.dtype(t): float(np.finfo(t).smallest_normal) for t in ("f4", "f8")}
# The sum of 2**40 such sums still has a reciprocal among the normal numbers.
_LARGE_SUM = {dtype: 2.0**-40 / tiny for dtype, tiny in _SMALLEST_NORMAL.items()}


# The state's sum is relative to exp of a multiple of this, so that merging seldom has to round it
_STEP = 32


class FastSoftmax:
    """Softmax of groups in parts, by way of a peak and the sum of exp(x - reference).

    The peak, in x's dtype, is the largest x, or 0 where exp(x) itself will do, its sum being at
    least 1 and far from overflow. The reference is the multiple of 32 that is nearest to the peak.
    The sum is two arrays of float64, its value and what was lost in rounding that. It is 0 where
    the peak is -inf. NaN and inf make the sum NaN, and so the whole group.
    """

    rounds = 1

    def collect(self, x: Tile, tmp: Tile, m: Math, known: ReductionState, /) -> ReductionState:
        outer, _, inner = x.shape
        if 1 < inner < FEW:
            rows, scratch = turn(x, tmp)
            return tuple(a.reshape(outer, inner) for a in self.collect(rows, scratch, m, known))
        m.exp(x, tmp)
        total = group_sums(tmp)
        lost = np.zeros(total.shape)
        if total.min(initial=1) >= 1 and total.max(initial=1) <= _LARGE_SUM[x.dtype]:
            return np.zeros(total.shape, x.dtype), total, lost
        peak = peaks(x, tmp)
        x -= reference_of(peak)[:, None]
        m.exp(x, x)
        return peak, np.where(np.isneginf(peak), 0.0, group_sums(x)), lost

    def merge(self, a: ReductionState, b: ReductionState, /) -> ReductionState:
        (peak_a, total_a, lost_a), (peak_b, total_b, lost_b) = a, b
        peak = np.maximum(peak_a, peak_b)
        # Beside a sum of at least 1, nothing is lost with a peak of 0, unless exp(x) is too large
        plain = (peak_a == 0) | (peak_b == 0)
        plain &= peak <= np.log(_LARGE_SUM[peak.dtype])
        peak[plain] = 0
        reference = reference_of(peak)
        ratio_a = _ratio(reference_of(peak_a), reference)
        ratio_b = _ratio(reference_of(peak_b), reference)
        first, second = total_a * ratio_a, total_b * ratio_b
        total = first + second
        back = total - first
        lost = (first - (total - back)) + (second - back)
        return peak, total, lost + lost_a * ratio_a + lost_b * ratio_b

    def finish(self, x: Tile, tmp: Tile, m: Math, state: ReductionState, /) -> None:
        peak, total, lost = state
        if 1 < x.shape[2] < FEW:
            rows, scratch = turn(x, tmp)
            turned = tuple(a.reshape(-1, 1) for a in state)
            self.finish(rows, scratch, m, turned)
            turn_back(rows, x)
            return
        total = total + lost
        if peak.any():  # else x stays as it is
            x -= peak[:, None]
            total *= _ratio(reference_of(peak), peak)
        m.exp(x, tmp)
        _scale(tmp, np.reciprocal(total), x)


@activation(streamed=FastSoftmax(), exactly=softmax_exact.ExactSoftmax())
def softmax(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    axis: Annotated[Axis, Doc("Axis, or axes together, along which the results sum to 1.")] = -1,
) -> None:
    """Softmax.

    exp(x - max(x)) / sum(exp(x - max(x))), along axis

    A NaN or inf makes its whole group NaN, as does a group of nothing but -inf; another -inf gives
    0. The sum runs in float64 over short blocks. tf_keras.activations.softmax.
    """
    if x.size == 0:
        return
    if m.exact:
        softmax_exact.softmax(x, tmp, m)
        return
    if 1 < x.shape[2] < FEW:
        rows, scratch = turn(x, tmp)
        softmax(rows, scratch, m, axis=axis)
        turn_back(rows, x)
        return
    total = exponentials(x, tmp, m)
    _scale(tmp, np.reciprocal(total), x)


def exponentials(x: Tile, tmp: Tile, m: Math) -> NDArray[np.float64]:
    """exp(x) in tmp, and the sum of each group; x loses the groups' peaks where that is needed."""
    m.exp(x, tmp)
    total = group_sums(tmp)
    if x.shape[1] == 1 or not in_range(tmp, total):
        x -= peaks(x, tmp)[:, None]
        m.exp(x, tmp)
        total = group_sums(tmp)
    return total


def in_range(e: Tile, total: NDArray[np.float64]) -> bool:
    """Whether exp(x) lost nothing, so that the largest x need not be subtracted first.

    Leaving that out is faster, and more exact, for it rounds every x. Nothing was lost if no sum
    came near overflow, and if no exp(x) fell below the normal numbers or, beside sums of at least
    1, the result does so too. False for NaN. As one group in a tile decides for all, another cut
    into tiles may change a result, within its error bound.
    """
    tiny = _SMALLEST_NORMAL[e.dtype]
    return bool(total.max() <= 1 / tiny and (total.min() >= 1 or e.min() >= tiny))


def peaks(x: Tile, tmp: Tile) -> Tile:
    """The largest x of each group, (outer, inner); NaN where there is one."""
    outer, length, inner = x.shape
    if inner == 1 and length < _NARROW:
        turned = tmp.reshape(length, outer)
        np.copyto(turned, x[:, :, 0].T)
        x = turned[None]
    peak: Tile = x.max(axis=1)
    return peak.reshape(outer, inner)


def group_sums(e: Tile) -> NDArray[np.float64]:
    """The sum of each group, (outer, inner): a few terms together in e's dtype, those in float64.

    In e's dtype no term goes through more than a few roundings, so that equal terms, whose
    roundings all go the same way, cannot add them up.
    """
    outer, length, inner = e.shape
    if inner > 1:
        quarter = length // 4
        rest = e[:, 4 * quarter :]
        total = np.ones(rest.shape[1]) @ rest.astype(np.float64)
        if quarter:
            a, b, c, d = (e[:, i * quarter : (i + 1) * quarter] for i in range(4))
            total += np.ones(quarter) @ ((a + b) + (c + d)).astype(np.float64)
        return total
    if length < _SHORTEST_BLOCK:
        return e[:, :, 0].astype(np.float64) @ np.ones((length, 1))
    block = _block(length)
    if block:
        parts = np.einsum("pb->p", e.reshape(outer * length // block, block))
        return group_sums(parts.reshape(outer, length // block, 1).astype(np.float64))
    blocks = length // _BLOCK
    parts = np.einsum("opb->op", e[:, : blocks * _BLOCK, 0].reshape(outer, blocks, _BLOCK))
    tail: Tile = np.einsum("or->o", e[:, blocks * _BLOCK :, 0])
    return group_sums(parts[:, :, None].astype(np.float64)) + tail[:, None]


@cache
def _block(length: int) -> int:
    """The largest divisor of `length` up to _BLOCK, or 0 if that is below _SHORTEST_BLOCK."""
    block = next(b for b in range(_BLOCK, 0, -1) if length % b == 0)
    return block if block >= _SHORTEST_BLOCK else 0


def _scale(e: Tile, factors: NDArray[np.float64], out: Tile) -> None:
    """Write e times the factor of each group, (outer, inner), to `out`."""
    _, length, inner = e.shape
    each = factors.astype(e.dtype)[:, None]
    if (length if inner == 1 else inner) < _LONG:
        np.copyto(out, each)
        out *= e
    else:
        # With more than a run in its buffer, NumPy would copy the factors there
        before = np.setbufsize(16)
        try:
            np.multiply(e, each, out=out)
        finally:
            np.setbufsize(before)


def reference_of(peak: Tile) -> Tile:
    reference: Tile = np.rint(peak / _STEP) * _STEP
    return reference


def _ratio(old: Tile, new: Tile) -> NDArray[np.float64]:
    """exp(old - new), and 1 where both are the same infinity."""
    ratio = np.exp(np.subtract(old, new, dtype=np.float64))
    return np.where(old == new, 1.0, ratio)


def turn(x: Tile, tmp: Tile) -> tuple[Tile, Tile]:
    """The groups of x as rows (outer * inner, length, 1) in tmp, and x as scratch of that shape."""
    outer, length, inner = x.shape
    np.copyto(tmp.reshape(outer, inner, length), x.swapaxes(1, 2))
    return tmp.reshape(-1, length, 1), x.reshape(-1, length, 1)


def turn_back(rows: Tile, x: Tile) -> None:
    outer, length, inner = x.shape
    np.copyto(x, rows.reshape(outer, inner, length).swapaxes(1, 2))

"""Activations along an axis: softmax, of groups in memory and of groups larger than memory."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from kact_cli.activations.registry import Axis, Doc, Tile, activation

Statistics = tuple[NDArray[Any], ...]

# With an inner dimension below this, NumPy's inner loops are too short: the tile is turned.
_FEW = 16
# In groups shorter than this, the largest element is found faster in a transposed copy.
_NARROW = 128
# einsum adds so many as a tree: 16 at a time, in 4 strands.
_BLOCK = 64

_SMALLEST_NORMAL = {np.dtype(t): float(np.finfo(t).smallest_normal) for t in ("f4", "f8")}


class SoftmaxStreamed:
    """Softmax's statistics: the largest x, in its dtype, and the sum of exp(x - largest), float64.

    The sum is 0 where the largest is -inf. NaN and inf make the sum NaN, and so the whole group.
    """

    def statistics(self, x: Tile, tmp: Tile, /) -> Statistics:
        outer, _, inner = x.shape
        if 1 < inner < _FEW:
            peak, total = self.statistics(*_turn(x, tmp))
            return peak.reshape(outer, inner), total.reshape(outer, inner)
        peak = _peak(x, tmp)
        x -= peak[:, None]
        np.exp(x, out=x)
        return peak, np.where(np.isneginf(peak), 0.0, _sum(x))

    def merge(self, a: Statistics, b: Statistics, /) -> Statistics:
        (peak_a, total_a), (peak_b, total_b) = a, b
        peak = np.maximum(peak_a, peak_b)
        total = total_a * _ratio(peak_a, peak) + total_b * _ratio(peak_b, peak)
        return peak, total

    def finish(self, x: Tile, tmp: Tile, statistics: Statistics, /) -> None:
        peak, total = statistics
        if 1 < x.shape[2] < _FEW:
            rows, scratch = _turn(x, tmp)
            self.finish(rows, scratch, (peak.reshape(-1, 1), total.reshape(-1, 1)))
            _turn_back(rows, x)
            return
        x -= peak[:, None]
        np.exp(x, out=x)
        x *= np.reciprocal(total).astype(x.dtype)[:, None]


@activation(streamed=SoftmaxStreamed())
def softmax(
    x: Tile,
    tmp: Tile,
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
    if 1 < x.shape[2] < _FEW:
        rows, scratch = _turn(x, tmp)
        softmax(rows, scratch, axis=axis)
        _turn_back(rows, x)
        return
    np.exp(x, out=tmp)
    total = _sum(tmp)
    if x.shape[1] == 1 or not _in_range(tmp, total):
        x -= _peak(x, tmp)[:, None]
        np.exp(x, out=tmp)
        total = _sum(tmp)
    np.multiply(tmp, np.reciprocal(total).astype(x.dtype)[:, None], out=x)


def _in_range(e: Tile, total: NDArray[np.float64]) -> bool:
    """Whether exp(x) lost nothing, so that the largest x need not be subtracted first.

    Leaving that out is faster, and more exact, for it rounds every x. Nothing was lost if no sum
    came near overflow, and if no exp(x) fell below the normal numbers or, beside sums of at least
    1, the result does so too. False for NaN. As one group in a tile decides for all, another cut
    into tiles may change a result, within its error bound.
    """
    tiny = _SMALLEST_NORMAL[e.dtype]
    return bool(total.max() <= 1 / tiny and (total.min() >= 1 or e.min() >= tiny))


def _peak(x: Tile, tmp: Tile) -> Tile:
    """The largest x of each group, (outer, inner); NaN where there is one."""
    outer, length, inner = x.shape
    if inner == 1 and length < _NARROW:
        turned = tmp.reshape(length, outer)
        np.copyto(turned, x[:, :, 0].T)
        x = turned[None]
    peak: Tile = x.max(axis=1)
    return peak.reshape(outer, inner)


def _sum(e: Tile) -> NDArray[np.float64]:
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
    blocks = length // _BLOCK
    rest = e[:, blocks * _BLOCK :, 0]
    total = rest.astype(np.float64) @ np.ones(rest.shape[1])
    if blocks:
        parts = e[:, : blocks * _BLOCK, 0].reshape(outer, blocks, _BLOCK)
        total += np.einsum("opb->op", parts).astype(np.float64) @ np.ones(blocks)
    return total[:, None]


def _ratio(old: Tile, new: Tile) -> NDArray[np.float64]:
    """exp(old - new), and 1 where both are the same infinity."""
    ratio = np.exp(np.subtract(old, new, dtype=np.float64))
    return np.where(old == new, 1.0, ratio)


def _turn(x: Tile, tmp: Tile) -> tuple[Tile, Tile]:
    """The groups of x as rows (outer * inner, length, 1) in tmp, and x as scratch of that shape."""
    outer, length, inner = x.shape
    np.copyto(tmp.reshape(outer, inner, length), x.swapaxes(1, 2))
    return tmp.reshape(-1, length, 1), x.reshape(-1, length, 1)


def _turn_back(rows: Tile, x: Tile) -> None:
    outer, length, inner = x.shape
    np.copyto(x, rows.reshape(outer, inner, length).swapaxes(1, 2))

"""Log-softmax: x less the logarithm of softmax's sum, of groups of any size."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from kact_cli.activations.along_axis.softmax import (
    FEW,
    FastSoftmax,
    exponentials,
    reference_of,
    turn,
    turn_back,
)
from kact_cli.activations.along_axis.softmax_exact import ExactSoftmax, total_of
from kact_cli.activations.arithmetic.floating import sum_rest
from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Axis, Doc, ReductionState, activation

GROUP = "Along an axis"

# log(2) in so few digits that its product with an exponent is exact, and what is missing
_LOG_2_HIGH = float.fromhex("0x1.62e42fefa38p-1")
_LOG_2_LOW = float.fromhex("0x1.ef35793c7673p-45")


class FastLogSoftmax(FastSoftmax):
    """Groups in parts, by the state of softmax."""

    def finish(self, x: Tile, tmp: Tile, m: Math, state: ReductionState, /) -> None:
        peak, total, lost = state
        if 1 < x.shape[2] < FEW:
            rows, scratch = turn(x, tmp)
            self.finish(rows, scratch, m, tuple(a.reshape(-1, 1) for a in state))
            turn_back(rows, x)
            return
        _subtract_logarithm(x, tmp, total + lost, reference_of(peak))


class ExactLogSoftmax(ExactSoftmax):
    """Groups in parts, by the state of softmax: the peak, and the sum in whole numbers."""

    def finish(self, x: Tile, tmp: Tile, m: Math, state: ReductionState, /) -> None:
        peak, *sums = state
        total, lost = total_of(peak, sums)
        np.subtract(x, peak[:, None], out=tmp)
        rest = sum_rest(x, -peak[:, None], tmp)
        np.copyto(rest, 0, where=~np.isfinite(rest))
        np.subtract(tmp, _logarithm(total, lost, m)[:, None], out=x)
        x += rest


_EXACTLY = ExactLogSoftmax()


@activation(streamed=FastLogSoftmax(), exactly=_EXACTLY)
def log_softmax(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    axis: Annotated[Axis, Doc("Axis, or axes together, along which the softmax sums to 1.")] = -1,
) -> None:
    """Logarithm of the softmax.

    x - max(x) - log(sum(exp(x - max(x)))), along axis

    A NaN or inf makes its whole group NaN, as does a group of nothing but -inf; another -inf stays
    -inf. The error of a float32 is at most (4 + 1.5 * abs(result)) * 2**-23; exactly, the sum has
    95 binary places. keras.activations.log_softmax.
    """
    if x.size == 0:
        return
    if m.exact:
        given = x.copy()
        peak = _EXACTLY.collect(x, tmp, m, ())
        state = _EXACTLY.collect(x, tmp, m, peak)
        np.copyto(x, given)
        _EXACTLY.finish(x, tmp, m, state)
        return
    if 1 < x.shape[2] < FEW:
        rows, scratch = turn(x, tmp)
        log_softmax(rows, scratch, m, axis=axis)
        turn_back(rows, x)
        return
    total = exponentials(x, tmp, m)
    _subtract_logarithm(x, tmp, total, np.zeros_like(total))


def _subtract(x: Tile, tmp: Tile, each: Tile) -> None:
    """Subtract the number of each group, (outer, inner), from x."""
    np.copyto(tmp, each[:, None])
    x -= tmp


def _subtract_logarithm(x: Tile, tmp: Tile, total: NDArray[np.float64], reference: Tile) -> None:
    """Subtract reference + log(total), the nearest whole number first, so that x keeps its digits.

    `reference` is a whole number.
    """
    whole = np.rint(np.log(total))
    shift = reference + whole
    first = shift.astype(x.dtype)
    _subtract(x, tmp, first)
    _subtract(x, tmp, (shift - first) + np.log(total * np.exp(-whole)))


def _logarithm(total: Tile, lost: Tile, m: Math) -> Tile:
    """log(total + lost) for a total from 1 on, made of nothing but IEEE operations."""
    fraction, exponent = np.frexp(total)
    exponent -= 1
    above = 2 * fraction - 1
    above += np.ldexp(lost, -exponent)
    result = np.empty_like(above)
    m.log1p(above, result)
    result += exponent * _LOG_2_LOW
    result += exponent * _LOG_2_HIGH
    return result

"""Activations made of pieces: relu, elu, selu, softsign.

Each follows the formula and the branches of Keras 2 (`tf_keras.activations`), and keeps the digits
that Keras's own kernels lose: `expm1` for `exp - 1`, subnormals as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

import numpy as np

from kact_cli.activations.registry import Doc, Tile, Value, activation

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@lru_cache(maxsize=8)
def _zeros(size: int, dtype: np.dtype[Any]) -> Tile:
    # NumPy's maximum and minimum are several times faster between two arrays than with a scalar.
    zeros = np.zeros(size, dtype)
    zeros.flags.writeable = False
    return zeros


def _all_whole(values: Mapping[str, Value]) -> bool:
    return all(v is None or (isinstance(v, int | float) and v % 1 == 0) for v in values.values())


@activation(keeps_integers=_all_whole)
def relu(
    x: Tile,
    tmp: Tile,
    /,
    *,
    alpha: Annotated[
        float, Doc("Slope at or below the threshold.", aliases=("negative_slope",))
    ] = 0.0,
    max_value: Annotated[float | None, Doc("Largest value returned; none for no limit.")] = None,
    threshold: Annotated[float, Doc("Value at or below which alpha applies.")] = 0.0,
) -> None:
    """Rectified linear unit, with a slope, a limit and a threshold.

    min(x, max_value) if x > threshold, alpha * (x - threshold) otherwise

    The branches are those of tf_keras.activations.relu: a threshold other than 0 makes the positive
    part x * (x > threshold), which is -0.0 for a negative x at or below it and NaN for -inf;
    max_value clips the positive part to [0, max_value] before the negative part is added. With
    whole-number parameters a tensor of integers stays one, and saturates where it must.
    """
    if x.dtype.kind in "iu":
        _relu_of_integers(x, alpha, max_value, threshold)
    elif alpha == 0:
        _positive_part(x, max_value, threshold)
    elif threshold == 0 and max_value is None:
        np.multiply(x, alpha, out=tmp)
        if alpha <= 1:
            np.maximum(x, tmp, out=x)
        else:
            np.copyto(x, tmp, where=x <= 0)
    else:
        np.subtract(threshold, x, out=tmp)
        np.maximum(tmp, _zeros(x.size, x.dtype), out=tmp)
        tmp *= alpha
        _positive_part(x, max_value, threshold)
        x -= tmp


def _positive_part(x: Tile, max_value: float | None, threshold: float) -> None:
    if threshold != 0:
        x *= x > threshold
    elif max_value is None:
        np.maximum(x, _zeros(x.size, x.dtype), out=x)
    if max_value is not None:
        np.clip(x, 0, max(max_value, 0.0), out=x)


def _relu_of_integers(x: Tile, alpha: float, max_value: float | None, threshold: float) -> None:
    slope, bend = int(alpha), int(threshold)
    least, most = int(np.iinfo(x.dtype).min), int(np.iinfo(x.dtype).max)
    below = x <= bend
    far = x < bend - (-least if slope > 0 else most) // (abs(slope) or 1)
    # Arithmetic modulo 2**bits is exact wherever the result fits, which is everywhere but `far`.
    bits = x.view(f"u{x.itemsize}")
    negative = (bits - bits.dtype.type(bend % (1 << 8 * x.itemsize))) * bits.dtype.type(
        slope % (1 << 8 * x.itemsize)
    )
    if threshold == 0 or max_value is not None:
        cap = most if max_value is None else min(max(int(max_value), 0), most)
        np.clip(x, 0, cap, out=x)
    np.copyto(x, negative.view(x.dtype), where=below)
    if slope:
        np.copyto(x, least if slope > 0 else most, where=far)


@activation
def elu(
    x: Tile, tmp: Tile, /, *, alpha: Annotated[float, Doc("Scale of the negative part.")] = 1.0
) -> None:
    """Exponential linear unit.

    x if x > 0, alpha * (exp(x) - 1) otherwise

    tf_keras.activations.elu; Clevert et al. 2016, https://arxiv.org/abs/1511.07289.
    """
    zeros = _zeros(x.size, x.dtype)
    np.minimum(x, zeros, out=tmp)
    np.expm1(tmp, out=tmp)
    if alpha != 1:
        tmp *= alpha
    if not np.isfinite(x.dtype.type(alpha)):
        np.copyto(tmp, 0, where=x > 0)
    if alpha <= 1:
        # Where x <= 0 it is the smaller one, elsewhere tmp is 0
        np.maximum(x, tmp, out=x)
    else:
        np.maximum(x, zeros, out=x)
        x += tmp


@activation
def selu(x: Tile, tmp: Tile, /) -> None:
    """Scaled exponential linear unit.

    scale * x if x > 0, scale * alpha * (exp(x) - 1) otherwise

    alpha = 1.6732632423543772848170429916717, scale = 1.0507009873554804934193349852946;
    tf_keras.activations.selu; Klambauer et al. 2017, https://arxiv.org/abs/1706.02515.
    """
    zeros = _zeros(x.size, x.dtype)
    np.minimum(x, zeros, out=tmp)
    np.expm1(tmp, out=tmp)
    tmp *= SELU_SCALE * SELU_ALPHA
    np.maximum(x, zeros, out=x)
    x *= SELU_SCALE
    x += tmp


@activation
def softsign(x: Tile, tmp: Tile, /) -> None:
    """Softsign.

    x / (abs(x) + 1)

    tf_keras.activations.softsign; so inf and -inf give NaN.
    """
    np.absolute(x, out=tmp)
    tmp += 1
    x /= tmp

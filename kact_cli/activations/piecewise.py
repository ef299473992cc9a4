"""Activations made of pieces: relu, elu, selu, softsign.

Each follows the formula and the branches of Keras 2 (`tf_keras.activations`), and keeps the digits
that Keras's own kernels lose: `expm1` for `exp - 1`, subnormals as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np

from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Doc, Value, activation

SELU_SCALE = "1.0507009873554804934193349852946"
SELU_SCALE_ALPHA = "1.7580993408473768599402175208123"
"""The product of the scale and alpha."""


def _all_whole(values: Mapping[str, Value]) -> bool:
    return all(v is None or (isinstance(v, int | float) and v % 1 == 0) for v in values.values())


@activation(keeps_integers=_all_whole)
def relu(
    x: Tile,
    tmp: Tile,
    m: Math,
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
    max_value clips the positive part to [0, max_value] before the negative part is added. The
    threshold is rounded to the tensor's dtype first. With whole-number parameters a tensor of
    integers stays one, and saturates where it must.
    """
    if x.dtype.kind in "iu":
        _relu_of_integers(x, alpha, max_value, threshold)
        return
    bend = m.rounded(threshold)
    m.rounds = bend != 0 or not _is_short(alpha)
    if alpha == 0:
        _positive_part(x, m, max_value, bend)
    elif bend == 0 and max_value is None:
        np.multiply(x, alpha, out=tmp)
        if alpha <= 1 and not m.exact:
            np.maximum(x, tmp, out=x)
        else:
            np.copyto(x, tmp, where=x <= 0)
    else:
        np.subtract(bend, x, out=tmp)
        m.positive(tmp, tmp)
        tmp *= alpha
        _positive_part(x, m, max_value, bend)
        x -= tmp


def _is_short(number: float) -> bool:
    """Whether the product with a float32 is exact in float64."""
    return math.frexp(number)[0] * 2**29 % 1 == 0 if math.isfinite(number) else True


def _positive_part(x: Tile, m: Math, max_value: float | None, bend: float) -> None:
    if bend != 0:
        x *= x > bend
    else:
        m.positive(x, x)
    if max_value is not None:
        np.clip(x, 0, max(max_value, 0), out=x)
        if m.exact:
            m.positive(x, x)


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
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    alpha: Annotated[float, Doc("Scale of the negative part.")] = 1.0,
) -> None:
    """Exponential linear unit.

    x if x > 0, alpha * (exp(x) - 1) otherwise

    tf_keras.activations.elu; Clevert et al. 2016, https://arxiv.org/abs/1511.07289.
    """
    m.expm1(x, tmp)
    if alpha != 1:
        tmp *= alpha
    if not math.isfinite(alpha):
        np.copyto(tmp, 0, where=x > 0)
    m.positive(x, x)
    x += tmp


@activation
def selu(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Scaled exponential linear unit.

    scale * x if x > 0, scale * alpha * (exp(x) - 1) otherwise

    alpha = 1.6732632423543772848170429916717, scale = 1.0507009873554804934193349852946;
    tf_keras.activations.selu; Klambauer et al. 2017, https://arxiv.org/abs/1706.02515.
    """
    m.expm1(x, tmp)
    tmp *= m.number(SELU_SCALE_ALPHA)
    m.positive(x, x)
    x *= m.number(SELU_SCALE)
    x += tmp


@activation
def softsign(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Softsign.

    x / (abs(x) + 1)

    tf_keras.activations.softsign; so inf and -inf give NaN.
    """
    np.absolute(x, out=tmp)
    tmp += 1
    x /= tmp

"""Rectifiers, made of straight pieces; tensors of integers stay what they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np

from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Doc, Value, activation

GROUP = "Rectifiers"


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
    integers stays one, and saturates where it must. tf_keras.activations.relu.
    """
    _relu(x, tmp, m, alpha, max_value, threshold)


def _relu(
    x: Tile, tmp: Tile, m: Math, alpha: float, max_value: float | None, threshold: float
) -> None:
    if x.dtype.kind in "iu":
        _relu_of_integers(x, alpha, max_value, threshold)
        return
    bend = m.rounded(threshold)
    m.rounds = bend != 0 or not _is_short(alpha)
    if alpha == 0:
        _positive_part(x, m, max_value, bend)
    elif bend == 0 and max_value is None:
        np.multiply(x, alpha, out=tmp)
        if alpha != alpha or (alpha < 0 and m.exact):
            # The larger of NaN and another is NaN, and which of two zeros that is nobody knows
            np.copyto(x, tmp, where=x <= 0)
        elif alpha <= 1:
            np.maximum(x, tmp, out=x)
        else:
            np.minimum(x, tmp, out=x)
    else:
        np.subtract(bend, x, out=tmp)
        m.positive(tmp, tmp)
        tmp *= alpha
        _positive_part(x, m, max_value, bend)
        x -= tmp


@activation(keeps_integers=_all_whole)
def leaky_relu(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    negative_slope: Annotated[
        float,
        Doc(
            "Slope below 0.",
            aliases=("alpha",),
            elsewhere="0.3 in Keras's layer LeakyReLU, 0.01 in PyTorch, JAX and ONNX",
        ),
    ] = 0.2,
) -> None:
    """Leaky rectified linear unit.

    x if x > 0, negative_slope * x otherwise

    keras.activations.leaky_relu; Maas et al. 2013.
    """
    _relu(x, tmp, m, negative_slope, None, 0)


@activation(keeps_integers=_all_whole)
def relu6(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Rectified linear unit up to 6.

    min(max(x, 0), 6)

    keras.activations.relu6.
    """
    _relu(x, tmp, m, 0, 6, 0)


def _is_short(number: float) -> bool:
    """Whether the product with a float32 is exact in float64."""
    return math.frexp(number)[0] * 2**29 % 1 == 0 if math.isfinite(number) else True


def _positive_part(x: Tile, m: Math, max_value: float | None, bend: float) -> None:
    if bend != 0:
        x *= x > bend
    elif max_value is None:
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

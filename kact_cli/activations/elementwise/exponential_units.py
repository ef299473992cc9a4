"""Exponential units: straight above 0, exponential below.

`expm1` keeps the digits near 0 that `exp - 1` loses in Keras's own kernels.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Doc, activation

GROUP = "Exponential units"

SELU_SCALE = "1.0507009873554804934193349852946"
SELU_SCALE_ALPHA = "1.7580993408473768599402175208123"
"""The product of the scale and alpha."""


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
    if alpha <= 1:
        np.maximum(x, tmp, out=x)  # above 0, tmp is 0; elsewhere x is the smaller one
    else:
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
def celu(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    alpha: Annotated[float, Doc("Scale of the negative part, and of x in it.")] = 1.0,
) -> None:
    """Continuously differentiable exponential linear unit.

    x if x > 0, alpha * (exp(x / alpha) - 1) otherwise

    An alpha of 0 is its limit, relu, and an infinite one x. keras.activations.celu; Barron 2017,
    https://arxiv.org/abs/1704.07483.
    """
    if alpha == 0:
        m.positive(x, x)
        return
    if math.isinf(alpha):
        return
    np.minimum(x, 0, out=tmp)
    tmp /= alpha
    if alpha > 0:
        m.expm1(tmp, tmp)
    else:
        # exp(y) - 1 = -(exp(-y) - 1) * exp(y)
        growing = tmp.copy()
        m.exp(growing, growing)
        np.negative(tmp, out=tmp)
        m.expm1(tmp, tmp)
        tmp *= growing
        np.negative(tmp, out=tmp)
    tmp *= alpha
    m.positive(x, x)
    x += tmp

"""Smooth rectifiers: 0 on one side, x on the other, and a curve in between."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Doc, activation

GROUP = "Smooth rectifiers"

_LARGE = 64
"""From here on the result is x, and exp is far from overflowing, in float32 too."""


@activation
def softplus(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Softplus.

    log(exp(x) + 1)

    Computed as max(x, 0) + log1p(exp(-abs(x))), or with half of the work as log1p(exp(x)) up to 64,
    where `log1p` takes that; tf_keras.activations.softplus.
    """
    if m.log1p_of_any:
        far = not x.max(initial=0) <= _LARGE  # or NaN
        if far:
            np.copyto(tmp, x)
            np.minimum(x, _LARGE, out=x)
        m.exp(x, x)
        m.log1p(x, x)
        if far:
            np.copyto(x, tmp, where=tmp > _LARGE)
        return
    np.absolute(x, out=tmp)
    np.negative(tmp, out=tmp)
    m.exp(tmp, tmp)
    m.log1p(tmp, tmp)
    m.positive(x, x)
    x += tmp


@activation
def log_sigmoid(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Logarithm of the sigmoid.

    -log(1 + exp(-x))

    Computed as min(x, 0) - log1p(exp(-abs(x))); keras.activations.log_sigmoid.
    """
    np.negative(x, out=x)
    softplus(x, tmp, m)
    np.negative(x, out=x)


@activation
def squareplus(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    b: Annotated[float, Doc("How wide the curve is; 0 makes it relu.")] = 4,
) -> None:
    """Squareplus.

    (x + sqrt(x**2 + b)) / 2

    Computed as b / 2 / (abs(x) + sqrt(x**2 + b)) below 0, which keeps its digits;
    keras.activations.squareplus; Barron 2021, https://arxiv.org/abs/2112.11687.
    """
    if b == 0:
        m.positive(x, x)
        return
    if b == math.inf:
        x += b
        return
    np.absolute(x, out=tmp)
    root = np.sqrt(tmp * tmp + b)
    if x.dtype.kind == "f":
        np.copyto(root, tmp, where=np.isinf(root))
    # Halves, for the sum may be larger than any number
    tmp /= 2
    root /= 2
    tmp += root
    np.copyto(tmp, b / tmp / 4, where=x < 0)
    np.copyto(x, tmp)


@activation
def sparse_plus(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Sparseplus.

    0 if x <= -1, x if x >= 1, (x + 1)**2 / 4 otherwise

    keras.activations.sparse_plus; Blondel et al. 2019, https://arxiv.org/abs/1901.02324.
    """
    np.clip(x, -1, 1, out=tmp)
    tmp += 1
    tmp *= tmp
    tmp /= 4
    np.maximum(x, tmp, out=x)

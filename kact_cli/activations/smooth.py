"""Activations that are one smooth formula: sigmoid, softplus, tanh, exponential.

Each is the formula of Keras 2 (`tf_keras.activations`), in a form that neither overflows nor loses
digits where its result is a number that the dtype can hold.
"""

from __future__ import annotations

import numpy as np

from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import activation

# From here on exp(x) / (exp(x) + 1) is 1, in float32 and float64
_LARGE = 40


@activation
def sigmoid(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Logistic sigmoid.

    1 / (1 + exp(-x))

    Computed as exp(x) / (exp(x) + 1), which reaches the smallest subnormals;
    tf_keras.activations.sigmoid.
    """
    if not x.max(initial=0) <= _LARGE:  # or NaN
        np.clip(x, -np.inf, _LARGE, out=x)
    m.exp(x, x)
    np.add(x, 1, out=tmp)
    x /= tmp


@activation
def softplus(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Softplus.

    log(exp(x) + 1)

    Computed as max(x, 0) + log1p(exp(-abs(x))); tf_keras.activations.softplus.
    """
    np.absolute(x, out=tmp)
    np.negative(tmp, out=tmp)
    m.exp(tmp, tmp)
    m.log1p(tmp, tmp)
    m.positive(x, x)
    x += tmp


@activation
def tanh(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Hyperbolic tangent.

    tanh(x)

    tf_keras.activations.tanh.
    """
    m.tanh(x, x)


@activation
def exponential(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Exponential.

    exp(x)

    tf_keras.activations.exponential.
    """
    m.exp(x, x)

"""Activations that are one smooth formula: sigmoid, softplus, tanh, exponential.

Each is the formula of Keras 2 (`tf_keras.activations`), in a form that neither overflows nor loses
digits where its result is a number that the dtype can hold.
"""

from __future__ import annotations

import numpy as np

from kact_cli.activations.registry import Tile, activation

# From here on exp(x) + 1 == exp(x) and log(exp(x) + 1) == x, in float32 and float64.
_LARGE = 40.0


def _all_below(x: Tile, limit: float) -> bool:
    # False for a NaN.
    return bool(x.max(initial=-np.inf) <= limit)


@activation
def sigmoid(x: Tile, tmp: Tile, /) -> None:
    """Logistic sigmoid.

    1 / (1 + exp(-x))

    Computed as exp(x) / (exp(x) + 1), which reaches the smallest subnormals;
    tf_keras.activations.sigmoid.
    """
    if not _all_below(x, _LARGE):
        np.clip(x, -np.inf, _LARGE, out=x)
    np.exp(x, out=x)
    np.add(x, 1, out=tmp)
    x /= tmp


@activation
def softplus(x: Tile, tmp: Tile, /) -> None:
    """Softplus.

    log(exp(x) + 1)

    Computed as log1p(exp(x)); tf_keras.activations.softplus.
    """
    if _all_below(x, _LARGE):
        np.exp(x, out=x)
        np.log1p(x, out=x)
    else:
        np.exp(x, out=tmp)
        np.log1p(tmp, out=tmp)
        np.copyto(x, tmp, where=x <= _LARGE)


@activation
def tanh(x: Tile, tmp: Tile, /) -> None:
    """Hyperbolic tangent.

    tanh(x)

    tf_keras.activations.tanh.
    """
    np.tanh(x, out=x)


@activation
def exponential(x: Tile, tmp: Tile, /) -> None:
    """Exponential.

    exp(x)

    tf_keras.activations.exponential.
    """
    np.exp(x, out=x)

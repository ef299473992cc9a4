"""Sigmoids: from one bound to another, in the shape of an S."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from kact_cli.activations.elementwise.affine import affine, in_float64
from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Doc, activation

GROUP = "Sigmoids"

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


@activation(in_float64=in_float64("alpha", "beta"))
def hard_sigmoid(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    alpha: Annotated[float, Doc("Slope.", elsewhere="1/6 in Keras 3, PyTorch and JAX")] = 0.2,
    beta: Annotated[float, Doc("Value at 0.")] = 0.5,
) -> None:
    """Sigmoid made of three straight lines.

    min(max(alpha * x + beta, 0), 1)

    With the parameters of ONNX and the defaults of Keras 2, tf_keras.activations.hard_sigmoid;
    alpha=1/6 is keras.activations.hard_sigmoid of Keras 3.
    """
    affine(x, tmp, m, alpha, beta)
    np.clip(x, 0, 1, out=x)
    if m.exact:
        m.positive(x, x)


@activation
def sparse_sigmoid(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Sparse sigmoid.

    min(max((x + 1) / 2, 0), 1)

    keras.activations.sparse_sigmoid; Blondel et al. 2019, https://arxiv.org/abs/1901.02324.
    """
    x += 1
    x /= 2
    np.clip(x, 0, 1, out=x)


@activation
def tanh(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Hyperbolic tangent.

    tanh(x)

    tf_keras.activations.tanh.
    """
    m.tanh(x, x)


@activation
def hard_tanh(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Hyperbolic tangent made of three straight lines.

    min(max(x, -1), 1)

    keras.activations.hard_tanh.
    """
    m.rounds = False
    np.clip(x, -1, 1, out=x)


@activation
def softsign(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Softsign.

    x / (abs(x) + 1)

    tf_keras.activations.softsign; so inf and -inf give NaN.
    """
    np.absolute(x, out=tmp)
    tmp += 1
    x /= tmp

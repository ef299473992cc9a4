"""Shrinkage: small values become 0, or nearly; and a threshold with another value below it."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np

from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Doc, activation

GROUP = "Shrinkage"


@activation
def hard_shrink(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    threshold: Annotated[float, Doc("Up to which distance from 0 the result is 0.")] = 0.5,
) -> None:
    """Hard shrinkage.

    x if abs(x) > threshold, 0 otherwise

    The threshold is rounded to the tensor's dtype first. NaN stays NaN, which Keras makes 0;
    keras.activations.hard_shrink.
    """
    m.rounds = False
    bend = m.rounded(threshold)
    if bend == math.inf:
        np.copyto(x, 0, where=x == x)  # not NaN
        return
    np.absolute(x, out=tmp)
    x *= tmp > bend
    x += 0  # so that no zero is negative


@activation
def soft_shrink(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    threshold: Annotated[float, Doc("By how much the result is nearer to 0.")] = 0.5,
) -> None:
    """Soft shrinkage.

    x - threshold if x > threshold, x + threshold if x < -threshold, 0 otherwise

    The threshold is rounded to the tensor's dtype first. NaN stays NaN, which Keras makes 0;
    keras.activations.soft_shrink.
    """
    bend = m.rounded(threshold)
    if bend == math.inf:
        np.copyto(x, 0, where=x == x)  # not NaN
    elif bend > 0:
        np.clip(x, -bend, bend, out=tmp)
        x -= tmp
    else:
        np.copyto(tmp, x)
        np.copyto(tmp, -bend, where=x < -bend)
        np.copyto(tmp, bend, where=x > bend)
        x -= tmp


@activation
def tanh_shrink(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Tanh shrinkage.

    x - tanh(x)

    Near 0, where both are nearly equal, by a continued fraction; keras.activations.tanh_shrink.
    """
    m.tanh_shrink(x, tmp)
    np.copyto(x, tmp)


@activation
def threshold(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    threshold: Annotated[float, Doc("Up to which value another one is returned.")] = 0.0,
    default_value: Annotated[float, Doc("That other value.")] = 0.0,
) -> None:
    """Threshold.

    x if x > threshold, default_value otherwise

    Keras has no defaults for the parameters. The threshold is rounded to the tensor's dtype first.
    NaN stays NaN, which Keras makes default_value; keras.activations.threshold.
    """
    m.rounds = False
    np.copyto(x, default_value, where=x <= m.rounded(threshold))

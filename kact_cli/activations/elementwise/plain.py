"""Plain functions: the identity, a straight line, the exponential."""

from __future__ import annotations

from typing import Annotated

from kact_cli.activations.elementwise.affine import affine, in_float64
from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Doc, activation

GROUP = "Plain functions"


@activation(aliases=("identity",), keeps_integers=lambda _: True)
def linear(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Identity.

    x

    tf_keras.activations.linear; keras.activations.linear.
    """
    m.rounds = False


@activation(in_float64=in_float64("scale", "offset"))
def rescaling(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    scale: Annotated[float, Doc("Factor; one over a softmax's temperature.")] = 1.0,
    offset: Annotated[float, Doc("What is added.")] = 0.0,
) -> None:
    """Straight line.

    x * scale + offset

    keras.layers.Rescaling, whose scale has no default; rescaling(scale=1/T),softmax is a softmax
    at a temperature T.
    """
    affine(x, tmp, m, scale, offset)


@activation
def exponential(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Exponential.

    exp(x)

    tf_keras.activations.exponential.
    """
    m.exp(x, x)

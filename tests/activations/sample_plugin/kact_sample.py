"""A package that adds an activation to kact."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from kact_cli.activations import Doc, Math, Tile, activation

GROUP = "Samples"


@activation(aliases=("relu_squared",))
def squared_relu(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    scale: Annotated[float, Doc("Factor of the result.", aliases=("s",))] = 1.0,
) -> None:
    """Squared rectified linear unit.

    scale * max(x, 0)**2

    So et al. 2021, https://arxiv.org/abs/2109.08668.
    """
    m.positive(x, tmp)
    np.multiply(tmp, tmp, out=x)
    x *= scale


@activation(aliases=("half",))
def halved(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Half of it.

    x / 2
    """
    x /= 2


@activation
def faulty(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Fails.

    x
    """
    raise ValueError("no such luck")


def undecorated(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Nothing that kact knows of."""

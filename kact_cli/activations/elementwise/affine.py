"""scale * x + offset, which two activations are made of."""

from __future__ import annotations

import numpy as np

from kact_cli.activations.arithmetic.floating import product_rest, sum_rest
from kact_cli.activations.math import Math, Tile


def affine(x: Tile, tmp: Tile, m: Math, scale: float, offset: float) -> None:
    """Overwrite x with scale * x + offset.

    For float64 and exactly, the digits that rounding takes from the product and from the sum are
    added again, so that none are missing where the two cancel.
    """
    if offset == 0 or x.dtype != np.float64 or not (m.exact or m.careful):
        x *= scale
        x += offset
        return
    scale, offset = float(scale), float(offset)
    np.multiply(x, scale, out=tmp)
    rest = product_rest(x, np.array(scale), tmp)
    np.add(tmp, offset, out=x)
    lost = sum_rest(tmp, np.array(offset), x)
    np.copyto(lost, 0, where=~np.isfinite(lost))
    rest += lost
    x += rest

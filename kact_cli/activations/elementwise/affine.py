"""scale * x + offset, which two activations are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import isfinite

import numpy as np

from kact_cli.activations.arithmetic.floating import product_rest, sum_rest, to_odd
from kact_cli.activations.math import Math, Tile, blocks
from kact_cli.activations.registry import Value


def affine(x: Tile, tmp: Tile, m: Math, scale: float, offset: float) -> None:
    """Overwrite x with scale * x + offset, with all its digits where the two cancel.

    By default as scale * (x + offset / scale), whose sum is exact there. Exactly, the digits that
    rounding takes from the product and from the sum are added again.
    """
    shift = _shift(scale, offset) if x.dtype.kind == "f" and not m.exact else None
    if shift is not None:
        for term in shift:
            if term:
                x += term
        x *= scale
    elif x.dtype == np.float64 and offset != 0:
        for part, scratch in blocks(x, tmp):
            _compensated(part, scratch, m, float(scale), float(offset))
    else:
        x *= scale
        x += offset


def in_float64(scale: str, offset: str) -> Callable[[Mapping[str, Value]], bool]:
    """Whether float32 needs float64 for `affine` of the parameters of these names."""

    def needs(values: Mapping[str, Value]) -> bool:
        factor, constant = values[scale], values[offset]
        assert isinstance(factor, int | float)
        assert isinstance(constant, int | float)
        shift = _shift(factor, constant)
        return constant != 0 and (shift is None or float(np.float32(shift[0])) != shift[0])

    return needs


@lru_cache
def _shift(scale: float, offset: float) -> tuple[float, float] | None:
    """offset / scale and what rounding that lost; None where it is 0, no number or an odd one."""
    if not (isfinite(scale) and isfinite(offset)) or 0 in (scale, offset):
        return None
    from fractions import Fraction  # with decimal, which no other chain needs

    shift = Fraction(offset) / Fraction(scale)
    if not 2**-60 < abs(shift) < 2**60:
        return None
    return float(shift), float(shift - Fraction(float(shift)))


def _compensated(x: Tile, tmp: Tile, m: Math, scale: float, offset: float) -> None:
    np.multiply(x, scale, out=tmp)
    rest = product_rest(x, np.array(scale), tmp)
    np.add(tmp, offset, out=x)
    lost = sum_rest(tmp, np.array(offset), x)
    np.copyto(lost, 0, where=~np.isfinite(lost))
    rest += lost
    np.copyto(tmp, x)
    x += rest
    if m.exact and not m.careful:
        # The half of an ULP that x is off may decide which float32 is the nearest
        tmp -= x
        tmp += rest
        to_odd(x, tmp)
        m.rounds = False

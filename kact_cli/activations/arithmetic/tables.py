"""The constants and tables of `basic`, computed when they are first needed."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from kact_cli.activations.math import Tile


class Format(NamedTuple):
    """What the formulas need to know of a dtype; polynomials from the highest power down."""

    bits: np.dtype[Any]
    """The integers of its size."""
    mantissa: int
    bias: int
    powers: int
    high: float
    """log(2) / powers in so few digits that its product with n * powers + j is exact."""
    low: float
    """What is missing to log(2) / powers."""
    exp: tuple[float, ...]
    """p in exp(r) - 1 = r / (1 - r/2 + r**2 * p(r**2))."""
    log: tuple[float, ...]
    """p in 2 * atanh(s / 2) = s + s**3 * p(s**2)."""
    normal: tuple[float, float]
    """Between these, 2**n and exp(x) are normal numbers."""
    most: tuple[float, float]
    """Beyond these, exp(x) is 0 or inf."""

    @property
    def shift(self) -> float:
        """Added to a small x, it leaves in the lowest bits the whole number nearest to x.

        That is n * powers + j, with n biased as an exponent is, and j from 0.
        """
        return 1.5 * 2.0**self.mantissa + self.bias * self.powers + self.powers // 2


FORMATS = {
    np.dtype(np.float64): Format(
        bits=np.dtype(np.int64),
        mantissa=52,
        bias=1023,
        powers=1024,
        high=float.fromhex("0x1.62e42ffp-11"),
        low=float.fromhex("-0x1.718432a1b0e26p-45"),
        exp=(1 / 12,),
        log=(1 / 448, 1 / 80, 1 / 12),
        normal=(-708.0, 709.0),
        most=(-746.0, 710.0),
    ),
    np.dtype(np.float32): Format(
        bits=np.dtype(np.int32),
        mantissa=23,
        bias=127,
        powers=1,
        high=float.fromhex("0x1.62ep-1"),
        low=float.fromhex("0x1.0bfbe8p-15"),
        # The best ones for |r| <= log(2) / 2 and, below, for 0 <= s <= 2/3
        exp=(-0.0013833668145927429, 0.0833331279728317),
        log=(0.0005473528449303118, 0.0021874327659241314, 0.012506780996545917, 0.083333016412006),
        normal=(-87.0, 88.0),
        most=(-104.0, 89.0),
    ),
}


# In one unit of x there are so many arguments of the tables
_LOGARITHMS, _TANGENTS = 256, 128
# Added to x, these leave in its lowest bits the number of the nearest argument
NEAREST_LOGARITHM, NEAREST_TANGENT = 1.5 * 2.0**52 / _LOGARITHMS, 1.5 * 2.0**52 / _TANGENTS
LOWEST = 0xFFFF
# p in tanh(h) = h + h**3 * p(h**2)
TANH = (-17 / 315, 2 / 15, -1 / 3)
# The first arguments are 0 instead: there the value is too small beside the error of the rest
_FIRST_LOGARITHMS, _FIRST_TANGENTS = 3, 2


@cache
def powers() -> tuple[Tile, Tile]:
    """2**(j / powers) for j from -powers/2, and what rounding it to float64 lost."""
    count = FORMATS[np.dtype(np.float64)].powers
    high, low = np.empty(count), np.empty(count)
    with localcontext(prec=50):
        root = (Decimal(2).ln() / count).exp()
        power = 1 / Decimal(2).sqrt()
        for j in range(count):
            high[j] = power if j != count // 2 else 1
            low[j] = power - Decimal(float(high[j])) if j != count // 2 else 0
            power *= root
    return high, low


@cache
def logarithms() -> tuple[Tile, Tile]:
    """a from 0 to 1, and log1p(a)."""
    a = np.arange(_LOGARITHMS + 1) / _LOGARITHMS
    a[:_FIRST_LOGARITHMS] = 0
    with localcontext(prec=50):
        return a, np.array([float((1 + Decimal(value)).ln()) for value in a.tolist()])


@cache
def tangents() -> tuple[Tile, Tile]:
    """a from 0 to 20, and tanh(a)."""
    a = np.arange(20 * _TANGENTS + 1) / _TANGENTS
    a[:_FIRST_TANGENTS] = 0
    with localcontext(prec=50):
        root = (Decimal(2) / _TANGENTS).exp()
        powers = [Decimal(1)]
        for _ in a[1:]:
            powers.append(powers[-1] * root)
        values = np.array([float((power - 1) / (power + 1)) for power in powers])
    values[:_FIRST_TANGENTS] = 0
    return a, values


# Up to here the normal distribution's tail is a number
FARTHEST_MILLS, _MILLS = 40.0, 64
NEAREST_MILLS = 1.5 * 2.0**52 / _MILLS
NORMAL_DENSITY = 0.3989422804014327
"""1 / sqrt(2 * pi), the density at 0."""
_NORMAL_DENSITY = Decimal("0.398942280401432677939946059934381868475858631164934658")


@cache
def mills_ratios() -> tuple[Tile, Tile]:
    """exp(a**2 / 2) / 2 * erfc(a / sqrt(2)) for a from 0 to 40, and what rounding it lost.

    From one a to the next below by the Taylor series of the differential equation, which makes
    every error smaller; the first is the continued fraction of Laplace.
    """
    count = int(FARTHEST_MILLS * _MILLS)
    high, low = np.empty(count + 1), np.empty(count + 1)
    with localcontext(prec=30):
        a = Decimal(FARTHEST_MILLS)
        below = a
        for n in range(30, 0, -1):
            below = a + n / below
        ratio = _NORMAL_DENSITY / below
        step, factors = Decimal(-1) / _MILLS, [Decimal(1) / n for n in range(2, 12)]
        for index in range(count, -1, -1):
            high[index] = ratio
            low[index] = ratio - Decimal(float(high[index]))
            last, slope, power = ratio, a * ratio - _NORMAL_DENSITY, step
            for factor in factors:
                ratio += slope * power
                last, slope = slope, (a * slope + last) * factor
                power *= step
            a += step
    return high, low

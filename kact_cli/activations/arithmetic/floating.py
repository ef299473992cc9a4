"""What `fast` and `exact` have in common: functions of IEEE operations and of their own exp."""

from __future__ import annotations

from typing import Any

import numpy as np

from kact_cli.activations.arithmetic.tables import (
    FARTHEST_MILLS,
    LOWEST,
    NEAREST_MILLS,
    NORMAL_DENSITY,
    mills_ratios,
)
from kact_cli.activations.math import BLOCK_BYTES, Math, Tile, blocks

# Up to here x - tanh(x) would lose digits, and the fraction has them all with so many levels
_NEAR, _TANH_NEAR = 2.0, 0.9640275800758169
_LEVELS = {np.dtype(np.float32): 13, np.dtype(np.float64): 23}
# So many powers of at most 1/128 give all digits of a float32, and of a float64
_FEW_POWERS, _POWERS = 4, 8
_UPPER, _HALF_UNIT = ~((1 << 27) - 1), 1 << 26
"""The bits of a float64 that are left of it so that its square is exact, and half of their last."""


class Floating(Math):
    """Tiles of float32 and float64."""

    def __init__(self, tensor: np.dtype[Any]) -> None:
        super().__init__(tensor)
        self._buffers: list[Tile] = []

    def tanh_shrink(self, x: Tile, out: Tile) -> None:
        """x - tanh(x): what it is up to _NEAR, and beyond it what it is more than there.

        tanh(x) = x / (1 + s / k), k = 3 + s / (5 + s / (7 + ...)), s = x**2.
        """
        for part, result in blocks(x, out):
            near = np.clip(part, -_NEAR, _NEAR)
            square = near * near
            fraction = square / _LEVELS[x.dtype]
            for odd in range(_LEVELS[x.dtype] - 2, 3, -2):
                fraction += odd
                np.divide(square, fraction, out=fraction)
            fraction += square
            below = fraction + 3
            cube = square * near
            up_to_near = cube / below
            if self.exact and self.careful:
                lost = product_rest(near, square, cube) + near * square_rest(near, square)
                lost -= up_to_near * sum_rest(fraction, np.array(3.0), below)
                up_to_near += lost / below
            self.tanh(part, result)
            result -= np.clip(result, -_TANH_NEAR, _TANH_NEAR)
            np.subtract(part - near, result, out=result)
            result += up_to_near

    def gelu(self, x: Tile, out: Tile) -> None:
        """x * (1 + erf(x / sqrt(2))) / 2, by way of Mills's ratio.

        That ratio, of 1 - cdf(x) to pdf(x) of the normal distribution, is steep nowhere. A table
        has it for the nearest a; its derivative is x * ratio - 1, which gives all the others. What
        is steep is the pdf: -x**2 / 2 has more digits there than a float64.
        """
        block = BLOCK_BYTES // 8
        if not self._buffers:
            self._buffers = [np.empty(block) for _ in range(7)]
        for first in range(0, x.size, block):
            part, result = x[first : first + block], out[first : first + block]
            buffers = [buffer[: part.size] for buffer in self._buffers]
            self._upper_tail(part, buffers)
            self.without_tail(part, buffers[0], result)

    def without_tail(self, x: Tile, tail: Tile, out: Tile) -> None:
        """max(x, 0) - tail, and NaN for -inf, where gelu is 0 times an infinity."""
        self.positive(x, out)
        out -= tail
        if not x.min() > -np.inf:
            np.copyto(out, np.nan, where=x == -np.inf)

    def _upper_tail(self, x: Tile, buffers: list[Tile]) -> None:
        """Write |x| * (1 - cdf(|x|)) to the first of the buffers."""
        total, t, a, power, slope, last, product = buffers
        np.absolute(x, out=t)
        np.minimum(t, FARTHEST_MILLS, out=t)
        ratios, rests = mills_ratios()
        np.add(t, NEAREST_MILLS, out=a)
        index = np.bitwise_and(a.view(np.int64), LOWEST)
        a -= NEAREST_MILLS
        ratios.take(index, out=last, mode="wrap")
        rests.take(index, out=total, mode="wrap")
        np.subtract(t, a, out=power)
        h = power.copy()
        np.multiply(a, last, out=slope)
        slope -= NORMAL_DENSITY
        ratio = last.copy()
        powers = _POWERS if self.exact or self.careful else _FEW_POWERS
        for n in range(1, powers + 1):
            np.multiply(slope, power, out=product)
            total += product
            if n < powers:
                power *= h
                np.multiply(a, slope, out=product)
                last += product
                last *= 1 / (n + 1)
                slope, last = last, slope
        np.multiply(t, t, out=a)
        if self.careful:
            # What rounding loses of the square, and relatively of the sum
            rest = square_rest(t, a)
            rest *= -0.5
            np.add(ratio, total, out=product)
            np.subtract(ratio, product, out=last)
            last += total
            last /= product
            rest += last
            a *= -0.5
            self.exp_of_sum(a, rest, a)
        else:
            np.add(ratio, total, out=product)
            a *= -0.5
            self.exp(a, a)
        np.multiply(product, t, out=total)
        total *= a


def halves(x: Tile) -> tuple[Tile, Tile]:
    """A float64 as two, whose products with such halves are exact."""
    upper = ((x.view(np.int64) + _HALF_UNIT) & _UPPER).view(np.float64)
    return upper, x - upper


def square_rest(x: Tile, square: Tile) -> Tile:
    """What rounding x * x to `square` lost."""
    upper, lower = halves(x)
    rest: Tile = ((upper * upper - square) + 2 * upper * lower) + lower * lower
    return rest


def product_rest(x: Tile, y: Tile, product: Tile) -> Tile:
    """What rounding x * y to `product` lost; 0 where that is no number."""
    (a, b), (c, d) = halves(x), halves(y)
    rest: Tile = (((a * c - product) + a * d) + b * c) + b * d
    np.copyto(rest, 0, where=~np.isfinite(rest))
    return rest


def sum_rest(x: Tile, y: Tile, total: Tile) -> Tile:
    """What rounding x + y to `total` lost (Knuth)."""
    part = total - x
    rest: Tile = (x - (total - part)) + (y - part)
    return rest


def to_odd(x: Tile, lost: Tile) -> None:
    """Make x the neighbour of x + lost whose last bit is 1, where `lost` is not 0.

    `lost` is at most half an ULP. Rounded to half of the digits, the result is what the sum itself
    would be rounded to.
    """
    bits = x.view(np.int64)
    inexact = np.absolute(lost) > 0
    bits -= inexact & (np.signbit(lost) != np.signbit(x))
    bits |= inexact

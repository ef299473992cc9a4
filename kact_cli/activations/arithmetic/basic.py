"""exp, expm1, log1p and tanh made of nothing but IEEE operations: the same bits on every processor.

NumPy's own depend on the processor: with AVX-512 they do several values at a time, without it most
of them call the C library for each value, at ten times the cost and with other last digits. Here
stand additions, multiplications, divisions and shifts of whole arrays. IEEE 754 defines each of
them to the last bit, and every processor does several values at a time.

The method is that of Tang (1989), ACM TOMS 15(2): exp(x) = 2**n * 2**(j / powers) * exp(r), whole n
and j, small r; log1p(x) = log1p(a) + 2 * atanh((x - a) / (2 + x + a)), with a near x from a table.
The largest errors are in `tests/activations/test_arithmetic.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from kact_cli.activations.arithmetic.tables import (
    FORMATS,
    LOWEST,
    NEAREST_LOGARITHM,
    NEAREST_TANGENT,
    TANH,
    logarithms,
    powers,
    tangents,
)
from kact_cli.activations.math import BLOCK_BYTES, Tile


class Basic:
    """The functions for one dtype, float32 or float64, with the buffers that they need.

    Each takes a contiguous `x` and writes to `out`, of the same shape, which may be `x`. `careful`
    is for expm1 to within 1.5 ULP instead of 2.5.
    """

    def __init__(self, dtype: np.dtype[Any], *, careful: bool = False) -> None:
        self.format = FORMATS[dtype]
        self._careful = careful
        self._block = BLOCK_BYTES // dtype.itemsize
        self._dtype = dtype

    @cached_property
    def _buffers(self) -> list[Tile]:
        return [np.empty(self._block, self._dtype) for _ in range(5)]

    @cached_property
    def _index(self) -> Tile:
        return np.empty(self._block, np.intp)

    def exp(self, x: Tile, out: Tile, rest: Tile | None = None) -> None:
        """exp(x), or exp(x + rest) with a rest of less than an ULP; out may be either."""
        for part, result, more in self._blocks(x, out, rest):
            plain = _within(part, self.format.normal)
            if not plain:
                np.clip(part, *self.format.most, out=self._buffer(4, part))
                part = self._buffer(4, part)
            self._reduce(part, result, more)
            self._times_power(result)
            if plain:
                result *= self._scale(part.size)
            else:
                self._scale_far(result)

    def expm1(self, x: Tile, out: Tile) -> None:
        """exp(x) - 1 for x <= 0; 0 for -0."""
        for part, result, _ in self._blocks(x, out):
            # From here on the result is -1
            np.clip(part, -40.0, 0.0, out=result)
            self._expm1(result, careful=self._careful)

    def log1p(self, x: Tile, out: Tile) -> None:
        """log(1 + x) for x from 0 to 1."""
        for part, result, _ in self._blocks(x, out):
            self._log1p(part, result)

    def tanh(self, x: Tile, out: Tile) -> None:
        """tanh(x)."""
        for part, result, _ in self._blocks(x, out):
            sign = self._buffer(4, part)
            np.copyto(sign, part)
            np.absolute(part, out=result)
            # From here on the result is 1
            np.clip(result, 0.0, 20.0, out=result)
            if self.format.powers > 1:
                self._tanh_from_table(result)
            else:
                self._tanh_from_expm1(result)
            np.copysign(result, sign, out=result)

    def _blocks(self, x: Tile, out: Tile, rest: Tile | None = None) -> Iterator[Any]:
        flat = [None if a is None else a.reshape(-1) for a in (x, out, rest)]
        for a in range(0, x.size, self._block):
            yield [None if f is None else f[a : a + self._block] for f in flat]

    def _buffer(self, number: int, part: Tile) -> Tile:
        return self._buffers[number][: part.size]

    def _reduce(
        self, x: Tile, out: Tile, rest: Tile | None = None, *, careful: bool = True
    ) -> None:
        """Write exp(r + rest) - 1 to `out`, and leave n and j in the bits of the first buffer."""
        form = self.format
        number, whole, product = (self._buffer(i, x) for i in (0, 2, 3))
        step = form.high + form.low
        if careful:
            np.multiply(x, 1 / step, out=number)
            number += form.shift
            np.subtract(number, form.shift, out=whole)
            np.multiply(whole, form.high, out=product)
            whole *= form.low
            if rest is not None:
                whole -= rest
            np.subtract(x, product, out=out)
            out -= whole
            step = 1.0
        else:
            # r / step, whose error of half an ULP of x is little beside 1, but much beside exp(x)
            np.multiply(x, 1 / step, out=out)
            np.add(out, form.shift, out=number)
            np.subtract(number, form.shift, out=whole)
            out -= whole
        # exp(r) - 1 = r / (1 - r/2 + r**2 * p(r**2))
        exponents = range(2 * len(form.exp) - 1, 0, -2)
        coefficients = tuple(c * step**k for c, k in zip(form.exp, exponents, strict=True))
        if len(coefficients) > 1:
            np.multiply(out, out, out=whole)
            polynomial(coefficients, whole, product)
            product *= out
        else:
            np.multiply(out, coefficients[0], out=product)
        product -= 0.5
        product *= out
        product += 1 / step
        out /= product

    def _powers(self, x: Tile) -> tuple[Tile, Tile] | None:
        """2**(j / powers) and what was lost in rounding it; None where that is 1."""
        if self.format.powers == 1:
            return None
        high, low = powers()
        index, first, second = self._index[: x.size], self._buffer(1, x), self._buffer(2, x)
        number = self._buffer(0, x).view(self.format.bits)
        np.bitwise_and(number, self.format.powers - 1, out=index)
        high.take(index, out=first, mode="wrap")
        low.take(index, out=second, mode="wrap")
        return first, second

    def _times_power(self, result: Tile) -> None:
        """From exp(r) - 1 to 2**(j / powers) * exp(r)."""
        powers = self._powers(result)
        if powers is None:
            result += 1
            return
        power, rest = powers
        result *= power
        result += rest
        result += power

    def _scale(self, size: int) -> Tile:
        """2**n, in the place of the numbers it is made from."""
        scale = self._buffers[0][:size]
        bits = scale.view(self.format.bits)
        if self.format.powers > 1:
            bits >>= self.format.powers.bit_length() - 1
        bits <<= self.format.mantissa
        return scale

    def _expm1(self, result: Tile, *, careful: bool) -> None:
        self._reduce(result, result, careful=careful)
        powers = self._powers(result)
        scale = self._scale(result.size)
        power = scale
        if powers is not None:
            power, rest = powers
            power *= scale
            rest *= scale
        result *= power
        if powers is not None:
            result += rest
        power -= 1
        result += power

    def _log1p(self, x: Tile, result: Tile) -> None:
        t, q = self._buffer(0, x), self._buffer(3, x)
        logarithm = None
        if self.format.powers > 1:
            a, logarithm = self._look_up(logarithms(), x, NEAREST_LOGARITHM)
            np.add(x, a, out=t)
            np.subtract(x, a, out=result)
            t *= 0.5
        else:
            np.multiply(x, 0.5, out=t)
            np.copyto(result, x)
        t += 1
        result /= t
        np.multiply(result, result, out=t)
        polynomial(self.format.log, t, q)
        q *= t
        q *= result
        result += q
        if logarithm is not None:
            result += logarithm

    def _tanh_from_table(self, x: Tile) -> None:
        """tanh(a + h) = T + (1 - T**2) * t / (1 + T * t), T = tanh(a) and t = tanh(h)."""
        a, table = self._look_up(tangents(), x, NEAREST_TANGENT)
        x -= a
        square, t = self._buffer(0, x), a
        np.multiply(x, x, out=square)
        polynomial(TANH, square, t)
        t *= square
        t *= x
        x += t
        np.multiply(table, table, out=t)
        np.subtract(1, t, out=t)
        t *= x
        x *= table
        x += 1
        t /= x
        np.add(table, t, out=x)

    def _tanh_from_expm1(self, x: Tile) -> None:
        """tanh(x) = -e / (e + 2), e = expm1(-2 * x)."""
        x *= -2
        self._expm1(x, careful=True)
        below = self._buffer(0, x)
        np.add(x, 2, out=below)
        x /= below

    def _look_up(self, tables: tuple[Tile, Tile], x: Tile, nearest: float) -> tuple[Tile, Tile]:
        """The table's argument nearest to each x, and its value there."""
        number, index = self._buffer(0, x), self._index[: x.size]
        found = self._buffer(1, x), self._buffer(2, x)
        np.add(x, nearest, out=number)
        np.bitwise_and(number.view(self.format.bits), LOWEST, out=index)
        for table, values in zip(tables, found, strict=True):
            table.take(index, out=values, mode="wrap")
        return found

    def _scale_far(self, result: Tile) -> None:
        """Multiply by 2**n where that is too large or too small to be a number."""
        form = self.format
        number, half = (self._buffer(i, result).view(form.bits) for i in (0, 3))
        # The sign of what is left when the bits of the shift are gone is that of n + bias
        number <<= form.mantissa - (form.powers.bit_length() - 1)
        number >>= form.mantissa
        number -= form.bias
        np.right_shift(number, 1, out=half)
        number -= half
        for bits in (half, number):
            bits += form.bias
            bits <<= form.mantissa
            result *= bits.view(result.dtype)


def _within(x: Tile, limits: tuple[float, float]) -> bool:
    # False for a NaN
    return bool(x.min() >= limits[0] and x.max() <= limits[1])


def polynomial(coefficients: tuple[float, ...], x: Tile, out: Tile) -> None:
    np.multiply(x, coefficients[0], out=out)
    out += coefficients[1]
    for coefficient in coefficients[2:]:
        out *= x
        out += coefficient

"""Decimal numbers of 120 digits, in arrays of objects: slow, and as good as exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from typing import Any

import numpy as np

from kact_cli.activations.math import Math, Tile

DIGITS = 120
"""Twice as many as expm1 of the smallest float32 needs, whose first 45 are those of 1."""


@contextmanager
def wide() -> Iterator[None]:
    """The context that all of it has to be computed in."""
    with localcontext(Context(prec=DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])):
        yield


class Wide(Math):
    """Arrays of Decimal."""

    def __init__(self, tensor: np.dtype[Any]) -> None:
        super().__init__(tensor)
        self.careful = False

    def exp_of_sum(self, x: Tile, rest: Tile, out: Tile) -> None:
        self.exp(x + rest, out)

    def exp(self, x: Tile, out: Tile) -> None:
        _each(lambda value: value.exp(), x, out)

    def expm1(self, x: Tile, out: Tile) -> None:
        _each(lambda value: _expm1(min(value, Decimal(0))), x, out)

    def log1p(self, x: Tile, out: Tile) -> None:
        _each(lambda value: (value + 1).ln(), x, out)

    def tanh(self, x: Tile, out: Tile) -> None:
        _each(_tanh, x, out)

    def tanh_shrink(self, x: Tile, out: Tile) -> None:
        _each(lambda value: value - _tanh(value), x, out)

    def gelu(self, x: Tile, out: Tile) -> None:
        _each(_gelu, x, out)

    def number(self, text: str) -> Any:
        return Decimal(text)

    def rounded(self, value: Any) -> Any:
        return Decimal(super().rounded(value))


def _each(function: Callable[[Decimal], Decimal], x: Tile, out: Tile) -> None:
    np.copyto(out, np.frompyfunc(lambda value: function(Decimal(value)), 1, 1)(x))


def _expm1(x: Decimal) -> Decimal:
    return x.exp() - 1


_NEARLY_1 = Decimal(115)
"""tanh of this is 1 - 2e-100: less than 1, which decides what x - tanh(x) is rounded to."""


def _tanh(x: Decimal) -> Decimal:
    below = _expm1(-2 * min(abs(x), _NEARLY_1))
    return (-below / (below + 2)).copy_sign(x)


_SQRT_OF_2_PI = Decimal(
    "2.5066282746310005024157652848110452530069867406099383166299235763422936546078419749465958"
    "3837805726611600997266520388"
)


def _gelu(x: Decimal) -> Decimal:
    """x * cdf(x) of the normal distribution: 1/2 + pdf(x) * (x + x**3 / 3 + x**5 / 15 + ...)."""
    density = (-x * x / 2).exp() / _SQRT_OF_2_PI
    if abs(x) < 12:
        term = total = abs(x)
        odd = 1
        while term > total.scaleb(-DIGITS):
            odd += 2
            term *= x * x / odd
            total += term
        tail = Decimal("0.5") - density * total
    else:
        below = abs(x)
        for n in range(1000, 0, -1):
            below = abs(x) + n / below
        tail = density / below
    return x * (1 - tail) if x > 0 else x * tail

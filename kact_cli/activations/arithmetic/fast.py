"""The default arithmetic: for each function and dtype, what this processor does fastest."""

from __future__ import annotations

import math
import sys
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from kact_cli.activations.arithmetic.basic import Basic
from kact_cli.activations.arithmetic.floating import Floating
from kact_cli.activations.math import Tile, blocks, zeros

# The normal distribution's tail is tabulated up to where its product with t is no float32, in
# multiples of 2**24, for some of its values are none
_FARTHEST, _TAILS, _SCALE = 14.75, 512, 2.0**24
_NEAREST_TAIL = 1.5 * 2.0**23 / _TAILS
_LOWEST = 0x1FFF
"""The bits of _FARTHEST * _TAILS."""


@cache
def features() -> frozenset[str]:
    """The processor's features as NumPy uses them, without those that the user disabled.

    NumPy 2.4 and later choose by the levels of x86-64, X86_V2 to X86_V4, earlier ones by single
    features; where a level is disabled, its single features stay in NumPy's list.
    """
    numpy_core = import_module("numpy._core._multiarray_umath")
    found: dict[str, bool] = getattr(numpy_core, "__cpu_features__", {})
    on = {name for name, there in found.items() if there}
    for level, singles in (("X86_V3", {"AVX2", "FMA3"}), ("X86_V4", {"AVX512_SKX"})):
        if level in on:
            on |= singles
        elif level in found:
            on -= singles
    return frozenset(on)


@cache
def vectorised() -> frozenset[str]:
    """The functions that NumPy computes several values at a time on this processor.

    For the others it calls the C library, value by value. That is fast enough for exp, but takes
    four times as long as `basic` for expm1 and log1p of float32, and longer for those of float64.
    """
    on = features()
    names = {"exp"}
    if "AVX512_SKX" in on and sys.platform == "linux":
        names |= {"expm1", "log1p"}
    if on & {"AVX512_SKX", "ASIMD", "VSX2", "VX"} or {"AVX2", "FMA3"} <= on:
        names.add("tanh")
    return frozenset(names)


class Fast(Floating):
    """Float32 and float64 to within a few ULP."""

    def __init__(self, tensor: np.dtype[Any], work: np.dtype[Any]) -> None:
        super().__init__(tensor)
        self._basic = Basic(np.dtype(np.float64) if work.kind != "f" else work)
        self.log1p_of_any = "log1p" in vectorised()

    def exp(self, x: Tile, out: Tile) -> None:
        np.exp(x, out=out)

    def exp_of_sum(self, x: Tile, rest: Tile, out: Tile) -> None:
        np.exp(x, out=x)
        rest *= x
        np.add(x, rest, out=out)

    def expm1(self, x: Tile, out: Tile) -> None:
        if "expm1" in vectorised():
            np.minimum(x, zeros(x.size, x.dtype).reshape(x.shape), out=out)
            np.expm1(out, out=out)
        else:
            self._basic.expm1(x, out)

    def log1p(self, x: Tile, out: Tile) -> None:
        if "log1p" in vectorised():
            np.log1p(x, out=out)
        else:
            self._basic.log1p(x, out)

    def tanh(self, x: Tile, out: Tile) -> None:
        if "tanh" in vectorised():
            np.tanh(x, out=out)
        else:
            self._basic.tanh(x, out)

    def gelu(self, x: Tile, out: Tile) -> None:
        """For float32 the tail at the nearest a, less the density's integral from there."""
        if x.dtype != np.float32:
            super().gelu(x, out)
            return
        for part, result in blocks(x, out):
            t = np.absolute(part)
            np.clip(t, 0, _FARTHEST, out=t)
            a = t + np.float32(_NEAREST_TAIL)
            index = np.bitwise_and(a.view(np.int32), _LOWEST, dtype=np.intp)
            tail, density = (table.take(index, mode="wrap") for table in normal_tails())
            a -= np.float32(_NEAREST_TAIL)
            h = t - a
            # density * h * (1 - a * h / 2 + (a * h)**2 / 6)
            a *= h
            np.multiply(a, 1 / 6, out=result)
            result -= 0.5
            result *= a
            result += 1
            result *= h
            result *= density
            tail -= result
            tail *= t
            tail *= 1 / _SCALE
            self.without_tail(part, tail, result)


@cache
def normal_tails() -> tuple[Tile, Tile]:
    """1 - cdf(a) and pdf(a) of the normal distribution, times _SCALE, for a from 0 to _FARTHEST."""
    a = [i / _TAILS for i in range(int(_FARTHEST * _TAILS) + 1)]
    tails = [_SCALE / 2 * math.erfc(value / math.sqrt(2)) for value in a]
    densities = [_SCALE / math.sqrt(math.tau) * math.exp(-value * value / 2) for value in a]
    return np.array(tails, np.float32), np.array(densities, np.float32)

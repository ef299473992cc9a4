"""The default arithmetic: for each function and dtype, what this processor does fastest."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from kact_cli.activations.arithmetic.basic import BLOCK_BYTES, Basic, polynomial
from kact_cli.activations.arithmetic.floating import Floating
from kact_cli.activations.math import Tile, zeros

# p in exp(t**2 / 2) / 2 * erfc(t / sqrt(2)) = p((t - k) / (t + k)) / (t + k) for t from 0 to 14.6
_CENTRE = 2.5
_TAIL = (
    -0.000158304987,
    -0.000313557156,
    0.000683618844,
    0.0025258051,
    -0.0015996846,
    -0.0163867544,
    0.00923553007,
    0.131987036,
    -0.433691988,
    0.706656659,
)


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
        """A polynomial of float32, and the rest of float64: faster than what float64 needs."""
        if x.dtype != np.float32:
            super().gelu(x, out)
            return
        block = BLOCK_BYTES // 4
        for first in range(0, x.size, block):
            part, result = x[first : first + block], out[first : first + block]
            t = np.absolute(part).astype(np.float64)
            np.minimum(t, 15.0, out=t)
            tail = t * t
            tail *= -0.5
            np.exp(tail, out=tail)
            tail *= t
            below = t + _CENTRE
            tail /= below
            t -= _CENTRE
            t /= below
            polynomial(_TAIL, t.astype(np.float32), result)
            tail *= result
            self.without_tail(part, tail, result)

"""What a kernel computes with: the functions whose value depends on how it is computed.

A kernel adds, multiplies, divides, takes square roots and compares by NumPy, whose results are the
same everywhere, and takes from its `Math` what is not: exp, expm1, log1p, tanh and the like,
numbers with more digits than a float has, and the sign of a zero. So one formula serves every
arithmetic (see `arithmetic`), `--exact` among them, and a kernel needs to know only this: constants
other than whole numbers come from `number`, and `x` may be an array of decimal numbers, which NumPy
computes with as well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Tile = NDArray[Any]
else:
    Tile = Any


BLOCK_BYTES = 128 * 1024
"""What is computed in one go, where there are several buffers: shorter blocks spend their time in
Python, longer ones in memory."""


def blocks(*tiles: Tile) -> Iterator[tuple[Tile, ...]]:
    """The same parts of 1-D tiles, one after another, for a kernel with arrays of its own."""
    length = BLOCK_BYTES // tiles[0].itemsize
    for first in range(0, tiles[0].size, length):
        yield tuple(tile[first : first + length] for tile in tiles)


class Math(ABC):
    """An arithmetic. Functions write to `out`, contiguous and of x's shape and dtype, or x itself.

    One object serves one thread: it may hold buffers.
    """

    exact = False
    """Whether the result has to be the same bytes everywhere."""
    rounds = True
    """Set to False by a kernel whose operations were all exact, for float16 and float32."""

    def __init__(self, tensor: np.dtype[Any]) -> None:
        self.tensor = tensor
        """The tensor's dtype, which float16 is not computed in."""
        self.careful = tensor.itemsize == 8
        """Whether the tensor is float64 itself, so that an ULP of it counts."""

    log1p_of_any = False
    """Whether `log1p` also takes what is larger than 1."""

    @abstractmethod
    def exp(self, x: Tile, out: Tile) -> None:
        """exp(x)."""

    @abstractmethod
    def exp_of_sum(self, x: Tile, rest: Tile, out: Tile) -> None:
        """exp(x + rest), rest of some ULP of x; may overwrite both."""

    @abstractmethod
    def expm1(self, x: Tile, out: Tile) -> None:
        """exp(min(x, 0)) - 1."""

    @abstractmethod
    def log1p(self, x: Tile, out: Tile) -> None:
        """log(1 + x) for x from 0 to 1, and NaN."""

    @abstractmethod
    def tanh(self, x: Tile, out: Tile) -> None:
        """tanh(x)."""

    @abstractmethod
    def tanh_shrink(self, x: Tile, out: Tile) -> None:
        """x - tanh(x), with all its digits where that is near 0; out is not x."""

    @abstractmethod
    def gelu(self, x: Tile, out: Tile) -> None:
        """x * (1 + erf(x / sqrt(2))) / 2, with all its digits where that is near 0; out is not x.

        Float32 is not what it can compute in.
        """

    def positive(self, x: Tile, out: Tile) -> None:
        """max(x, 0), and NaN for NaN; a zero may have either sign, save where that would show."""
        # Several times faster between two arrays than with a scalar
        np.maximum(x, zeros(x.size, x.dtype).reshape(x.shape), out=out)

    def number(self, text: str) -> Any:
        """The constant of that text, as near as can be."""
        return float(text)

    def rounded(self, value: Any) -> Any:
        """A parameter as the tensor's dtype has it."""
        return float(self.tensor.type(value))


@lru_cache(maxsize=8)
def zeros(size: int, dtype: np.dtype[Any]) -> Tile:
    """Zeros that are made once, read-only."""
    array = np.zeros(size, dtype)
    array.flags.writeable = False
    return array

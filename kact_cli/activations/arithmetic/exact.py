"""The arithmetic of `--exact`: float64 by IEEE operations alone, the same on every processor."""

from __future__ import annotations

from typing import Any

import numpy as np

from kact_cli.activations.arithmetic.basic import Basic
from kact_cli.activations.arithmetic.floating import Floating
from kact_cli.activations.math import Tile


class Exact(Floating):
    """Float64 to within 2 ULP; tiles of every dtype are computed in it, and rounded once."""

    exact = True

    def __init__(self, tensor: np.dtype[Any]) -> None:
        super().__init__(tensor)
        self._basic = Basic(np.dtype(np.float64), careful=self.careful)
        self._scratch = np.empty(0)

    def exp(self, x: Tile, out: Tile) -> None:
        self._basic.exp(x, out)

    def exp_of_sum(self, x: Tile, rest: Tile, out: Tile) -> None:
        self._basic.exp(x, out, rest)

    def scratch(self, size: int) -> Tile:
        """One more buffer, for a kernel that needs it."""
        if self._scratch.size < size:
            self._scratch = np.empty(size)
        return self._scratch[:size]

    def expm1(self, x: Tile, out: Tile) -> None:
        self._basic.expm1(x, out)

    def log1p(self, x: Tile, out: Tile) -> None:
        self._basic.log1p(x, out)

    def tanh(self, x: Tile, out: Tile) -> None:
        self._basic.tanh(x, out)

    def positive(self, x: Tile, out: Tile) -> None:
        super().positive(x, out)
        # Which of two zeros is the larger depends on the processor
        out += 0.0

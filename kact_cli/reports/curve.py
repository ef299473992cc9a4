"""The curve of a chain: its values, or those of its derivative, at points between two ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kact_cli.chain import Chain
from kact_cli.engine.apply import apply
from kact_cli.types import Array

STEP = np.finfo(np.float64).eps ** (1 / 3)
"""Of the central difference, relative to x: truncation and rounding errors are alike there."""


@dataclass(frozen=True)
class Curve:
    """A chain's text, and its values `y` (float64) at `x`; NaN and infinities included."""

    name: str
    x: Array
    y: Array

    @classmethod
    def of(
        cls, chain: Chain, first: float, last: float, points: int, *, derivative: bool = False
    ) -> Curve:
        """Evaluate `chain` in float64 at `points` places from `first` to `last`.

        The derivative is the central difference (f(x + h) - f(x - h)) / 2h with
        h = eps**(1/3) * max(1, |x|): at a kink it is the mean of both sides.
        Raises UsageError for a chain that works along an axis, which has no curve.
        """
        chain.check_elementwise("it has no curve")
        x = np.linspace(first, last, points)
        if not derivative:
            return cls(str(chain), x, apply(chain, x))
        h = STEP * np.maximum(1, np.abs(x))
        with np.errstate(all="ignore"):
            y = (apply(chain, x + h) - apply(chain, x - h)) / ((x + h) - (x - h))
        return cls(f"d/dx {chain}", x, y)

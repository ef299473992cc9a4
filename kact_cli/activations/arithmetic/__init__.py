"""The arithmetics that the activations are computed in: one formula, several ways to evaluate it.

A kernel is written against `Math` and knows nothing of these:

- `fast`: NumPy's functions or those of `basic`, whichever this processor does faster;
- `exact`: float64 by `basic` alone, for `--exact`: the same bits on every processor;
- `wide`: decimal numbers of 120 digits, for the few values whose exact result lies so near to the
  middle of two numbers of its dtype that `exact` cannot tell which of them is the nearer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kact_cli.activations.arithmetic.exact import Exact
from kact_cli.activations.arithmetic.fast import Fast
from kact_cli.activations.math import Math

__all__ = ["Exact", "Fast", "arithmetic"]


def arithmetic(tensor: np.dtype[Any], work: np.dtype[Any], *, exact: bool = False) -> Math:
    """The arithmetic for tiles of dtype `work` that hold values of a tensor of dtype `tensor`."""
    return Exact(tensor) if exact else Fast(tensor, work)

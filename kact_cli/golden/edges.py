"""The inputs at which a chain is hardest to get right: where it bends, and where it is a near tie.

Nothing here knows any activation: what a chain does is found by computing it exactly.
"""

from __future__ import annotations

import math

import numpy as np

from kact_cli.chain import Chain
from kact_cli.engine.apply import apply
from kact_cli.golden.floats import Numbering
from kact_cli.types import Array

NEIGHBOURS = 2
"""How many values on each side of a threshold are taken."""
TIES = 1024
"""How many of the inputs that are hard to round are taken."""


def thresholds(chain: Chain, numbering: Numbering, sample: Array) -> Array:
    """The numbers of the values around each threshold of the chain between those of `sample`.

    A threshold is where what goes into a step crosses 0 or one of the step's parameters, or where
    the result in the tensor's dtype begins to be zero, subnormal, infinite or NaN, the input, or
    what it is at either end. Bisection among the values of the dtype finds it between two
    neighbours in `sample` (rising numbers).
    """
    below, above = sample[:-1], sample[1:]
    before, after = _sides(chain, numbering, below), _sides(chain, numbering, above)
    found = []
    for side in before.keys() & after.keys():
        crossed = before[side] != after[side]
        low, high, known = below[crossed], above[crossed], before[side][crossed]
        while len(low) and (high - low).max() > 1:
            middle = low + ((high - low) >> 1)
            same = _sides(chain, numbering, middle)[side] == known
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        found.append(low)
    edges = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
    around = edges[:, None] + np.arange(1 - NEIGHBOURS, 1 + NEIGHBOURS)
    return np.clip(np.unique(around), numbering.least, numbering.most)


def _sides(chain: Chain, numbering: Numbering, numbers: Array) -> dict[tuple[int, float], Array]:
    """On which side of each threshold the values are, by the step and the threshold."""
    x = numbering.values(numbers)
    sides: dict[tuple[int, float], Array] = {}
    work = x.astype(np.float64)
    for n, step in enumerate(chain.steps):
        values = {v for v in step.arguments.values() if isinstance(v, int | float)}
        for bend in {0.0, *(float(v) for v in values if math.isfinite(v))}:
            sides[n, bend] = (work > bend).astype(np.int8) - (work < bend)
        work = apply(Chain(chain.steps[: n + 1]), x, dtype=np.dtype(np.float64), exact=True)
    result = apply(chain, x, exact=True)
    size, smallest = np.abs(result), np.finfo(numbering.dtype).smallest_normal
    kind = np.where(size < smallest, np.where(size == 0, 0, 1), np.where(size < np.inf, 2, 3))
    ends = apply(chain, numbering.values(np.array([numbering.least, numbering.most])), exact=True)
    of_result = [np.where(np.isnan(result), 4, kind), result == x, *(result == y for y in ends)]
    sides.update({(len(chain.steps), float(n)): side for n, side in enumerate(of_result)})
    return sides


def ties(chain: Chain, numbering: Numbering, candidates: Array) -> Array:
    """Those of the candidates whose exact result is nearest to the middle of two float32.

    There a result that is off by little rounds to the wrong one. Of float64 there are none: an
    exact result has no more digits than its dtype.
    """
    if numbering.bits > 32:
        return np.zeros(0, np.int64)
    x = numbering.values(candidates)
    exact = apply(chain, x, dtype=np.dtype(np.float64), exact=True)
    with np.errstate(all="ignore"):
        nearest = exact.astype(np.float32)
        off = np.abs(exact - nearest) / np.spacing(np.abs(nearest)).astype(np.float64)
    off[~np.isfinite(off)] = 0
    off[np.abs(nearest) < np.finfo(np.float32).smallest_normal] = 0  # nearly all ties, and dull
    hardest = np.argsort(-off, kind="stable")[:TIES]
    return candidates[hardest[off[hardest] > 0]]

"""A sample of the values of float32 or float64 that has every exponent and both signs."""

from __future__ import annotations

import numpy as np

from kact_cli.errors import UsageError
from kact_cli.golden.floats import Numbering
from kact_cli.types import Array

COUNT = 100_000
"""How many values a sample has, unless the user says."""


def strata(numbering: Numbering) -> int:
    """How many sets of values there are that have an exponent and a sign in common.

    The subnormal numbers, zero among them, are one set for each sign.
    """
    return 2 * (numbering.infinity >> numbering.mantissa)


def stratified(numbering: Numbering, count: int, seed: int) -> Array:
    """The numbers (int64) of `count` finite values, each exponent and sign having its share.

    Of each set the value nearest to zero comes first, the one farthest from it second, and the
    others are drawn from as many equal parts of what lies between: none comes twice. Raises
    UsageError for fewer values than there are sets.
    """
    sets = strata(numbering)
    if count < sets:
        raise UsageError(
            f"--count {count:,} is too few: {numbering.dtype} has {sets:,} sets of one exponent "
            "and sign, and each gives a value"
        )
    places = np.arange(count)
    which, nth = places % sets, places // sets
    largest = (1 << numbering.mantissa) - 1
    part = (largest - 1) // max(1, -(-count // sets) - 2)
    drawn = 1 + (nth - 2) * part + random_bits(seed, count, 62) % part
    mantissa = np.where(nth == 0, 0, np.where(nth == 1, largest, drawn))
    magnitude = (which >> 1 << numbering.mantissa) + mantissa
    return np.where(which & 1, ~magnitude, magnitude)


def random_bits(seed: int, count: int, bits: int) -> Array:
    """So many whole numbers (int64) of so many bits, by PCG64: the same in every NumPy."""
    raw = np.random.PCG64(seed).random_raw(count)
    return (raw >> np.uint64(64 - bits)).astype(np.int64)


def spaced(numbering: Numbering, first: float, last: float, count: int) -> Array:
    """`count` values evenly spaced from `first` to `last`, rounded to the dtype."""
    return numbering.rounded(np.linspace(first, last, count))

"""The values of a dtype, numbered in rising order.

Floats of one dtype are numbered by their bits: 0.0 is 0, the smallest positive number 1, and so on
up to infinity; -0.0 is -1, the negative number nearest to it -2, and so on down. Unlike the
distances of `reports.ulp`, the numbers tell the two zeros apart. Integers are their own numbers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kact_cli.engine.bfloat16 import as_bfloat16, as_floats
from kact_cli.types import BFLOAT16, Array

_MANTISSA = {np.dtype("f2"): 10, BFLOAT16: 7, np.dtype("f4"): 23, np.dtype("f8"): 52}


class Numbering(NamedTuple):
    """A dtype and how its values are numbered."""

    dtype: np.dtype[Any]

    @property
    def is_float(self) -> bool:
        return self.dtype in _MANTISSA

    @property
    def bits(self) -> int:
        """The bits of a value."""
        return 8 * self.dtype.itemsize

    @property
    def mantissa(self) -> int:
        """The bits of a float's mantissa."""
        return _MANTISSA[self.dtype]

    @property
    def infinity(self) -> int:
        """The number of the positive infinity: one more than the largest finite value's."""
        return ((1 << (self.bits - 1 - self.mantissa)) - 1) << self.mantissa

    @property
    def least(self) -> int:
        """The number of the smallest finite value."""
        return -self.infinity if self.is_float else int(np.iinfo(self.dtype).min)

    @property
    def most(self) -> int:
        """The number of the largest finite value."""
        return self.infinity - 1 if self.is_float else int(np.iinfo(self.dtype).max)

    def values(self, numbers: Array) -> Array:
        """The values of those numbers (int64)."""
        if not self.is_float:
            return numbers.astype(self.dtype)
        sign = np.int64(-1 << (self.bits - 1))  # of 64 bits: -2**63, which is the sign alone
        bits = np.where(numbers < 0, ~numbers | sign, numbers)
        return bits.astype(f"i{self.dtype.itemsize}").view(self.dtype)

    def numbers(self, values: Array) -> Array:
        """The numbers (int64) of values of this dtype, none of them NaN."""
        if not self.is_float:
            return values.astype(np.int64)
        bits = values.view(f"i{self.dtype.itemsize}").astype(np.int64)
        magnitude = bits & ((1 << (self.bits - 1)) - 1)
        return np.where(bits < 0, ~magnitude, bits)

    def rounded(self, numbers: Array) -> Array:
        """Float64 numbers as values of this dtype, those next to them; integers saturate."""
        if self.dtype == BFLOAT16:
            return as_bfloat16(numbers)
        if self.is_float:
            with np.errstate(over="ignore"):
                return numbers.astype(self.dtype)
        return np.clip(np.rint(numbers), self.least, self.most).astype(self.dtype)

    def wide(self, values: Array) -> Array:
        """Values of this dtype as float64."""
        with np.errstate(invalid="ignore"):  # of a NaN that signals
            return as_floats(values).astype(np.float64)

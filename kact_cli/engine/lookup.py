"""Elementwise results for every value of a dtype of up to 16 bits: there are at most 65,536."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kact_cli.engine import bfloat16, float16
from kact_cli.types import BFLOAT16, Array, every_value

_MINUS_INF = {np.dtype(np.float16): float16.MINUS_INF, BFLOAT16: bfloat16.MINUS_INF}


class LookupTable(NamedTuple):
    """The results of an elementwise function for every value of a dtype, by their bits."""

    values: Array
    rectifies: int
    """The bits of -inf, where the results are those of relu: 0 wherever the sign bit is set, but
    for a NaN with it. Else 0."""

    @classmethod
    def of(
        cls,
        source: np.dtype[Any],
        result: np.dtype[Any],
        function: Callable[[Array, Array], None],
    ) -> LookupTable:
        """Those that `function(x, out)` writes to `out` for every value of `source`."""
        x = every_value(source)
        values = np.empty(x.shape, result)
        function(x, values)
        minus_inf = _MINUS_INF.get(source, 0) if result == source else 0
        if minus_inf:
            rectified = np.maximum(x.view(np.int16), 0)[: minus_inf + 1]
            if not np.array_equal(values.view(np.int16)[: minus_inf + 1], rectified):
                minus_inf = 0
        return cls(values, minus_inf)

    def look_up(self, x: Array, out: Array, scratch: NDArray[np.intp]) -> None:
        """Write the results of x to `out`, which may be x; all are 1-D, contiguous, of one length.

        In the byte order of `source` and `result`.
        """
        numbers = x.view(_unsigned(x.dtype))
        if self.rectifies and numbers.max(initial=0) <= self.rectifies:
            signs = scratch.view(np.int16)[: x.size]
            np.right_shift(x.view(np.int16), 15, out=signs)
            np.invert(signs, out=signs)
            np.bitwise_and(x.view(np.int16), signs, out=out.view(np.int16))
            return
        np.copyto(scratch, numbers)  # `take` would allocate it
        bits = _unsigned(out.dtype)
        self.values.view(bits).take(scratch, out=out.view(bits), mode="wrap")


def _unsigned(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"u{dtype.itemsize}").newbyteorder(dtype.byteorder)

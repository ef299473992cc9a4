"""Float64 to the dtype of an exact result: the number nearest to the exact value, not to float64's.

A float64 carries an error of its own. Nearly always it rounds to the same float32 or float16 as the
exact value does. Where a number a little larger and one a little smaller round differently, the
exact value lies near the middle of two numbers, and the chain is computed once more for it, in
decimal numbers of 120 digits. That happens to one value in some hundred thousand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from kact_cli.activations.arithmetic.wide import Wide, wide
from kact_cli.chain import Step
from kact_cli.engine.bfloat16 import NAN, as_bfloat16, as_floats
from kact_cli.types import BFLOAT16, Array

TOLERANCE = 2.0**-42
"""More than the relative error of a float64, however many steps of a usual chain it comes from."""


def round_exactly(
    work: Array,
    x: Array,
    out: Array,
    steps: Sequence[Step],
    tensor: np.dtype[Any],
    buffer: Callable[[str, np.dtype[Any], int], Array],
) -> None:
    """Round `work`, what elementwise steps gave for `x` in float64, into `out`; all are 1-D.

    `out` may be `x`; `tensor` is the dtype that parameters are rounded to; `buffer` gives one of a
    name, dtype and size.
    """
    result = out.dtype.newbyteorder("=")
    held = np.dtype(np.float32) if result == BFLOAT16 else result
    scaled = buffer("tmp", work.dtype, work.size)
    rounded, larger = (buffer(name, held, work.size) for name in ("smaller", "larger"))
    for factor, target in ((1 - TOLERANCE, rounded), (1 + TOLERANCE, larger)):
        np.multiply(work, factor, out=scaled)
        found = _rounded(scaled, result) if result == BFLOAT16 else scaled
        np.copyto(target, found, casting="unsafe")
    unsure = np.flatnonzero(rounded != larger)
    # NaN is unlike NaN
    unsure = unsure[~np.isnan(work[unsure])]
    if unsure.size:
        inputs, first, back = np.unique(
            as_floats(x[unsure]), return_index=True, return_inverse=True
        )
        exact = recompute(inputs, steps, tensor)
        smaller = rounded[unsure[first]]
        steps_ = np.spacing(np.abs(smaller)).astype(float)
        if result == BFLOAT16:
            steps_ *= 1 << 16  # the digits that a float32 has more
        nearest = [
            _nearest(e, float(s), step) for e, s, step in zip(exact, smaller, steps_, strict=True)
        ]
        rounded[unsure] = _rounded(np.array(nearest), result)[back.reshape(-1)]
    np.copyto(out, as_bfloat16(rounded) if result == BFLOAT16 else rounded)


def _rounded(x: Array, dtype: np.dtype[Any]) -> Array:
    """Float64 rounded to a dtype; what is rounded to bfloat16 as float32."""
    return as_floats(as_bfloat16(x)) if dtype == BFLOAT16 else x.astype(dtype)


def narrow_to_odd(work: Array) -> Array:
    """Float64 as float32, with what is cut off kept as a last digit of 1, if it is not 0.

    Rounded once more to float16, that gives what float64 itself would be rounded to.
    """
    below = (1 << 29) - 1
    bits = work.view(np.int64)
    cut = bits & below
    cut += below
    cut |= bits
    cut &= ~below
    return cut.view(np.float64).astype(np.float32)


def one_nan(out: Array) -> None:
    """Give every NaN the same bits, which otherwise tell one kind of processor from another."""
    if out.dtype == BFLOAT16:
        out.view(np.uint16)[np.isnan(as_floats(out))] = NAN
    elif out.dtype.kind == "f" and np.isnan(out.max(initial=0)):
        out[np.isnan(out)] = np.nan


def recompute(x: Array, steps: Sequence[Step], tensor: np.dtype[Any]) -> list[Decimal]:
    """What the steps give for each x, to a hundred digits or so."""
    numbers = np.array([Decimal(value) for value in x.tolist()], object)
    scratch: Array = np.zeros_like(numbers)
    m = Wide(tensor)
    with wide():
        for step in steps:
            values = {
                name: Decimal(value) if isinstance(value, float) else value
                for name, value in step.arguments.items()
            }
            step.activation.kernel(numbers, scratch, m, **values)
    return [Decimal(number) for number in numbers]


def _nearest(exact: Decimal, smaller: float, step: float) -> float:
    """The number nearest to `exact`, which lies between `smaller` and the next one away from 0.

    That one is `step` away. In the middle of both it is the middle, for rounding to even.
    """
    middle = abs(smaller) + step / 2
    size = exact.copy_abs()  # abs() would round it
    if size < middle:
        return smaller
    return math.copysign(middle if size == middle else abs(smaller) + step, float(exact))

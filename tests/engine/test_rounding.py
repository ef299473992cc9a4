"""Rounding to the number that is nearest to the exact value, where float64 cannot tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kact_cli import apply
from kact_cli.chain import Chain
from kact_cli.engine.rounding import (
    TOLERANCE,
    narrow_to_odd,
    one_nan,
    recompute,
    round_exactly,
)

TANH = Chain.parse("tanh").steps
FLOAT32 = np.dtype(np.float32)


def fresh(name: str, dtype: Any, size: int) -> Any:
    return np.empty(size, dtype)


def rounded(work: Any, x: Any, chain: str, dtype: Any = np.float32) -> Any:
    out = np.empty(len(x), dtype)
    with np.errstate(all="ignore"):
        round_exactly(np.array(work), np.array(x), out, Chain.parse(chain).steps, FLOAT32, fresh)
    return out


def test_a_float64_on_the_wrong_side_of_a_middle_is_put_right() -> None:
    x = np.random.default_rng(0).uniform(0.1, 3, 400_000).astype(np.float32)
    y = apply("tanh", x.astype(np.float64), exact=True)
    low, high = (y * (1 - TOLERANCE)).astype("f4"), (y * (1 + TOLERANCE)).astype("f4")
    near = np.flatnonzero(low != high)
    assert near.size
    middle = (low[near].astype("f8") + high[near]) / 2
    exact = recompute(x[near], TANH, FLOAT32)
    want = [
        h if e > m else w for e, m, w, h in zip(exact, middle, low[near], high[near], strict=True)
    ]
    for side in (-1, 1):
        work = middle * (1 + side * TOLERANCE / 4)
        np.testing.assert_array_equal(rounded(work, x[near], "tanh"), np.array(want, np.float32))


@pytest.mark.parametrize("sign", [1, -1])
def test_a_value_in_the_middle_goes_to_the_even_neighbour(sign: int) -> None:
    x = np.arange(1, 9, dtype=np.uint32).view(np.float32) * np.float32(-sign)
    with np.errstate(all="ignore"):
        want = (x.astype(np.float64) * 0.5 * sign).astype(np.float32)
        work = x.astype(np.float64) * 0.5 * sign
    np.testing.assert_array_equal(rounded(work, x, f"relu(alpha={0.5 * sign})")[x < 0], want[x < 0])


def test_overflow_begins_half_a_step_above_the_largest_number() -> None:
    x = np.array([88.72283, 88.722839, 88.72284, 89], np.float32)
    with np.errstate(all="ignore"):
        want = np.exp(x.astype(np.float64)).astype(np.float32)
        np.testing.assert_array_equal(apply("exponential", x, exact=True), want)
    assert np.isinf(want[-1])


def test_equal_inputs_are_computed_once_more_together() -> None:
    x = np.full(3_000_000, 2.0**-24, np.float32)
    got = apply("exponential", x, exact=True)
    assert set(got.tolist()) == {1 + 2.0**-23}


def test_float16_by_way_of_float32_is_rounded_once() -> None:
    rng = np.random.default_rng(1)
    halves = np.arange(0x7BFF, dtype=np.uint16).view(np.float16).astype(np.float64)
    middles = (halves[:-1] + halves[1:]) / 2
    near = np.concatenate([middles * (1 + d) for d in (0, 2.0**-40, -(2.0**-40), 2.0**-52)])
    ends = [0.0, -0.0, np.inf, np.nan, 1e300, 65519.99, 65520.0]
    x = np.concatenate([near, -near, rng.standard_normal(1000) * 1e-6, ends])
    with np.errstate(all="ignore"):
        got, want = narrow_to_odd(x).astype(np.float16), x.astype(np.float16)
    np.testing.assert_array_equal(got, want)


def test_every_nan_becomes_the_same() -> None:
    x = np.array([np.nan, 1, 2], np.float32)
    x.view(np.uint32)[0] = 0xFFC00001
    one_nan(x)
    assert x.view(np.uint32)[0] == 0x7FC00000
    assert x[1:].tolist() == [1, 2]

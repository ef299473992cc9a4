"""Where terms nearly cancel, and at the ends of thresholds: no digits are lost, no zero is odd."""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from kact_cli import apply
from kact_cli.activations.arithmetic.floating import to_odd
from kact_cli.chain import Chain
from kact_cli.engine.rounding import recompute
from tests.tools.numbers import Array

INF, NAN = math.inf, math.nan
FLOATS = [np.float32, np.float64]


def largest_error(chain: str, x: Array, got: Array) -> float:
    """The largest error in ULP against a hundred digits."""
    most = 0.0
    with localcontext(Context(prec=60)):
        for value, exact in zip(got, recompute(x, Chain.parse(chain).steps, x.dtype), strict=True):
            ulp = Decimal(float(np.spacing(np.abs(x.dtype.type(exact)))))
            most = max(most, float(abs(Decimal(float(value)) - exact) / ulp))
    return most


def around(value: float, dtype: Any) -> Array:
    """Numbers at and around one, from the next to the far ones."""
    steps = np.concatenate([np.arange(-40, 41), np.geomspace(40, 1e6, 40), [-1e6, 1e7]])
    return (value + steps * float(np.spacing(dtype(value)))).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("chain", "zero"),
    [
        ("hard_sigmoid", -2.5),
        ("hard_sigmoid(alpha=1/6)", -3.0),
        ("rescaling(scale=0.3,offset=0.7)", -0.7 / 0.3),
        ("rescaling(scale=-1e-3,offset=1/3)", 1e3 / 3),
        ("rescaling(scale=0.1,offset=1e-30)", -1e-29),
    ],
)
def test_a_straight_line_keeps_its_digits_where_it_crosses_zero(
    chain: str, zero: float, dtype: Any
) -> None:
    x = around(zero, dtype)
    assert largest_error(chain, x, apply(chain, x)) <= 4
    limit = 0.5 if dtype == np.float32 else 2
    assert largest_error(chain, x, apply(chain, x, exact=True)) <= limit


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e-300, 1e300, INF, NAN])
@pytest.mark.parametrize("offset", [0.0, 2.0, 1e300, -INF, NAN])
def test_a_straight_line_of_odd_parameters(scale: float, offset: float, exact: bool) -> None:
    x = np.array([-INF, -1, 0, 1e-3, 7, INF, NAN])
    chain = f"rescaling(scale={scale!r},offset={offset!r})"
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(apply(chain, x, exact=exact), x * scale + offset, rtol=1e-15)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("chain", "want"),
    [
        ("hard_shrink", [-INF, -0.75, 0, 0, 0, 0, 0, 0.75, INF, NAN]),
        ("hard_shrink(0)", [-INF, -0.75, -0.5, -0.25, 0, 0, 0.5, 0.75, INF, NAN]),
        ("hard_shrink(inf)", [0, 0, 0, 0, 0, 0, 0, 0, 0, NAN]),
        ("hard_shrink(-1)", [-INF, -0.75, -0.5, -0.25, 0, 0, 0.5, 0.75, INF, NAN]),
        ("soft_shrink", [-INF, -0.25, 0, 0, 0, 0, 0, 0.25, INF, NAN]),
        ("soft_shrink(0)", [-INF, -0.75, -0.5, -0.25, 0, 0, 0.5, 0.75, INF, NAN]),
        ("soft_shrink(inf)", [0, 0, 0, 0, 0, 0, 0, 0, 0, NAN]),
        ("soft_shrink(-1)", [-INF, 0.25, 0.5, 0.75, 1, 1, 1.5, 1.75, INF, NAN]),
    ],
)
def test_shrinkage(chain: str, want: list[float], dtype: Any, exact: bool) -> None:
    x = np.array([-INF, -0.75, -0.5, -0.25, -0.0, 0, 0.5, 0.75, INF, NAN], dtype)
    got = apply(chain, x, exact=exact)
    np.testing.assert_array_equal(got, np.array(want, dtype))
    if chain in ("hard_shrink", "soft_shrink"):
        assert not np.signbit(got[got == 0]).any()


@pytest.mark.parametrize(
    ("chain", "low", "high"),
    [
        ("gelu(true)", -21, 3),
        ("gelu(true)", -21.3, -20.5),
        ("silu", -745, 3),
        ("silu(alpha=0.7)", -1000, 3),
        ("mish", -40, 3),
        ("tanh_shrink", -3, 3),
    ],
)
def test_float64_keeps_its_digits_in_the_tails(chain: str, low: float, high: float) -> None:
    x = np.random.default_rng(8).uniform(low, high, 400)
    assert largest_error(chain, x, apply(chain, x)) <= 3
    assert largest_error(chain, x, apply(chain, x, exact=True)) <= 2


def test_x_less_nearly_1_is_not_x_less_1() -> None:
    x = np.arange(2**24 + 2, 2**25, 2**20 + 2, dtype=np.float32)
    for tensor in (x, -x, np.arange(2050, 4096, 2, dtype=np.float16)):
        np.testing.assert_array_equal(apply("tanh_shrink", tensor, exact=True), tensor)


def test_silu_is_within_4_ulp_where_exp_is_no_float() -> None:
    x = np.linspace(-95, -78, 40_000, dtype=np.float32)
    want = apply("silu", x.astype(np.float64), exact=True)
    ulp = np.spacing(np.abs(want).astype(np.float32))
    assert float((np.abs(apply("silu", x) - want) / ulp).max()) <= 4


def test_a_sum_rounded_to_odd_is_rounded_once() -> None:
    rng = np.random.default_rng(9)
    middle = 1 + (2 * rng.integers(0, 1 << 22, 2000) + 1) * 2.0**-24
    x = middle * rng.choice([-1, 1], 2000)
    lost = rng.choice([-(2.0**-60), 0, 2.0**-60], 2000)
    odd = x.copy()
    to_odd(odd, lost)
    larger = np.nextafter(x.astype(np.float32), np.copysign(np.float32(INF), x.astype(np.float32)))
    smaller = np.nextafter(x.astype(np.float32), np.float32(0))
    for number, rest, got in zip(x, lost, odd.astype(np.float32), strict=True):
        exact = Decimal(float(number)) + Decimal(float(rest))
        near = [np.float32(number), *larger[x == number][:1], *smaller[x == number][:1]]
        best = min(abs(Decimal(float(candidate)) - exact) for candidate in near)
        assert abs(Decimal(float(got)) - exact) == best

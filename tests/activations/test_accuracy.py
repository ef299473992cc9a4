"""The largest error of each activation in ULP. Run as a script, it prints the README's table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from kact_cli.activations import ACTIVATIONS
from tests.tools.numbers import (
    ELEMENTWISE,
    Array,
    apply,
    exactly,
    is_normal,
    run_kernel,
    ulp_error,
    ulp_in_decimal,
)

LIMIT = 4.0
ALL_FLOAT16 = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def bit_patterns(each: int, seed: int = 0) -> Iterator[Array]:
    """Float32 tensors, one for each sign and exponent: `each` mantissas, both ends among them."""
    rng = np.random.default_rng(seed)
    for sign_and_exponent in range(1 << 9):
        mantissas = rng.integers(0, 1 << 23, each, dtype=np.uint32)
        mantissas[:3] = 0, 1, (1 << 23) - 1
        yield (mantissas | np.uint32(sign_and_exponent << 23)).view(np.float32)


def float64_sample(count: int) -> Array:
    """Float64 of every size that matters, near 0 and near the ends of exp's range among them."""
    rng = np.random.default_rng(1)
    size = np.exp2(rng.uniform(-1074, 10, count // 4))
    parts = [size, rng.uniform(0, 750, count // 4), rng.uniform(0, 40, count // 4)]
    return np.concatenate([sign * part for part in parts for sign in (1, -1)])


def errors(name: str, x: Array) -> tuple[float, float]:
    """The largest error in ULP where the exact result is normal, and where it is subnormal."""
    with np.errstate(all="ignore"):
        exact = exactly(name, x.astype(np.float64))
        error = ulp_error(apply(name, x), exact)
        normal = is_normal(exact, x.dtype)
        small = np.abs(exact) < float(np.finfo(x.dtype).smallest_normal)
    return float(error[normal].max(initial=0)), float(error[small].max(initial=0))


def largest_errors(name: str, each: int) -> tuple[float, float]:
    """`errors` over float32 bit patterns."""
    normal, small = zip(*(errors(name, x) for x in bit_patterns(each)), strict=True)
    return max(normal), max(small)


def largest_float64_error(name: str, count: int) -> float:
    """The largest error in ULP over a sample of float64, against 60-digit decimals."""
    x = float64_sample(count)
    result = run_kernel(ACTIVATIONS[name], x)
    return max(
        ulp_in_decimal(name, *pair) for pair in zip(x.tolist(), result.tolist(), strict=True)
    )


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_float16_is_within_the_limit(name: str) -> None:
    normal, small = errors(name, ALL_FLOAT16)
    assert normal <= 0.51  # computed in float32 and rounded once
    assert small <= 0.51


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_two_million_float32_are_within_the_limit(name: str) -> None:
    normal, small = largest_errors(name, 1 << 12)
    assert normal <= LIMIT
    assert small <= 2


def test_silu_where_exp_overflows() -> None:
    """The worst that all float32 have shown: 4.06 ULP, when exp(87) was computed there."""
    x = np.array([-89.06398, -89.76433, -91.1584, -87.65761, -88.38624, -90.46566], np.float32)
    assert max(errors("silu", x)) <= 3.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sixteen_million_float32_are_within_the_limit(name: str) -> None:
    normal, small = largest_errors(name, 1 << 15)
    assert normal <= LIMIT
    assert small <= 2


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_float64_is_within_the_limit(name: str) -> None:
    assert largest_float64_error(name, 1200) <= LIMIT


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_what_float32_is_compared_with_is_the_declared_formula(name: str) -> None:
    x = np.concatenate([part[:4] for part in bit_patterns(4)])
    x = x[np.abs(x) < 2000].astype(np.float64)
    pairs = zip(x.tolist(), exactly(name, x).tolist(), strict=True)
    assert max(ulp_in_decimal(name, *p) for p in pairs) < 2


def main() -> None:
    print("| activation | float16 | float32 | float64 |\n|---|---|---|---|")
    for name in ELEMENTWISE:
        half, _ = errors(name, ALL_FLOAT16)
        single, _ = largest_errors(name, 1 << 15)
        print(f"| {name} | {half:.2f} | {single:.2f} | {largest_float64_error(name, 5_000):.2f} |")


if __name__ == "__main__":
    main()

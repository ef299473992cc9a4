"""The functions made of IEEE operations: their errors, odd inputs, and which are chosen."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
import pytest

from kact_cli.activations.arithmetic.basic import Basic
from kact_cli.activations.arithmetic.wide import Wide, wide
from tests.tools.numbers import Array
from tests.tools.run import environment

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
NAN, INF = math.nan, math.inf

# The largest error in ULP that each may have, and where it is defined
LIMITS = {
    ("exp", FLOAT32): (1.2, -103, 88),
    ("expm1", FLOAT32): (2.5, -110, 0),
    ("log1p", FLOAT32): (1.9, 0, 1),
    ("tanh", FLOAT32): (2.6, -20, 20),
    ("exp", FLOAT64): (0.51, -745, 709),
    ("expm1", FLOAT64): (1.9, -750, 0),
    ("log1p", FLOAT64): (1.9, 0, 1),
    ("tanh", FLOAT64): (1.1, -20, 20),
}


def sample(low: float, high: float, dtype: Any) -> Array:
    """Numbers between these of every size, more of them near 0."""
    rng = np.random.default_rng(0)
    size = np.concatenate([rng.uniform(0, 1, 600), rng.uniform(0, 0.02, 600)])
    size = np.concatenate([size, np.exp2(rng.uniform(-40, 0, 600)), [1.0]])
    return np.concatenate([part * end for part in (size,) for end in (low, high)]).astype(dtype)


def error(function: str, x: float, y: float, dtype: Any) -> float:
    """The error of y in ULP."""
    numbers = np.array([Decimal(x)], object)
    with wide():
        getattr(Wide(FLOAT64), function)(numbers, numbers)
    with localcontext(Context(prec=60)):
        exact = Decimal(numbers[0])
        ulp = abs(float(np.spacing(dtype.type(float(exact)))))
        return float(abs(Decimal(y) - exact) / Decimal(ulp))


@pytest.mark.parametrize(("function", "dtype"), LIMITS, ids=str)
def test_error_is_within_the_limit(function: str, dtype: Any) -> None:
    limit, low, high = LIMITS[function, dtype]
    x = sample(low, high, dtype)
    y = x.copy()
    getattr(Basic(dtype), function)(y, y)
    assert (
        max(error(function, *pair, dtype) for pair in zip(x.tolist(), y.tolist(), strict=True))
        < limit
    )


def test_expm1_can_be_more_careful() -> None:
    x = sample(-40, 0, FLOAT64)
    y = x.copy()
    Basic(FLOAT64, careful=True).expm1(y, y)
    pairs = zip(x.tolist(), y.tolist(), strict=True)
    assert max(error("expm1", *pair, FLOAT64) for pair in pairs) < 1.5


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize(
    ("function", "x", "want"),
    [
        ("exp", [-INF, INF, NAN, 0, -0.0, 1e38, -1e38], [0, INF, NAN, 1, 1, INF, 0]),
        ("expm1", [-INF, 5, NAN, 0, -0.0, -1e38], [-1, 0, NAN, 0, 0, -1]),
        ("log1p", [0, NAN], [0, NAN]),
        ("tanh", [-INF, INF, NAN, 0, 1e38, -1e38, 1e-40], [-1, 1, NAN, 0, 1, -1, 1e-40]),
    ],
)
def test_odd_inputs(function: str, x: list[float], want: list[float], dtype: Any) -> None:
    with np.errstate(all="ignore"):
        y = np.array(x, dtype)
        getattr(Basic(dtype), function)(y, y)
    np.testing.assert_array_equal(y, np.array(want, dtype))


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("function", ["exp", "expm1", "log1p", "tanh"])
def test_a_value_has_one_result_whatever_its_neighbours(function: str, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 1, 70_000).astype(dtype)
    with np.errstate(all="ignore"):
        y, z = x.copy(), np.append(x, dtype.type(NAN))
        getattr(Basic(dtype), function)(y, y)
        getattr(Basic(dtype), function)(z, z)
    np.testing.assert_array_equal(y, z[:-1])


FEATURES: dict[str, Callable[[set[str]], bool]] = {
    "": lambda names: "exp" in names,
    "X86_V3 X86_V4 AVX2 FMA3 AVX512F AVX512_SKX": lambda names: names == {"exp"},
}


@pytest.mark.skipif("sys.platform != 'linux'")
@pytest.mark.parametrize("disabled", FEATURES)
def test_the_choice_follows_the_features_that_numpy_uses(disabled: str) -> None:
    script = "from kact_cli.activations.arithmetic.fast import *; print(*sorted(vectorised()))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=environment(NPY_DISABLE_CPU_FEATURES=disabled),
        capture_output=True,
        text=True,
        check=True,
    )
    names = set(done.stdout.split())
    from numpy._core import _multiarray_umath

    if _multiarray_umath.__cpu_features__.get("ASIMD"):
        assert "tanh" in names
    else:
        assert FEATURES[disabled](names)

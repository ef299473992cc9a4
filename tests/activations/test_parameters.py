"""Parameters that are far off: beyond float32, and infinite."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from kact_cli import apply

X = [-math.inf, -2.0, -1e-3, 0.0, 1.0, math.inf, math.nan]
INF = math.inf


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "chain",
    [
        "elu(alpha=1e39)",
        "elu(alpha=-1e300)",
        "relu(alpha=1e39)",
        "relu(alpha=1e-46)",
        "leaky_relu(1e39),relu6",
        "celu(alpha=1e-46)",
        "celu(alpha=-1e-46)",
        "celu(alpha=1e300)",
        "silu(alpha=1e39)",
        "squareplus(b=1e39)",
        "rescaling(scale=1e39)",
        "rescaling(scale=1e39),rescaling(scale=1e-39)",
        "rescaling(scale=-1e39,offset=1e39)",
        "rescaling(scale=1e39),rescaling(scale=1e-40,offset=1e-40)",
        "threshold(default_value=1e39)",
        "hard_sigmoid(alpha=1e39)",
    ],
)
def test_what_float32_does_not_hold_is_computed_in_float64(
    chain: str, dtype: Any, exact: bool
) -> None:
    x = np.array(X, dtype)
    with np.errstate(over="ignore"):
        want = apply(chain, x.astype(np.float64)).astype(dtype)
    np.testing.assert_array_equal(apply(chain, x, exact=exact), want)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("chain", "want"),
    [
        ("celu(alpha=inf)", X),
        ("celu(alpha=-inf)", X),
        ("squareplus(b=inf)", [math.nan, INF, INF, INF, INF, INF, math.nan]),
        ("soft_shrink(threshold=inf)", [0, 0, 0, 0, 0, 0, math.nan]),
        ("hard_shrink(threshold=inf)", [0, 0, 0, 0, 0, 0, math.nan]),
        ("relu(max_value=inf)", [0, 0, 0, 0, 1, INF, math.nan]),
    ],
)
def test_infinite_ones(chain: str, want: list[float], dtype: Any, exact: bool) -> None:
    got = apply(chain, np.array(X, dtype), exact=exact)
    np.testing.assert_array_equal(got, np.array(want, dtype))


@pytest.mark.parametrize(
    ("given", "want"),
    [("float64", "f8"), (np.float64, "f8"), ("<f2", "f2"), (np.dtype("f4"), "f4")],
)
def test_a_dtype_in_any_form_that_numpy_takes(given: Any, want: str) -> None:
    assert apply("tanh", [0.1], dtype=given).dtype == np.dtype(want)


@pytest.mark.parametrize("given", ["float32", np.float32])
def test_a_dtype_to_compute_in_too(given: Any) -> None:
    got = apply("tanh", [0.1], compute_dtype=given)
    assert got.dtype == np.float64
    assert got[0] == np.float32(got[0])


def test_bfloat16_by_its_name() -> None:
    got = apply("linear", np.array([1.0, -2.0], np.float32), dtype="bfloat16")
    assert got.view(np.uint16).tolist() == [0x3F80, 0xC000]

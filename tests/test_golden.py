"""The 43 cases that tf_keras itself computed (tests/golden), at the level of the kernels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import Array, apply

GOLDEN = Path(__file__).parent / "golden"
CASES = json.loads((GOLDEN / "keras_golden.json").read_text())["cases"]
ARRAYS = np.load(GOLDEN / "keras_golden.npz")


def value(v: Any) -> Any:
    match v:
        case {"float": text}:
            return float(text)
        case {"tuple": items}:
            return tuple(items)
    return v


def passes(got: Array, want: Array, max_ulp: int, atol: float, signed_zero: bool) -> Array:
    if got.dtype.kind in "iu":
        return np.equal(got, want)
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.longdouble) - want.astype(np.longdouble))
        near = (error <= max_ulp * np.spacing(np.abs(want))) | (error <= atol)
    same = near | (got == want) | (np.isnan(got) & np.isnan(want))
    sign = np.signbit(got) == np.signbit(want)
    passed: Array = same & (sign | (want != 0) | (not signed_zero))
    return passed


def test_there_are_43_cases() -> None:
    assert len(CASES) == 43


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_gives_what_keras_gives(case: dict[str, Any]) -> None:
    kwargs = {k: value(v) for k, v in case["kwargs"].items()}
    x = ARRAYS[case["input"]]
    if case["raises"]:
        with pytest.raises(np.exceptions.AxisError):
            apply(case["function"], x, **kwargs)
        return
    got = apply(case["function"], x, **kwargs)
    assert got.dtype == np.dtype(case["out_dtype"])
    assert got.shape == x.shape
    want, ref = ARRAYS[case["output"]], ARRAYS[case["ref"]]
    assert np.all(passes(got, want, **case["compare"]) | passes(got, ref, **case["compare"]))

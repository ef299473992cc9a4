"""What Keras 3 and tf_keras computed (`tests.golden.make`) comes out of the functions by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli import activations
from tests.tools.numbers import Array, ulp_error

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = json.loads((GOLDEN / "vocabulary.json").read_text())["cases"]
ARRAYS = dict(np.load(GOLDEN / "vocabulary.npz"))


def given(case: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a case: JSON has no tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in case["kwargs"].items()}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_as_keras(case: dict[str, Any]) -> None:
    x, keras, ref = (ARRAYS[f"{case['name']}__{part}"] for part in ("x", "y", "ref"))
    y = getattr(activations, case["function"])(x, **given(case))
    assert (y.dtype, y.shape) == (keras.dtype, keras.shape)
    ordinary = np.isfinite(x)
    np.testing.assert_array_equal(y[~ordinary], keras[~ordinary])
    y, keras, ref = y[ordinary], keras[ordinary], ref[ordinary]
    rules = case["compare"]
    far = np.minimum(ulps(y, keras), ulps(y, ref)) > rules["max_ulp"]
    far &= np.abs(y.astype("f8") - ref) > rules["atol"]
    assert not far.any(), x[ordinary][far]
    near = np.abs(y.astype("f8") - keras) / np.maximum(1, np.abs(x[ordinary].astype("f8")))
    assert near.max(initial=0) <= rules["near"], x[ordinary][near > rules["near"]]


def ulps(y: Array, wanted: Array) -> Array:
    return ulp_error(y, wanted.astype(np.float64))


def test_every_activation_of_keras_has_a_case() -> None:
    nine = json.loads((GOLDEN / "keras_golden.json").read_text())["cases"]
    of_keras = {n for n, a in activations.ACTIVATIONS.items() if "keras." in a.notes}
    assert {c["function"] for c in [*CASES, *nine]} == of_keras

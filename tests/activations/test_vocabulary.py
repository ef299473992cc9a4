"""What Keras 3 and tf_keras computed (`tests.golden.make`) comes out of the functions by name."""

from __future__ import annotations

import doctest
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli import activations, apply
from kact_cli.errors import DataError, UsageError
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


X = [[-3.0, -0.5], [0.0, 2.0]]


@pytest.mark.parametrize(
    ("call", "chain"),
    [
        (lambda: activations.gelu(X, True), "gelu(approximate=true)"),
        (lambda: activations.gelu(X, approximate=np.bool_(True)), "gelu(true)"),
        (lambda: activations.swish(X), "silu"),
        (lambda: activations.Leaky_ReLU(X, alpha=0.3), "leaky_relu(0.3)"),
        (lambda: activations.leaky_relu(x=X, negative_slope="1/3"), "leaky_relu(1/3)"),
        (lambda: activations.relu(X, max_value=None, threshold=np.float32(0.5)), "relu(0,none,.5)"),
        (lambda: activations.softmax(X, axis=[0, 1]), "softmax(axis=none)"),
        (lambda: activations.log_softmax(X, np.int64(0)), "log_softmax(0)"),
        (lambda: activations.softmax(X, axis=np.array([0, 1])), "softmax(axis=none)"),
        (lambda: activations.relu(X, alpha=np.array([0.5]), max_value=True), "relu(0.5,1)"),
        (lambda: activations.gelu(X, approximate=1), "gelu(true)"),
    ],
)
def test_functions_by_name_are_chains_of_one_step(call: Any, chain: str) -> None:
    np.testing.assert_array_equal(call(), apply(chain, X))


def test_functions_are_documented() -> None:
    assert str(inspect.signature(activations.gelu)) == "(x, approximate=False)"
    assert "erf(x / sqrt(2))" in activations.gelu.__doc__
    assert {"gelu", "sparsemax", "activation"} <= {*dir(activations)}
    assert doctest.testmod(activations).attempted > 1
    assert doctest.testmod(activations).failed == 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: activations.gelu(X, approximate="tanh"), UsageError, "true or false"),
        (lambda: activations.gelu(X, 1, 2), TypeError, "too many"),
        (lambda: activations.gelu(X, alpha=1), TypeError, "alpha"),
        (lambda: activations.leaky_relu(X, alpha=0.5, negative_slope=0.1), TypeError, "multiple"),
        (lambda: activations.leaky_relu(X, 0.5, alpha=0.1), TypeError, "multiple"),
        (lambda: activations.softmax(X, axis=1.0), TypeError, "an integer, a tuple or None, not 1"),
        (lambda: activations.softmax(X, axis=True), TypeError, "axis takes an integer"),
        (lambda: activations.softmax(X, axis=(0, 1.0)), TypeError, "axis takes an integer"),
        (lambda: activations.gelu(X, approximate=None), TypeError, "True or False, not None"),
        (lambda: activations.gelu(X, approximate=[]), TypeError, "True or False"),
        (lambda: activations.gelu(X, approximate=2), TypeError, "True or False"),
        (lambda: activations.relu(X, alpha=None), TypeError, "alpha takes a number, not None"),
        (lambda: activations.relu(X, max_value=1j), TypeError, "a number or None, not 1j"),
        (lambda: activations.relu(X, alpha=np.ones(2)), TypeError, "alpha takes a number"),
        (lambda: activations.softmax(X, axis=2), UsageError, "out of range"),
        (lambda: activations.gelu(["a"]), DataError, "dtype"),
        (lambda: activations.glu(X), AttributeError, "glu"),
        (lambda: activations._private, AttributeError, "_private"),
    ],
)
def test_what_is_no_call(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()

"""Have Keras 3 and tf_keras compute what kact has beside the nine activations of keras_golden.

    pip install -e '.[golden]' && python -m tests.golden.make

It writes vocabulary.json and vocabulary.npz beside this file; the tests need nothing but these. A
case is a call, the tensor given, what Keras returned, and the declared formula in decimal numbers
(along an axis: Keras in float64), rounded once. The tensors are those of Keras's own tests, drawn
from the same ranges, and the tails, where Keras's kernels lose digits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kact_cli.activations import ACTIVATIONS
from tests.tools.formulas import decimal_value

# Without the second, JAX and so Keras compute float64 in float32
os.environ |= {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1"}
PLACE = Path(__file__).parent
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Call:
    """A function of Keras, and the same one of kact with what it takes."""

    keras: str
    function: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    keras_kwargs: dict[str, Any] | None = None
    """Where they differ from `kwargs`."""
    odd: tuple[float, ...] = (np.inf, -np.inf, np.nan)
    """What is no ordinary number, and Keras gives the same for."""


# Keras makes a number of NaN; and loses all digits of squareplus far below 0
NO_NAN, FINITE = (np.inf, -np.inf), (np.inf, np.nan)
SIXTH = {"alpha": 1 / 6}
ELEMENTWISE = (
    Call("tf_keras.activations.gelu", "gelu"),
    Call("tf_keras.activations.gelu", "gelu", {"approximate": True}),
    Call("tf_keras.activations.hard_sigmoid", "hard_sigmoid"),
    Call("tf_keras.activations.linear", "linear"),
    Call("tf_keras.activations.mish", "mish"),
    Call("tf_keras.activations.swish", "silu"),
    Call("keras.activations.gelu", "gelu"),
    Call("keras.activations.gelu", "gelu", {"approximate": True}),
    Call("keras.activations.hard_sigmoid", "hard_sigmoid", SIXTH, {}),
    Call("keras.activations.linear", "linear"),
    Call("keras.activations.mish", "mish"),
    Call("keras.activations.silu", "silu"),
    Call("keras.activations.hard_silu", "hard_silu"),
    Call("keras.activations.leaky_relu", "leaky_relu"),
    Call("keras.activations.leaky_relu", "leaky_relu", {"negative_slope": 0.01}),
    Call("keras.activations.leaky_relu", "leaky_relu", {"negative_slope": 0.3}),
    Call("keras.activations.relu6", "relu6"),
    Call("keras.activations.celu", "celu"),
    Call("keras.activations.celu", "celu", {"alpha": 0.5}),
    Call("keras.activations.log_sigmoid", "log_sigmoid"),
    Call("keras.activations.hard_tanh", "hard_tanh"),
    Call("keras.activations.hard_shrink", "hard_shrink", odd=NO_NAN),
    Call("keras.activations.hard_shrink", "hard_shrink", {"threshold": 0.3}, odd=NO_NAN),
    Call("keras.activations.soft_shrink", "soft_shrink", odd=NO_NAN),
    Call("keras.activations.soft_shrink", "soft_shrink", {"threshold": 0.3}, odd=NO_NAN),
    Call("keras.activations.tanh_shrink", "tanh_shrink"),
    Call(
        "keras.activations.threshold",
        "threshold",
        {"threshold": 0.1, "default_value": -20.0},
        odd=NO_NAN,
    ),
    Call("keras.activations.squareplus", "squareplus", odd=FINITE),
    Call("keras.activations.squareplus", "squareplus", {"b": 0.5}, odd=FINITE),
    Call("keras.activations.sparse_plus", "sparse_plus"),
    Call("keras.activations.sparse_sigmoid", "sparse_sigmoid"),
    Call("keras.layers.Rescaling", "rescaling", {"scale": 0.5}),
    Call("keras.layers.Rescaling", "rescaling", {"scale": 1 / 127.5, "offset": -1.0}),
)
SHAPES: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((5,), -1), ((2, 5), 0), ((2, 5), -1), ((2, 3, 5), (1, 2)), ((2, 3, 4, 5), 2), ((3, 40), -1),
)  # fmt: skip
# How far Keras itself may be away, times x where that is larger than 1
NEAR = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-14}


def near(call: Call, dtype: str) -> float:
    """How far Keras may be away: tf_keras has constants of float32 in a gelu of float64."""
    rough = call.function == "gelu" and call.keras.startswith("tf_keras")
    return 1e-8 if rough and dtype == "float64" else NEAR[dtype]


def tensors(call: Call) -> Iterator[tuple[str, Array]]:
    """What an elementwise function is given, by a name."""
    rng = np.random.default_rng(15)
    ranges = [(0, 1, 10), (-1, 1, 10), (10, 100, 10), (-100, -10, 10), (-1e-7, 1e-7, 10)]
    drawn = np.concatenate([rng.uniform(*r) for r in ranges])
    cube = rng.uniform(-10, 10, (3, 3, 3))
    ends = [-10, -5, 0, 5, 10, 12, -3, 3, -2.5, 2.5, 1, -1, 0.5, -0.5, 6, 1e-30, -1e-30]
    tails = np.concatenate([np.linspace(-15, 15, 61), np.linspace(-104, 104, 27)])
    yield "tests", drawn.astype(np.float32)
    yield "cube", cube.astype(np.float32)
    yield "ends", np.array([*ends, *call.odd], np.float32)
    yield "tails", tails.astype(np.float32)
    yield "float64", np.concatenate([drawn, cube.ravel()])
    yield "float16", np.concatenate([drawn, cube.ravel()]).astype(np.float16)


def function(name: str, dtype: str) -> Callable[..., Array]:
    """A function of Keras as one of arrays of a dtype."""
    import keras
    import tensorflow as tf
    import tf_keras

    if name == "keras.layers.Rescaling":
        return lambda x, **values: np.asarray(keras.layers.Rescaling(**values, dtype=dtype)(x))
    module = tf_keras if name.startswith("tf_keras") else keras
    if module is keras:
        keras.config.set_floatx(dtype)
    called = getattr(module.activations, name.rpartition(".")[2])
    if module is tf_keras:
        return lambda x, **values: np.asarray(called(tf.constant(x), **values))
    return lambda x, **values: np.asarray(called(x, **values))


def reference(call: Call, x: Array) -> Array:
    """The declared formula, evaluated for each value; Keras's words on what is no number."""
    values = {**call.kwargs}
    for parameter in ACTIVATIONS[call.function].parameters:
        if parameter.name == "threshold" and "threshold" in values:
            values["threshold"] = float(x.dtype.type(values["threshold"]))
    exact = [
        float(decimal_value(call.function, v, **values)) if np.isfinite(v) else np.nan
        for v in x.ravel().tolist()
    ]
    return np.array(exact).reshape(x.shape).astype(x.dtype)


def cases() -> Iterator[tuple[Call, str, Array, Array, Array]]:
    for call in ELEMENTWISE:
        given = call.kwargs if call.keras_kwargs is None else call.keras_kwargs
        for name, x in tensors(call):
            yield call, name, x, function(call.keras, x.dtype.name)(x, **given), reference(call, x)
    rng = np.random.default_rng(16)
    for shape, axis in SHAPES:
        for scale in (1, 30):
            x = (rng.uniform(-1, 1, shape) * scale).astype(np.float32)
            name = f"{'x'.join(map(str, shape))}_{scale}"
            yield along_axis("log_softmax", name, x, axis)
    # Keras 3.15's is right where one result alone is not 0
    for shape, axis in (((5,), -1), ((2, 5), 0), ((3, 4, 5), 1)):
        x = 1.5 * rng.permutation(np.arange(np.prod(shape), dtype=np.float32)).reshape(shape)
        yield along_axis("sparsemax", "x".join(map(str, shape)), x, axis)


def along_axis(name: str, case: str, x: Array, axis: Any) -> tuple[Call, str, Array, Array, Array]:
    """A case of an activation along an axis, whose reference is Keras in float64."""
    call = Call(f"keras.activations.{name}", name, {"axis": axis})
    y = function(call.keras, "float32")(x, axis=axis)
    ref = function(call.keras, "float64")(x.astype(np.float64), axis=axis)
    return call, case, x, y, ref.astype(x.dtype)


def main() -> None:
    import keras
    import tensorflow as tf
    import tf_keras

    arrays: dict[str, Array] = {}
    written = []
    with np.errstate(all="ignore"):
        for number, (call, name, x, y, ref) in enumerate(cases()):
            y = y.astype(x.dtype)
            case = f"{number:03}_{call.function}_{name}"
            arrays |= {f"{case}__x": x, f"{case}__y": y, f"{case}__ref": ref}
            written.append(
                {
                    "name": case,
                    "keras": call.keras,
                    "function": call.function,
                    "kwargs": call.kwargs,
                    "compare": {
                        "max_ulp": 4,
                        "atol": 5e-7 if call.function == "log_softmax" else 0,
                        "near": near(call, y.dtype.name),
                    },
                }
            )
    made_with = (
        f"Keras {keras.__version__} ({keras.backend.backend()}), tf_keras {tf_keras.__version__}, "
        f"TensorFlow {tf.__version__}"
    )
    meta = {
        "made_with": made_with,
        "max_ulp": "each result is within so many ULP or atol of what Keras returned, or of ref",
        "near": "and within this of what Keras returned, times x where that is larger than 1",
    }
    text = ",\n  ".join(json.dumps(case) for case in written)
    (PLACE / "vocabulary.json").write_text(
        f'{{"meta": {json.dumps(meta, indent=1)},\n "cases": [\n  {text}\n]}}\n'
    )
    np.savez_compressed(PLACE / "vocabulary.npz", **arrays)


if __name__ == "__main__":
    main()

"""The largest errors of kact and its peers in float32, side by side.

    pip install -e '.[test,bench]' keras
    python -m tests.bench.accuracy [EACH]

EACH mantissas (4,096) of every sign and exponent, where the exact result is a normal number, as
tests/activations/test_accuracy.py takes them. A peer that is not installed, or has not the
function, is left blank; NumPy's are the formulas that people write. `inf` is a result that is none,
such as NaN for a number.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from kact_cli import apply
from tests.activations.test_accuracy import bit_patterns
from tests.bench.processor import processor
from tests.tools.numbers import ELEMENTWISE, Array, exactly, is_normal, ulp_error

Function = Callable[[Array], Any]
SELU = 1.0507009873554804, 1.6732632423543772

NUMPY: dict[str, Function] = {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanh": np.tanh,
    "selu": lambda x: SELU[0] * np.where(x > 0, x, SELU[1] * (np.exp(x) - 1)),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "exponential": np.exp,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "log_sigmoid": lambda x: -np.log(1 + np.exp(-x)),
    "tanh_shrink": lambda x: x - np.tanh(x),
}
"""As people write them."""

TORCH_NAMES = {
    "exponential": "exp", "hard_silu": "hardswish", "log_sigmoid": "logsigmoid",
    "tanh_shrink": "tanhshrink", "hard_tanh": "hardtanh", "hard_shrink": "hardshrink",
    "soft_shrink": "softshrink",
}  # fmt: skip


def torch_functions() -> dict[str, Function]:
    """torch's functions of the same names, or of its own."""
    torch, functional = import_module("torch"), import_module("torch.nn.functional")
    found: dict[str, Function] = {}
    for name in ELEMENTWISE:
        its = TORCH_NAMES.get(name, name)
        function = getattr(functional, its, getattr(torch, its, None))
        if name == "leaky_relu":
            function = partial(functional.leaky_relu, negative_slope=0.2)
        if function is not None and name not in ("threshold", "hard_sigmoid", "linear"):
            found[name] = lambda x, f=function: f(torch.from_numpy(x)).numpy()
    return found


def keras_functions() -> dict[str, Function]:
    """Keras 3's, by whichever backend there is."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    activations = import_module("keras").activations
    found: dict[str, Function] = {}
    for name in ELEMENTWISE:
        function = getattr(activations, name, None)
        if function is not None and name not in ("threshold", "hard_sigmoid"):  # of other defaults
            found[name] = lambda x, f=function: np.asarray(f(x))
    return found


def largest(function: Function, name: str, each: int) -> float:
    """The largest error in ULP over float32 bit patterns."""
    most = 0.0
    for x in bit_patterns(each):
        with np.errstate(all="ignore"):
            exact = exactly(name, x.astype(np.float64))
            error = ulp_error(np.asarray(function(x), np.float32), exact)
        error = np.where(np.isnan(error), np.inf, error)[is_normal(exact, x.dtype)]
        most = max(most, float(error.max(initial=0)))
    return most


def peers() -> dict[str, dict[str, Function]]:
    """Each that is installed, and its functions."""
    found = {"NumPy": NUMPY}
    for name, functions in (("torch", torch_functions), ("Keras", keras_functions)):
        try:
            found[name] = functions()
        except ImportError:
            found[name] = {}
    return found


def main(each: int) -> None:
    others = peers()
    print(f"{processor()}; NumPy {np.__version__}\n")
    print(f"| float32, ULP | kact | --exact | {' | '.join(others)} |")
    print(f"|---|---|---|{'---|' * len(others)}")
    for name in ELEMENTWISE:
        functions = [partial(apply, name), partial(apply, name, exact=True)]
        cells = [f"{largest(f, name, each):.2f}" for f in functions]
        for known in others.values():
            found = f"{largest(known[name], name, each):.3g}" if name in known else ""
            cells.append(found)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4096)

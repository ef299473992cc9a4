"""The activations: importing this package declares them all.

Each is also a function of tensors in memory, under its own name and with Keras's parameters:

>>> from kact_cli import activations
>>> activations.gelu([-1.0, 0.0, 1.0], approximate=True)
array([-0.15880801,  0.        ,  0.84119199])

A package adds its own with the same decorator and an entry point (see `plugins`). The contract of a
kernel `f(x, tmp, m, /, *, ...)`:

- It overwrites `x` with the result, returns nothing, and may use `tmp`, a buffer like `x` whose
  contents are anything, as it pleases. It may not keep either. Kernels run in several threads.
- Both are C-contiguous, in native byte order, cache-sized, and float32 or float64 (float16 and
  bfloat16 are computed in float32), or integers where `keeps_integers` says so. `x` is 1-D for an
  elementwise activation, and its result for a value may not depend on the other values.
- NaN in gives NaN out. NumPy's floating-point warnings are off: inf and NaN are values.
- What is not the same on every processor, exp for one, comes from `m` (see `math.Math`), so that
  every activation obeys `--exact`. Then `x` is float64, or an array of decimal numbers.
- An activation with a parameter of type `Axis` gets `(outer, length, inner)` and works along axis
  1; see `Streamed` for tensors whose axis is larger than memory.
- Every other parameter is keyword-only, has a default, and is Annotated[float, Doc(...)], or bool,
  or float | None. The docstring has a summary, a formula, and what else is worth knowing.
"""

from __future__ import annotations

from typing import Any

from kact_cli.activations import elementwise

# isort: split
from kact_cli.activations import along_axis
from kact_cli.activations.arithmetic import arithmetic
from kact_cli.activations.math import Math, Tile
from kact_cli.activations.plugins import find, plugins
from kact_cli.activations.registry import (
    ACTIVATIONS,
    Activation,
    Axis,
    Doc,
    Parameter,
    ReductionState,
    Streamed,
    Value,
    activation,
)

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Axis",
    "Doc",
    "Math",
    "Parameter",
    "ReductionState",
    "Streamed",
    "Tile",
    "Value",
    "activation",
    "along_axis",
    "arithmetic",
    "elementwise",
    "find",
    "plugins",
]


def __dir__() -> list[str]:
    return [*globals(), *ACTIVATIONS]


def __getattr__(name: str) -> Any:
    # The engine stands above this package, and is imported when a function is asked for
    if not name.startswith("_") and (found := find(name)) is not None:
        from kact_cli import function

        return function(found.name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")

"""The activations: importing this package declares them all."""

from __future__ import annotations

from kact_cli.activations import piecewise, smooth
from kact_cli.activations import softmax as axiswise
from kact_cli.activations.arithmetic import arithmetic
from kact_cli.activations.math import Math, Tile
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
    "arithmetic",
    "axiswise",
    "piecewise",
    "smooth",
]

# The order of Keras's documentation; what Keras does not have comes after, as declared.
_KERAS = (
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
    "selu",
    "elu",
    "exponential",
)
for _name in [*_KERAS, *(name for name in ACTIVATIONS if name not in _KERAS)]:
    ACTIVATIONS[_name] = ACTIVATIONS.pop(_name)

"""An activation as a function of tensors in memory, with Keras's signature."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import Parameter as Argument
from inspect import Signature
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from kact_cli.activations import Parameter, Value
from kact_cli.chain import Chain, Step, declared, parse_value
from kact_cli.engine.apply import apply

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@cache
def function(name: str) -> Callable[..., NDArray[Any]]:
    """The function of a name: x, then the activation's parameters, by position or by name.

    `x` is any array-like; the result is an array of its shape, of the dtype that `apply` gives.
    Raises UsageError for an unknown name and for an axis that x does not have, TypeError for
    parameters that the activation does not have or that are given twice, and for values of another
    type than theirs, DataError for dtypes that are not numeric.
    """
    activation = declared(name)
    x = Argument("x", Argument.POSITIONAL_OR_KEYWORD)
    given = [
        Argument(p.name, Argument.POSITIONAL_OR_KEYWORD, default=p.default)
        for p in activation.parameters
    ]
    signature = Signature([x, *given])

    def call(*args: Any, **values: Any) -> NDArray[Any]:
        for parameter in activation.parameters:
            for alias in parameter.aliases:
                if alias in values:
                    if parameter.name in values:
                        twice = f"multiple values for argument '{parameter.name}'"
                        raise TypeError(f"{activation.name}() got {twice}")
                    values[parameter.name] = values.pop(alias)
        bound = signature.bind(*args, **values).arguments
        tensor: ArrayLike = bound.pop("x")
        plain = {p.name: _plain(p, bound[p.name]) for p in activation.parameters if p.name in bound}
        return apply(Chain((Step.make(activation.name, plain),)), tensor)

    named: Any = call
    call.__name__ = call.__qualname__ = activation.name
    call.__module__ = "kact_cli.activations"
    call.__doc__ = f"{activation.summary}\n\n    {activation.formula}\n\n{activation.notes}"
    named.__signature__ = signature
    return call


def _plain(parameter: Parameter, value: Any) -> Value:
    """A parameter's value, given as Python, NumPy or the grammar of chains has it."""
    if isinstance(value, str):
        return parse_value(parameter, value)
    if value is None and parameter.optional:
        return None
    if isinstance(value, np.generic | np.ndarray):
        value = value.item() if value.size == 1 else value.tolist()
    try:
        if parameter.is_axis:
            return tuple(map(_axis, value)) if isinstance(value, list | tuple) else _axis(value)
        if parameter.is_flag:
            return {False: False, True: True}[value]
        return int(value) if isinstance(value, int) else float(value)
    except (TypeError, KeyError):
        kind = "True or False" if parameter.is_flag else "a number"
        kind = "an integer, a tuple" if parameter.is_axis else kind
        or_none = " or None" if parameter.optional else ""
        raise TypeError(f"{parameter.name} takes {kind}{or_none}, not {value!r}") from None


def _axis(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    return index(value)

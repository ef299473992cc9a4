"""An activation as a function of tensors in memory, with Keras's signature."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from kact_cli.chain import Chain, Step, declared
from kact_cli.engine.apply import apply

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@cache
def function(name: str) -> Callable[..., NDArray[Any]]:
    """The function of a name: x, then the activation's parameters, by position or by name.

    `x` is any array-like; the result is an array of its shape, of the dtype that `apply` gives.
    Raises UsageError for an unknown name and for an axis that x does not have, TypeError for
    parameters that the activation does not have, DataError for dtypes that are not numeric.
    """
    activation = declared(name)
    x = Parameter("x", Parameter.POSITIONAL_OR_KEYWORD)
    given = [
        Parameter(p.name, Parameter.POSITIONAL_OR_KEYWORD, default=p.default)
        for p in activation.parameters
    ]
    signature = Signature([x, *given])

    def call(*args: Any, **values: Any) -> NDArray[Any]:
        for parameter in activation.parameters:
            for alias in parameter.aliases:
                if alias in values:
                    values[parameter.name] = values.pop(alias)
        bound = signature.bind(*args, **values).arguments
        tensor: ArrayLike = bound.pop("x")
        return apply(Chain((Step.make(activation.name, bound),)), tensor)

    call.__name__ = call.__qualname__ = activation.name
    call.__module__ = "kact_cli.activations"
    call.__doc__ = f"{activation.summary}\n\n    {activation.formula}\n\n{activation.notes}"
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call

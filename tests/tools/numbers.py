"""What the tests compare kernels with: exact formulas, errors in ULP, a plain way to run them."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kact_cli.activations import ACTIVATIONS, Activation, Math, arithmetic

Array = NDArray[Any]

ELEMENTWISE = [name for name, a in ACTIVATIONS.items() if a.axis is None]

_ALPHA = "1.6732632423543772848170429916717"
_SCALE = "1.0507009873554804934193349852946"


def _sigmoid(x: Array) -> Array:
    e: Array = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / np.add(e, 1)


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: Array) -> Array:
    return np.float64(_SCALE) * np.where(x > 0, x, np.float64(_ALPHA) * _elu(x))


EXACT: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": _sigmoid,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "softsign": lambda x: x / (np.abs(x) + 1),
    "tanh": np.tanh,
    "selu": _selu,
    "elu": _elu,
    "exponential": np.exp,
}
"""Each elementwise activation in float64: exact, to a float32, with its default parameters."""


def _expm1(x: Decimal) -> Decimal:
    return x.exp() - 1 if abs(x) > Decimal("1e-18") else x + x * x / 2


def _log1p(x: Decimal) -> Decimal:
    return (x + 1).ln() if x > Decimal("1e-18") else x - x * x / 2


def _elu_decimal(x: Decimal) -> Decimal:
    return x if x > 0 else _expm1(x)


_DECIMAL: dict[str, Callable[[Decimal], Decimal]] = {
    "relu": lambda x: max(x, Decimal(0)),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "softplus": lambda x: max(x, Decimal(0)) + _log1p((-abs(x)).exp()),
    "softsign": lambda x: x / (abs(x) + 1),
    "tanh": lambda x: (
        _expm1(2 * x) / (_expm1(2 * x) + 2) if abs(x) < 400 else Decimal(1).copy_sign(x)
    ),
    "selu": lambda x: Decimal(_SCALE) * (x if x > 0 else Decimal(_ALPHA) * _expm1(x)),
    "elu": _elu_decimal,
    "exponential": lambda x: x.exp(),
}


def decimal_value(name: str, x: float) -> Decimal:
    """The exact value of an activation with its default parameters, to some 60 digits."""
    with localcontext(Context(prec=120, traps=[])):
        return _DECIMAL[name](Decimal(x))


def ulp_in_decimal(name: str, x: float, result: float) -> float:
    """The error of a float64 `result` for `x` in ULP, 0 if the exact result is no normal number."""
    exact = decimal_value(name, x)
    with localcontext(Context(prec=60, traps=[])):
        if not Decimal(2) ** -1022 <= abs(exact) < Decimal(2) ** 1024 * (1 - Decimal(2) ** -54):
            return 0.0
        return float(abs(Decimal(result) - exact) / Decimal(math.ulp(float(exact))))


def ulp_error(result: Array, exact: Array) -> Array:
    """|result - exact| in ULP of the result's dtype; NaN for NaN is 0, as is inf for overflow."""
    info = np.finfo(result.dtype)
    _, exponent = np.frexp(exact)
    ulp = np.ldexp(1.0, np.maximum(exponent - 1, info.minexp) - info.nmant)
    with np.errstate(all="ignore"):
        error = np.abs(result.astype(np.float64) - exact) / ulp
        overflow = np.isinf(result) & (result == exact.astype(result.dtype))
        same = overflow | (np.isnan(result) & np.isnan(exact))
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


def is_normal(exact: Array, dtype: Any) -> Array:
    """Where an exact result is a normal number of `dtype`."""
    info = np.finfo(dtype)
    return (np.abs(exact) >= float(info.smallest_normal)) & (np.abs(exact) <= float(info.max))


def run_kernel(activation: Activation, x: Array, m: Math | None = None, **values: Any) -> Array:
    """The kernel on a copy of a tile, with garbage in `tmp`."""
    x = x.copy()
    tmp = np.full_like(x, np.nan if x.dtype.kind == "f" else 77)
    with np.errstate(all="ignore"):
        activation.kernel(x, tmp, m or arithmetic(x.dtype, x.dtype), **values)
    return x


def apply(name: str, tensor: Array, **given: Any) -> Array:
    """An activation applied to a tensor of any dtype and shape, by the simplest way there is."""
    activation = ACTIVATIONS[name]
    values = {p.name: given.get(p.name, p.default) for p in activation.parameters}
    dtype = activation.result_dtype(tensor.dtype, values)
    computed_in = np.dtype(np.float32) if dtype.itemsize == 2 and dtype.kind == "f" else dtype
    x = tensor.astype(computed_in.newbyteorder("="))
    if activation.axis is None:
        result = run_kernel(activation, x.reshape(-1), **values).reshape(x.shape)
    else:
        result = _along_axis(activation, x, values[activation.axis.name])
    with np.errstate(over="ignore"):
        return result.astype(dtype)


def _along_axis(activation: Activation, x: Array, axis: Any) -> Array:
    axes = np.lib.array_utils.normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) == 1:
        inner = math.prod(x.shape[axes[0] + 1 :])
        tile = x.reshape(math.prod(x.shape[: axes[0]]), x.shape[axes[0]], inner)
        return run_kernel(activation, tile).reshape(x.shape)
    last = range(-len(axes), 0)
    turned = np.moveaxis(x, axes, last)
    groups = turned.reshape(-1, math.prod(turned.shape[-len(axes) :]), 1)
    return np.moveaxis(run_kernel(activation, groups).reshape(turned.shape), last, axes)

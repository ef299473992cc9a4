"""What the tests compare kernels with: exact values, errors in ULP, a plain way to run them."""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kact_cli.activations import ACTIVATIONS, Activation, Math, arithmetic
from tests.tools.formulas import decimal_value

Array = NDArray[Any]

ELEMENTWISE = [name for name, a in ACTIVATIONS.items() if a.axis is None]


def exactly(name: str, x: Array) -> Array:
    """An activation with its default parameters in float64, within 2 ULP: exact, to a float32."""
    dtype = np.dtype(np.float64)
    m = arithmetic(dtype, dtype, exact=True)
    return run_kernel(ACTIVATIONS[name], x.astype(dtype).reshape(-1), m).reshape(x.shape)


def ulp_in_decimal(name: str, x: float, result: float) -> float:
    """The error of a float64 `result` for `x` in ULP, 0 if the exact result is no normal number."""
    wanted = decimal_value(name, x)
    with localcontext(Context(prec=60, traps=[])):
        if not Decimal(2) ** -1022 <= abs(wanted) < Decimal(2) ** 1024 * (1 - Decimal(2) ** -54):
            return 0.0
        return float(abs(Decimal(result) - wanted) / Decimal(math.ulp(float(wanted))))


EXPONENT = 0x7FF << 52
"""The bits of a float64 that are its exponent."""


def ulp_error(result: Array, exact: Array) -> Array:
    """|result - exact| in ULP of the result's dtype; NaN for NaN is 0, as is inf for overflow.

    An infinity for what is rounded to a number still is taken for the power of two behind them.
    """
    info = np.finfo(result.dtype)
    # The power of two at or below each number is its bits without those of its fraction
    power = (exact.view(np.int64) & EXPONENT).view(np.float64)
    with np.errstate(all="ignore"):
        behind = np.ldexp(1.0, info.maxexp)
        ulp = np.maximum(power, float(info.smallest_normal)) * float(info.eps)
        error = np.abs(np.clip(result.astype(np.float64), -behind, behind) - exact) / ulp
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
    computed_in = dtype
    if dtype.kind == "f" and dtype.itemsize < 8:
        computed_in = np.dtype(np.float64 if activation.in_float64(values) else np.float32)
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

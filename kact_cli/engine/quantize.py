"""Quantised tensors: integers that stand for numbers, by a scale and a zero point.

The arithmetic is that of ONNX's operators, each in float32 and rounded once
(https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html, onnx__QuantizeLinear.html):

    x = (q - zero_point) * scale                          a product of float32
    y = the chain of x, computed exactly, rounded to float32
    q = saturate(round(y / scale) + zero_point)           a quotient of float32

`round` goes to the even integer from the middle of two, as ONNX has it, or away from 0, as TFLite
has it. TFLite multiplies by 1 / scale, which is the same for the powers of two that its sigmoid,
tanh and softmax have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kact_cli.errors import DataError, UsageError
from kact_cli.types import Array, Quantization, Shape, dtype_name

DTYPES = ("int8", "uint8", "int16", "uint16")
"""What numbers are quantised to."""


def resolved(quantization: Quantization, dtype: np.dtype[Any] | None, flag: str) -> Quantization:
    """The same with its dtype: its own or else `dtype`, that of the tensor.

    Raises UsageError where neither is one that numbers are quantised to, and for a zero point that
    does not fit; `flag` is the option that said it.
    """
    known = quantization.dtype or (dtype.newbyteorder("=") if dtype is not None else None)
    if known is None or str(known) not in DTYPES:
        raise UsageError(f"needs a dtype in {flag}, one of {', '.join(DTYPES)}: S,Z,int8")
    least, most = int(np.iinfo(known).min), int(np.iinfo(known).max)
    for zero in quantization.zero_point:
        if not least <= zero <= most:
            raise UsageError(f"{flag}: zero point {zero} is no {known}, from {least} to {most}")
    return replace(quantization, dtype=known)


def described(quantization: Quantization) -> str:
    """A quantisation in a few words, the scale in as many digits as float32 needs."""
    dtype, axis = quantization.dtype, quantization.axis
    if axis is not None:
        return f"{dtype}, {len(quantization.scale):,} scales along axis {axis}"
    scale = str(np.float32(quantization.scale[0]))
    return f"{dtype}, scale {scale}, zero point {quantization.zero_point[0]}"


def check_held(quantization: Quantization, dtype: np.dtype[Any]) -> None:
    """Raise UsageError where a tensor of `dtype` does not hold what --quantize-in says."""
    held = dtype.newbyteorder("=")
    if str(held) not in DTYPES:
        known = f"{', '.join(DTYPES[:-1])} and {DTYPES[-1]}"
        raise UsageError(f"holds {dtype_name(held)}, and --quantize-in is for {known}")
    if quantization.dtype not in (None, held):
        raise UsageError(f"holds {held}, and --quantize-in says {quantization.dtype}")


def channel_axes(
    quantize_in: Quantization | None, quantize_out: Quantization | None, shape: Sequence[int]
) -> tuple[frozenset[int], ...]:
    """The axis, counted from 0, along which the input has a scale for each index, and the result.

    A set without an axis where one has a single scale, and no sets where both have. Raises
    UsageError where a tensor of `shape` has no such axis, or one of another length.
    """
    found = (
        _channel_axis(quantize_in, shape, "--quantize-in"),
        _channel_axis(quantize_out, shape, "--quantize-out"),
    )
    return found if any(found) else ()


def _channel_axis(
    quantization: Quantization | None, shape: Sequence[int], flag: str
) -> frozenset[int]:
    if quantization is None or quantization.axis is None:
        return frozenset()
    axis, rank, count = quantization.axis, len(shape), len(quantization.scale)
    if not -rank <= axis < rank or shape[axis] != count:
        known = f"{count} scales for axis {axis}"
        raise UsageError(f"has the shape {tuple(shape)}, and {flag} {known}")
    return frozenset((axis % rank,))


class Affine(NamedTuple):
    """The scale and the zero point of a block, float32: one, or shaped to lie along one dim."""

    scale: Array
    zero_point: Array

    @classmethod
    def of(
        cls,
        quantization: Quantization,
        shape: Shape,
        start: Shape,
        dim: int | None,
    ) -> Affine:
        """Those of a box of `shape` at `start`, along whose `dim` each index has its own."""
        pair = (quantization.scale, quantization.zero_point)
        scale, zero = (np.array(v, np.float32) for v in pair)
        if dim is None:
            return cls(scale[0], zero[0])
        part = slice(start[dim], start[dim] + shape[dim])
        along = tuple(-1 if d == dim else 1 for d in range(len(shape)))
        return cls(scale[part].reshape(along), zero[part].reshape(along))


def dequantize(q: Array, affine: Affine, out: Array) -> None:
    """Write the numbers that integers stand for to `out`, float32 of the same shape."""
    np.subtract(q, affine.zero_point, out=out, dtype=np.float32, casting="unsafe")
    out *= affine.scale


def quantize(x: Array, affine: Affine, out: Array, *, half_away: bool) -> None:
    """Write numbers (float32, which is overwritten) as integers to `out`, of the same shape.

    Raises DataError for NaN, which no integer stands for.
    """
    x /= affine.scale
    if np.isnan(x.max(initial=0)):
        raise DataError("NaN comes of it, which no integer stands for: leave out --quantize-out")
    if half_away:
        whole = np.trunc(x)
        with np.errstate(invalid="ignore"):  # inf - inf
            half = np.abs(x - whole) >= 0.5
        whole += np.where(half, np.copysign(np.float32(1), x), np.float32(0))
        np.copyto(x, whole)
    else:
        np.rint(x, out=x)
    x += affine.zero_point
    limits = np.iinfo(out.dtype)
    np.clip(x, limits.min, limits.max, out=x)
    np.copyto(out, x, casting="unsafe")


def dequantized(q: Array, quantization: Quantization) -> Array:
    """The numbers that a whole tensor of integers stands for, as a new array."""
    axis = next(iter(_channel_axis(quantization, q.shape, "--quantize-in")), None)
    out = np.empty(q.shape, np.float32)
    dequantize(q, Affine.of(quantization, q.shape, (0,) * q.ndim, axis), out)
    return out

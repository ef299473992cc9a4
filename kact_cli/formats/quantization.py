"""How a quantisation is spelled: `scale,zero_point[,dtype][,axis=N]`.

`scale` and `zero_point` are numbers as in a chain, or .npy files of as many as the axis is long
(the last one, unless `axis` says else): `0.05,3,int8`, `1/256,-128`, `scales.npy,0,axis=1`,
`scales.npy,zero_points.npy,uint8`.
"""

from __future__ import annotations

import contextlib
import math
import re

import numpy as np

from kact_cli.engine.quantize import DTYPES, resolved
from kact_cli.errors import UsageError
from kact_cli.files.source import open_source
from kact_cli.formats.npy import NpyTensor
from kact_cli.numbers import parse_number
from kact_cli.types import Array, Quantization

GRAMMAR = "scale,zero_point[,dtype][,axis=N]"
MOST = 1 << 20
"""The most scales that a tensor may have: they are kept in memory."""


def parse_quantization(text: str, flag: str) -> Quantization:
    """The quantisation that `text` spells, for the option `flag`.

    Raises UsageError for what it does not spell, and for scales and zero points that cannot be;
    DataError for a .npy that cannot be read.
    """
    parts = [part.strip() for part in text.split(",")]
    dtype, axis = None, None
    for part in parts[2:]:
        if part in DTYPES and dtype is None:
            dtype = np.dtype(part)
        elif (match := re.fullmatch(r"axis=([+-]?\d{1,3})", part)) and axis is None:
            axis = int(match[1])
        else:
            raise UsageError(
                f"{flag}: '{part}' is neither axis=N nor one of {', '.join(DTYPES)}: {GRAMMAR}"
            )
    if len(parts) < 2:
        raise UsageError(f"{flag} takes {GRAMMAR}, not '{text}'")
    scales = [_scale(value, flag) for value in _numbers(parts[0], "a scale", flag)]
    zeros = [_zero(value, flag) for value in _numbers(parts[1], "a zero point", flag)]
    count = max(len(scales), len(zeros))
    if min(len(scales), len(zeros)) not in (1, count):
        raise UsageError(f"{flag}: {len(scales)} scales and {len(zeros)} zero points")
    if count == 1 and axis is not None:
        raise UsageError(f"{flag}: axis={axis} is for a scale for each index, and there is one")
    found = Quantization(
        tuple(scales * (count // len(scales))),
        tuple(zeros * (count // len(zeros))),
        dtype,
        None if count == 1 else -1 if axis is None else axis,
    )
    return found if dtype is None else resolved(found, dtype, flag)


def _numbers(text: str, what: str, flag: str) -> list[float]:
    """A number, or those in a .npy."""
    if text.lower().endswith(".npy"):
        return [*_read(text, flag).tolist()]
    number = parse_number(text)
    if number is None:
        raise UsageError(f"{flag}: {what} is a number or a .npy, not '{text}': {GRAMMAR}")
    return [number]


def _read(path: str, flag: str) -> Array:
    with contextlib.closing(open_source(path)) as source:
        tensor = NpyTensor.open(source)
        shape, dtype = tensor.header.shape, tensor.header.dtype
        if len(shape) > 1 or not 1 <= tensor.header.size <= MOST or dtype.kind not in "fiu":
            raise UsageError(
                f"{flag}: {source.name} is a tensor of {dtype} and shape {shape}; a vector of "
                "numbers is needed"
            )
        return tensor.read(0, tensor.header.size)


def _scale(value: float, flag: str) -> float:
    """A scale as float32 has it."""
    with np.errstate(over="ignore"):
        held = float(np.float32(value))
    if not 0 < held < math.inf:
        raise UsageError(f"{flag}: scale {value:g} is not above 0 and finite in float32")
    return held


def _zero(value: float, flag: str) -> int:
    if not float(value).is_integer():
        raise UsageError(f"{flag}: zero point {value:g} is no whole number")
    return int(value)

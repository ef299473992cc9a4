"""The names of types that many modules use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


ReductionState = tuple[Array, ...]
"""What an activation along an axis knows of the groups, or of parts of them."""


State = dict[int, ReductionState]
"""The states of streamed reductions, by step; each array has the shape of the slab with the
reduced dims taken as one."""


Shape = tuple[int, ...]


BFLOAT16 = np.dtype("V2")
"""What stands for bfloat16, which NumPy does not have: two bytes, as ml_dtypes saves it in a .npy.
`engine.bfloat16` knows what is in them."""


def dtype_name(dtype: np.dtype[Any]) -> str:
    """A dtype as the user names it, in whatever byte order it is."""
    return "bfloat16" if dtype == BFLOAT16 else str(dtype.newbyteorder("="))


def dtype_named(name: str) -> np.dtype[Any]:
    """The dtype that `dtype_name` calls so."""
    return BFLOAT16 if name == "bfloat16" else np.dtype(name)


def every_value(dtype: np.dtype[Any]) -> Array:
    """Every value of a dtype of one or two bytes, in the order of their bits as an integer."""
    bits = np.arange(1 << 8 * dtype.itemsize).astype(f"u{dtype.itemsize}")
    return bits.astype(bits.dtype.newbyteorder(dtype.byteorder)).view(dtype)


@dataclass(frozen=True)
class Quantization:
    """How numbers are kept as integers: `x = (q - zero_point) * scale`.

    `scale` and `zero_point` are one for the whole tensor, or one for each index along `axis`. The
    scales are float32, as ONNX and TFLite have them. `engine.quantize` knows the arithmetic.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    dtype: np.dtype[Any] | None = None
    """int8, uint8, int16 or uint16; None: that of the tensor."""
    axis: int | None = None
    """The axis that has a scale for each index; None: there is one scale."""
    half_away: bool = False
    """Whether what lies in the middle of two integers goes away from 0, not to the even one."""

    def __str__(self) -> str:
        """The whole of it in one line, by which two runs can be told apart."""
        scale, zero = (",".join(map(str, v)) for v in (self.scale, self.zero_point))
        axis = "" if self.axis is None else f" axis={self.axis}"
        dtype = f" {self.dtype}" if self.dtype is not None else ""
        return f"{scale} {zero}{dtype}{axis}{' half-away' if self.half_away else ''}"

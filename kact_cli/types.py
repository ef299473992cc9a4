"""The names of types that many modules use."""

from __future__ import annotations

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

"""Arrow arrays over NumPy's memory.

`pyarrow.array` does this too, but first imports pandas, if there is one, to see whether what it
got is pandas's: a third of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_array(values: NDArray[Any], null: NDArray[np.bool_] | None = None) -> pa.Array:
    """The 1-D array of numbers or booleans, without a copy of numbers; null where `null` says."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    data = bitmap(values) if values.dtype == bool else values
    valid = None if null is None else pa.py_buffer(bitmap(~null))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(data)])


def bitmap(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Booleans as Arrow keeps them: a bit each, the lowest of a byte first."""
    return np.packbits(flags, bitorder="little")

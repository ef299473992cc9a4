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

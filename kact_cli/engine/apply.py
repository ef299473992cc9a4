"""A chain over a tensor in memory: what `kact_cli.apply` is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kact_cli.chain import Chain
from kact_cli.engine.engine import Engine
from kact_cli.engine.plan import plan_tensor
from kact_cli.engine.program import Program
from kact_cli.engine.quantize import channel_axes
from kact_cli.types import BFLOAT16, Quantization, dtype_named

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray


def apply(
    chain: Chain | str,
    tensor: ArrayLike,
    /,
    *,
    dtype: DTypeLike | None = None,
    compute_dtype: DTypeLike | None = None,
    exact: bool = False,
    quantize_in: Quantization | None = None,
    quantize_out: Quantization | None = None,
) -> NDArray[Any]:
    """Apply a chain, or the text of one, to a tensor in memory: a new array of the same shape.

    float16, float32 and float64 keep their dtype and byte order; integers and booleans become
    `np.result_type(dtype, np.float32)`, save where relu with whole parameters keeps them. `dtype`
    is the dtype of the result where it should be another (`"bfloat16"` is one), `compute_dtype`
    (float32 or float64) the one to compute in. An exact result of float16 or float32 is within 0.51
    ULP, one of float64 within 2 ULP of each step, and its bytes are the same on every processor.
    Integers that stand for numbers are taken by `quantize_in` and made by `quantize_out` (see
    `engine.quantize`).

    Raises ChainSyntaxError for a text that is no chain, UsageError for an axis that the tensor
    does not have, DataError for dtypes that are not numeric.
    """
    if isinstance(chain, str):
        chain = Chain.parse(chain)
    array = np.asarray(tensor)
    known = array.dtype
    if known.name == "bfloat16":  # as ml_dtypes and JAX have it
        array = array.view(BFLOAT16)
    program = Program.make(
        chain,
        array.dtype,
        dtype=_dtype(dtype),
        compute_dtype=_dtype(compute_dtype),
        exact=exact,
        quantize_in=quantize_in,
        quantize_out=quantize_out,
    )
    # A chunk as large as the tensor: every reduction is resident
    whole = max(1, array.size * 8)
    channels = channel_axes(quantize_in, quantize_out, array.shape)
    plan = plan_tensor(
        chain,
        array.shape,
        program.work,
        chunk_bytes=whole,
        exact=program.exact,
        channels=channels,
    )
    stage = plan.stages[0]
    block = np.array(array, order="C").reshape(stage.dims)
    out = np.empty(stage.dims, program.result)
    engine = Engine(program, stage.reductions, stage.channels)
    engine.transform(block, out, start=(0,) * len(stage.dims))
    out = out.reshape(array.shape)
    return out.view(known) if out.dtype == BFLOAT16 and known.name == "bfloat16" else out


def _dtype(given: DTypeLike | None) -> np.dtype[Any] | None:
    """A dtype in any form that NumPy takes, or bfloat16, as a name or as ml_dtypes has it."""
    if given is None:
        return None
    if isinstance(given, str):
        return dtype_named(given)
    return BFLOAT16 if np.dtype(given).name == "bfloat16" else np.dtype(given)

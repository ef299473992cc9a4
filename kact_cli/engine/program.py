"""A chain resolved for a dtype.

A chain computes in one floating dtype: float64 for float64 and wide integers, float32 for the rest
(float16 and bfloat16 are rounded once, at the end); `--compute-dtype` overrides it. An integer
tensor stays what it is through the steps that keep integers (relu with whole parameters), and
becomes floating at the first one that does not. An exact result is computed in float64, whatever
the tensor is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kact_cli.chain import Chain
from kact_cli.engine.plan import Stage
from kact_cli.errors import DataError, UsageError
from kact_cli.types import BFLOAT16


class Program(NamedTuple):
    """A chain resolved for a tensor's dtype: what each step computes in, and what comes out."""

    chain: Chain
    source: np.dtype[Any]
    work: np.dtype[Any]
    result: np.dtype[Any]
    integer_steps: int
    """How many leading steps keep an integer tensor's own dtype."""
    natural: np.dtype[Any]
    """The dtype of the result if the user asks for no other, in native byte order; float32 where
    that is bfloat16. Parameters are rounded to it."""
    exact: bool = False

    @classmethod
    def make(
        cls,
        chain: Chain,
        source: np.dtype[Any],
        *,
        dtype: np.dtype[Any] | None = None,
        compute_dtype: np.dtype[Any] | None = None,
        exact: bool = False,
    ) -> Program:
        """Resolve `chain` for a tensor of dtype `source`.

        `dtype` is the dtype of the result where it should be another than the chain's own;
        `compute_dtype` is float32 or float64, `exact` by what `arithmetic.exact` computes. Byte
        order is the source's.
        Raises UsageError for both of these together, DataError for a dtype that is neither floating
        (2, 4, 8 bytes; bfloat16), integer nor boolean.
        """
        if source != BFLOAT16 and (source.kind not in "fiub" or source.itemsize > 8):
            raise DataError(f"dtype {source} is not one that activations are defined for")
        if exact and compute_dtype is not None:
            raise UsageError("an exact result is computed in float64: leave out --compute-dtype")
        path = dtype_path(chain, source)
        floating = path[-1].kind in "fV"
        # A parameter is a float32 where the tensor is of bfloat16
        natural = np.dtype("f4") if path[-1] == BFLOAT16 else path[-1].newbyteorder("=")
        wide = exact or natural.itemsize == 8
        work = compute_dtype or np.dtype(np.float64 if wide else np.float32)
        result = dtype.newbyteorder(source.byteorder) if dtype is not None else path[-1]
        integer_steps = 0
        if source.kind in "iu":
            integer_steps = sum(d.kind in "iu" for d in path[1:])
        work = work if floating else natural
        return cls(chain, source, work, result, integer_steps, natural, exact)

    def staged(self, stage: Stage, stages: int, number: int) -> Program:
        """This program for one stage of several: work dtype between stages, rounded at the end."""
        chain = Chain(self.chain.steps[stage.first : stage.last])
        first, last = number == 0, number == stages - 1
        return Program(
            chain,
            self.source if first else self.work,
            self.work,
            self.result if last else self.work,
            max(0, min(self.integer_steps, stage.last) - stage.first) if first else 0,
            self.natural,
            self.exact,
        )


def dtype_path(chain: Chain, source: np.dtype[Any]) -> list[np.dtype[Any]]:
    """The dtype that goes into the chain, and the one that comes out of each step."""
    path = [source]
    for step in chain.steps:
        path.append(step.activation.result_dtype(path[-1], step.arguments))
    return path

"""A chain resolved for a dtype.

A chain computes in one floating dtype: float64 for float64 and wide integers, and where a step asks
for it (`in_float64`) or has a parameter beyond float32; float32 for the rest (float16 and bfloat16
are rounded once, at the end). `--compute-dtype` overrides it. An integer tensor stays what it is
through the steps that keep integers (relu with whole parameters), and becomes floating at the first
one that does not. An exact result is computed in float64, whatever the tensor is.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from kact_cli.activations import Value
from kact_cli.chain import Chain
from kact_cli.engine.plan import Stage
from kact_cli.engine.quantize import check_held, resolved
from kact_cli.errors import DataError, UsageError
from kact_cli.types import BFLOAT16, Quantization


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
    quantize_in: Quantization | None = None
    quantize_out: Quantization | None = None

    @classmethod
    def make(
        cls,
        chain: Chain,
        source: np.dtype[Any],
        *,
        dtype: np.dtype[Any] | None = None,
        compute_dtype: np.dtype[Any] | None = None,
        exact: bool = False,
        quantize_in: Quantization | None = None,
        quantize_out: Quantization | None = None,
    ) -> Program:
        """Resolve `chain` for a tensor of dtype `source`.

        `dtype` is the dtype of the result where it should be another than the chain's own;
        `compute_dtype` is float32 or float64, `exact` by what `arithmetic.exact` computes. Byte
        order is the source's. What is quantised is computed exactly, and in float32 between.
        Raises UsageError for what excludes one another, DataError for a dtype that is neither
        floating (2, 4, 8 bytes; bfloat16), integer nor boolean.
        """
        if source != BFLOAT16 and (source.kind not in "fiub" or source.itemsize > 8):
            raise DataError(f"dtype {source} is not one that activations are defined for")
        if compute_dtype is not None and (exact or quantize_in or quantize_out):
            flag = "--exact" if exact else "--quantize-in" if quantize_in else "--quantize-out"
            raise UsageError(f"{flag} computes in float64: leave out --compute-dtype")
        exact = exact or bool(quantize_in or quantize_out)
        if quantize_in is not None:
            check_held(quantize_in, source)
            quantize_in = resolved(quantize_in, source, "--quantize-in")
        given = _given(source, quantize_in)
        if quantize_out is not None:
            if dtype is not None:
                raise UsageError("cannot have --dtype beside --quantize-out, which says it")
            if given.kind not in "fV":
                raise UsageError(
                    f"holds {source}, and --quantize-out is for floats: give --quantize-in too"
                )
            held = source if quantize_in is not None else None
            quantize_out = resolved(quantize_out, held, "--quantize-out")
            dtype = quantize_out.dtype
        path = dtype_path(chain, given)
        floating = path[-1].kind in "fV"
        # A parameter is a float32 where the tensor is of bfloat16
        natural = np.dtype("f4") if path[-1] == BFLOAT16 else path[-1].newbyteorder("=")
        steep = any(
            step.activation.in_float64(step.arguments)
            or any(map(_beyond_float32, step.arguments.values()))
            for step in chain.steps
        )
        wide = exact or steep or natural.itemsize == 8
        work = compute_dtype or np.dtype(np.float64 if wide else np.float32)
        result = dtype.newbyteorder(source.byteorder) if dtype is not None else path[-1]
        integer_steps = 0
        if given.kind in "iu":
            integer_steps = sum(d.kind in "iu" for d in path[1:])
        work = work if floating else natural
        return cls(
            chain, source, work, result, integer_steps, natural, exact, quantize_in, quantize_out
        )

    @property
    def given(self) -> np.dtype[Any]:
        """The dtype that goes into the first step."""
        return _given(self.source, self.quantize_in)

    @property
    def rounded(self) -> np.dtype[Any]:
        """The floating dtype that results are rounded to, before they are quantised."""
        return self.result if self.quantize_out is None else np.dtype(np.float32)

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
            self.quantize_in if first else None,
            self.quantize_out if last else None,
        )


def _given(source: np.dtype[Any], quantize_in: Quantization | None) -> np.dtype[Any]:
    """The dtype of what a tensor stands for."""
    return source if quantize_in is None else np.dtype("f4").newbyteorder(source.byteorder)


def _beyond_float32(value: Value) -> bool:
    """Whether a parameter is a finite number that float32 rounds to inf, or has few digits of."""
    if not isinstance(value, int | float):
        return False
    return 0 < abs(value) < 2**-126 or 2**128 - 2**103 <= abs(value) < math.inf


def dtype_path(chain: Chain, source: np.dtype[Any]) -> list[np.dtype[Any]]:
    """The dtype that goes into the chain, and the one that comes out of each step."""
    path = [source]
    for step in chain.steps:
        path.append(step.activation.result_dtype(path[-1], step.arguments))
    return path

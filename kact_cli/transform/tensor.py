"""A chain over one .npy tensor: what is decided before any work, and the three ways to do it.

Where both ends are files, workers read and write their own ranges. Where one is a pipe and one
pass from start to end will do, chunks go through in order. Otherwise the pipe is spooled to a
temporary file first (or last).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import NamedTuple

from kact_cli.chain import Chain
from kact_cli.engine.advice import SAMPLE, advise_tensor, advise_values
from kact_cli.engine.plan import TensorPlan, plan_tensor
from kact_cli.engine.program import Program
from kact_cli.engine.quantize import channel_axes, dequantized
from kact_cli.errors import DataError, prefixed
from kact_cli.files.source import Source
from kact_cli.files.target import Target, as_regular_file
from kact_cli.formats.declared import Format
from kact_cli.formats.npy import Header, NpyTensor, write_header
from kact_cli.options import Options
from kact_cli.transform.tensor_files import run_plan
from kact_cli.transform.tensor_pipe import pipeline


class TensorJob(NamedTuple):
    """Everything that is decided before any work."""

    header: Header
    program: Program
    plan: TensorPlan
    result: Header
    head: bytes
    """What stands before the elements of the result."""

    @classmethod
    def make(cls, chain: Chain, source: Source, options: Options) -> TensorJob:
        """Read the header of the .npy `source` and plan; raises DataError or UsageError."""
        header = NpyTensor.open(source, options.source_dtype).header
        return cls.of(chain, header, source.name, options, write_header)

    @classmethod
    def of(
        cls,
        chain: Chain,
        header: Header,
        name: str,
        options: Options,
        head: Callable[[Header], bytes],
    ) -> TensorJob:
        """Plan for the tensor `name`; `head` gives what its format puts before the elements."""
        with prefixed(name):
            program = Program.make(
                chain,
                header.dtype,
                dtype=options.dtype,
                compute_dtype=options.compute_dtype,
                exact=options.exact,
                quantize_in=options.quantize_in,
                quantize_out=options.quantize_out,
            )
            axes = channel_axes(program.quantize_in, program.quantize_out, header.shape)
        plan = plan_tensor(
            chain,
            header.shape,
            program.work,
            fortran_order=header.fortran_order,
            chunk_bytes=options.chunk_bytes,
            exact=program.exact,
            channels=axes,
        )
        result = header._replace(dtype=program.result)
        advise_tensor(chain, header.shape, options)
        text = head(result)
        return cls(header, program, plan, result._replace(offset=len(text)), text)

    @property
    def work_bytes(self) -> int:
        """What is read, all passes counted."""
        return (self.header.end - self.header.offset) * self.plan.passes

    def advise(self, tensor: NpyTensor, options: Options) -> None:
        """Warn of what the chain makes of the first rows of `tensor`, whose header was read."""
        shape = self.header.shape
        row = math.prod(shape[1:])
        if shape and self.header.size and row <= SAMPLE:
            rows = tensor.first_rows(min(shape[0], SAMPLE // row))
            if rows is not None and self.program.quantize_in is not None:
                whole = len(rows) == shape[0] or self.program.quantize_in.axis is None
                rows = dequantized(rows, self.program.quantize_in) if whole else None
            if rows is not None:
                advise_values(self.plan.chain, rows, options, shape[0])


def transform(
    chain: Chain,
    source: Source,
    found: Format,
    target: Target,
    wanted: Format,
    options: Options,
) -> None:
    """Apply `chain` to the .npy tensor `source` and write it to `target`."""
    job = TensorJob.make(chain, source, options)
    options.observer.start(job.work_bytes, job.plan.passes)
    run_job(job, source, target, options)
    extra = source.after(job.header.end)
    if extra:
        options.observer.warn(f"{source.name}: {extra} after the tensor were ignored")


def run_job(job: TensorJob, source: Source, target: Target, options: Options) -> None:
    """Do a job: its elements lie in `source` from the header's offset on, or come next."""
    watch = options.observer
    header, plan, result = job.header, job.plan, job.result
    job.advise(NpyTensor(source, header), options)
    text = memoryview(job.head)
    if plan.sequential and not (source.size is not None and target.seekable):
        target.allocate(result.end)
        target.write(memoryview(bytes(len(text))) if target.seekable else text)
        pipeline(job.program, plan, source, header.offset, target, options)
        if target.seekable:
            # Last, so that a run that is killed half-way leaves nothing that looks whole
            target.write(text, 0)
        return
    with contextlib.ExitStack() as stack:
        read, offset, out = source, header.offset, target
        if source.size is None:
            watch.note(f"{source.name} is spooled: it is read more than once, or not in order")
            size = header.end - header.offset
            read, offset = stack.enter_context(source.spool(size)), 0
            missing = size - (read.size or 0)
            if missing > 0:
                raise DataError(f"{source.name} is truncated: {missing:,} bytes are missing")
            if header.fortran_order:  # of a large one, no rows were to be had before
                job.advise(NpyTensor(read, header._replace(offset=0)), options)
        if not target.seekable:
            watch.note(f"{target.name} is spooled: it is not written from start to end")
            out = stack.enter_context(as_regular_file(target))
        out.allocate(result.end)
        run_plan(job.program, plan, read, offset, out, result.offset, options)
        out.write(text, 0)  # last, for the same reason

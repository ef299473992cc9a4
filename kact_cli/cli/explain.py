"""`kact explain SPEC [INPUT]`: what a chain would do, without doing it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from kact_cli.chain import Chain, Step, format_value
from kact_cli.cli.help import RUNNING, Command, option
from kact_cli.cli.options import ChainType, PathType, SizeType
from kact_cli.engine import dtype_path
from kact_cli.estimate import Estimate, human
from kact_cli.plan import Stage, resolve_axes
from kact_cli.storage import open_source
from kact_cli.stream import Options
from kact_cli.tensor import TensorJob


@click.command(
    cls=Command,
    examples=[
        "kact explain relu:alpha=0.1,softmax",
        "kact explain softmax:axis=0 logits.npy",
    ],
)
@click.argument("spec", type=ChainType())
@click.argument("input", required=False, type=PathType())
@option(
    RUNNING,
    "--chunk-size",
    "chunk_bytes",
    type=SizeType(),
    envvar="KACT_CHUNK_SIZE",
    help="As for `chain`.",
)
@option(
    RUNNING,
    "--jobs",
    "-j",
    type=click.IntRange(1, 1024),
    metavar="N",
    envvar="KACT_JOBS",
    help="As for `chain`.",
)
def command(spec: Chain, input: str | None, chunk_bytes: int | None, jobs: int | None) -> None:
    """Show what a chain would do: steps, passes, memory.

    Without INPUT, the steps with every parameter; with it, also dtypes, passes, chunks, peak
    memory and temporary disk. Nothing is computed, and of INPUT no more than its header is read.
    """
    if input is None:
        for number, step in enumerate(spec.steps, 1):
            click.echo(f"{number:3}  {_call(step)}\n       {step.activation.formula}")
        return
    with contextlib.closing(open_source(input)) as source:
        job = TensorJob.make(spec, source, Options(chunk_bytes=chunk_bytes, jobs=jobs))
        click.echo(f"{source.name}: {_tensor(job)}")
    for line in _lines(job, jobs):
        click.echo(line)


def _call(step: Step) -> str:
    return f"{step.name}({', '.join(f'{n}={format_value(v)}' for n, v in step.values)})"


def _tensor(job: TensorJob) -> str:
    header = job.header
    order = "Fortran" if header.fortran_order else "C"
    size = human(header.size * header.dtype.itemsize)
    return f"npy, {header.dtype}, shape {header.shape}, {order} order, {size}"


def _lines(job: TensorJob, jobs: int | None) -> Iterator[str]:
    plan, program = job.plan, job.program
    path = dtype_path(plan.chain, program.source)
    calls = [_call(step) for step in plan.chain.steps]
    width = max(map(len, calls))
    yield "steps"
    for number, (step, call) in enumerate(zip(plan.chain.steps, calls, strict=True)):
        along = ""
        if step.axis_name:
            lengths = [job.header.shape[a] for a in sorted(resolve_axes(step, job.header.shape))]
            along = f"  groups of {' x '.join(f'{n:,}' for n in lengths) or '1'}"
            along += _how(plan.stages, number)
        yield f"{number + 1:3}  {call:{width}}  {path[number]} -> {path[number + 1]}{along}"
    yield f"computed in {program.work}, rounded once to {program.result}"
    for number, stage in enumerate(plan.stages, 1):
        of = f"stage {number}: " if len(plan.stages) > 1 else ""
        passes = "1 pass" if stage.passes == 1 else f"{stage.passes} passes"
        chunk = human(stage.chunk_elements * program.work.itemsize)
        chunks = len(stage.slabs) * len(stage.chunks(0))
        yield f"{of}{passes} over the tensor, {chunks:,} chunks of {chunk}"
    estimate = Estimate.make(job.program, plan, jobs)
    yield f"workers {estimate.workers}, peak memory about {human(estimate.memory)}"
    yield f"temporary disk {human(estimate.disk)}"
    if not plan.sequential:
        yield f"from or to a pipe: {human(estimate.spooled)} more, where it is spooled"


def _how(stages: tuple[Stage, ...], step: int) -> str:
    for stage in stages:
        for reduction in stage.reductions:
            if stage.first + reduction.step == step:
                return ", streamed twice" if reduction.streamed else ", each within a chunk"
    return ""

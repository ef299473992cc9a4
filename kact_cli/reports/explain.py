"""What a chain would do to an input, in words: what `kact explain` prints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kact_cli.chain import Chain, Step, format_value, resolve_axes
from kact_cli.engine.advice import of_chain
from kact_cli.engine.plan import Stage
from kact_cli.engine.program import dtype_path
from kact_cli.engine.quantize import described
from kact_cli.errors import prefixed
from kact_cli.files.source import Source, open_source
from kact_cli.formats.declared import Format
from kact_cli.formats.detect import check_typed, detect
from kact_cli.formats.npy import NpyTensor
from kact_cli.messages import human
from kact_cli.options import Options
from kact_cli.reports.estimate import Estimate
from kact_cli.transform.tensor import TensorJob
from kact_cli.types import dtype_name

if TYPE_CHECKING:
    from kact_cli.tables.job import TableJob


def explain(chain: Chain, path: str | None, options: Options) -> Iterator[str]:
    """The lines that say what `chain` would do to the file at `path`, or (None) to any tensor.

    Nothing is written, and no more is read than the header, the schema and the first rows.
    """
    if path is None:
        for message in of_chain(chain):
            options.observer.warn(message)
        for number, step in enumerate(chain.steps, 1):
            yield f"{number:3}  {_call(step)}"
            yield f"       {step.activation.formula}"
        return
    with contextlib.closing(open_source(path)) as source, prefixed(source.name):
        found = detect(source, options.source_format)
        check_typed(options, [found], [found])
        if found.kind == "tensor":
            job = TensorJob.make(chain, source, options)
            job.advise(NpyTensor(source, job.header), options)
            yield f"{source.name}: npy, {_tensor(job)}"
            yield from _tensor_lines(job, options.jobs)
        elif found.kind == "archive":
            yield from _archive_lines(chain, source, found, options)
        else:
            yield from _table_lines(chain, source, found, options)


def _archive_lines(chain: Chain, source: Source, found: Format, options: Options) -> Iterator[str]:
    from kact_cli.formats.open import archive_reader, archive_writer

    with contextlib.ExitStack() as stack:
        if source.size is None:
            source = stack.enter_context(source.spool())
        reader = archive_reader(found, source, options)
        chosen = reader.selected(options)
        counts = f"{len(chosen)} of {len(reader.members)} members computed"
        yield f"{source.name}: {found.name}, {counts}"
        for i in chosen:
            head = archive_writer(found).head
            job = TensorJob.of(chain, reader.tensor(i), reader.called(i), options, head)
            yield f"{reader.members[i].name}: {reader.members[i].compression}, {_tensor(job)}"
            yield from (f"  {line}" for line in _tensor_lines(job, options.jobs))


def _call(step: Step) -> str:
    return f"{step.name}({', '.join(f'{n}={format_value(v)}' for n, v in step.values)})"


def _tensor(job: TensorJob) -> str:
    header = job.header
    order = "Fortran" if header.fortran_order else "C"
    size = human(header.size * header.dtype.itemsize)
    return f"{dtype_name(header.dtype)}, shape {header.shape}, {order} order, {size}"


def _tensor_lines(job: TensorJob, jobs: int | None) -> Iterator[str]:
    plan, program = job.plan, job.program
    names = [dtype_name(dtype) for dtype in dtype_path(plan.chain, program.given)]
    calls = [_call(step) for step in plan.chain.steps]
    width = max(map(len, calls))
    yield "steps"
    for number, (step, call) in enumerate(zip(plan.chain.steps, calls, strict=True)):
        along = ""
        if step.axis_name:
            lengths = [job.header.shape[a] for a in sorted(resolve_axes(step, job.header.shape))]
            along = f"  groups of {' x '.join(f'{n:,}' for n in lengths) or '1'}"
            along += _how(plan.stages, number)
        yield f"{number + 1:3}  {call:{width}}  {names[number]} -> {names[number + 1]}{along}"
    if program.quantize_in is not None:
        yield f"dequantised from {described(program.quantize_in)}"
    yield f"computed in {program.work}, rounded once to {dtype_name(program.rounded)}"
    if program.quantize_out is not None:
        yield f"quantised to {described(program.quantize_out)}"
    for number, stage in enumerate(plan.stages, 1):
        of = f"stage {number}: " if len(plan.stages) > 1 else ""
        passes = "1 pass" if stage.passes == 1 else f"{stage.passes} passes"
        chunk = human(stage.chunk_elements * program.work.itemsize)
        chunks = len(stage.slabs) * len(stage.chunks(0)) if len(stage.slabs) else 0
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
                if not reduction.streamed:
                    return ", each within a chunk"
                return ", streamed twice" if reduction.rounds == 1 else ", streamed three times"
    return ""


def _table_lines(chain: Chain, source: Source, found: Format, options: Options) -> Iterator[str]:
    from kact_cli.formats.open import open_reader
    from kact_cli.tables.job import TableJob, TableRun

    with contextlib.ExitStack() as stack:
        if source.size is None and found.seeks:
            source = stack.enter_context(source.spool())
        reader = open_reader(found, source, options)
        job = TableJob.make(chain, reader.schema, options)
        run = TableRun(job)
        first: Any = next(reader.batches(job.sources), None)
        for number in range(len(job.parts) if first is not None else 0):
            run.look(number, run.taken(number, dict(zip(job.sources, first.columns, strict=True))))
        shape = f"{reader.rows:,} rows" if reader.rows is not None else "rows as they come"
        yield f"{source.name}: {found.name}, {shape}, {len(job.schema)} columns"
        yield from _columns(job)
        if reader.nulls:
            yield f"  null is {', '.join(reader.nulls)}"
    yield "steps"
    for number, step in enumerate(chain.steps):
        down = any(r.step == number and r.streamed for part in job.parts for r in part.reductions)
        yield f"{number + 1:3}  {_call(step)}{'  down all rows' if down else ''}"
    yield "1 pass over the rows" if job.passes == 1 else f"{job.passes} passes over the rows"
    if source.size is None and job.passes > 1:
        yield "the pipe is spooled to a temporary file"


def _columns(job: TableJob) -> Iterator[str]:
    work = {i: str(part.program.work) for part in job.parts for i in part.columns}
    shown = [*range(len(job.schema)), *(i for i in work if i >= len(job.schema))]
    width = max((len(job.fields[i].column.name) for i in shown), default=0)
    for i in shown:
        field = job.fields[i]
        name = f"{field.column.name:{width}}"
        if i not in work:
            yield f"  {name}  passes through  {field.type}"
            continue
        changed = "" if field.type == job.types[i] else f" -> {job.types[i]}"
        in_place = job.options.suffix is None
        added = "" if in_place else f", added as {job.result.names[job.computed[i]]}"
        yield f"  {name}  tensor          {field.type}{changed}, in {work[i]}{added}"
    together = [part for part in job.parts if len(part.columns) > 1]
    for part in together:
        yield f"  {len(part.columns)} columns are one tensor of shape (rows, {len(part.columns)})"

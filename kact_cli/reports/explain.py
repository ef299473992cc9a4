"""What a chain would do to an input: what `kact explain` tells."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
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
from kact_cli.options import Options
from kact_cli.parallel.pools import worker_count
from kact_cli.reports.estimate import Estimate, estimate_table
from kact_cli.transform.tensor import TensorJob
from kact_cli.types import dtype_name

if TYPE_CHECKING:
    from kact_cli.tables.columns import Column
    from kact_cli.tables.job import TableJob


def explain(chain: Chain, path: str | None, options: Options) -> dict[str, Any]:
    """What `chain` would do to the file at `path`, or (None) to any tensor, as JSON has it.

    `steps` has each step with its parameters; of a file there are `input`, `format` and `bytes`,
    and `tensors`, each with its steps, stages and what it needs, or, of a table, `columns`.
    Nothing is written, and no more is read than the header, the schema and the first rows.
    """
    if path is None:
        for message in of_chain(chain):
            options.observer.warn(message)
        formulas = [step.activation.formula for step in chain.steps]
        steps = zip(chain.steps, formulas, strict=True)
        return {"steps": [{"step": _call(step), "formula": formula} for step, formula in steps]}
    with contextlib.closing(open_source(path)) as source, prefixed(source.name):
        found = detect(source, options.source_format)
        check_typed(options, [found], [found])
        if found.kind == "tensor":
            job = TensorJob.make(chain, source, options)
            job.advise(NpyTensor(source, job.header), options)
            what: dict[str, Any] = {"tensors": [_tensor(job, options.jobs)]}
        elif found.kind == "archive":
            what = _archive(chain, source, found, options)
        else:
            what = _table(chain, source, found, options)
        return {"input": source.name, "format": found.name, "bytes": source.size, **what}


def _archive(chain: Chain, source: Source, found: Format, options: Options) -> dict[str, Any]:
    from kact_cli.formats.open import archive_reader, archive_writer

    with contextlib.ExitStack() as stack:
        if source.size is None:
            source = stack.enter_context(source.spool())
        reader = archive_reader(found, source, options)
        tensors = []
        for i in reader.selected(options):
            head = archive_writer(found).head
            job = TensorJob.of(chain, reader.tensor(i), reader.called(i), options, head)
            member = reader.members[i]
            kept = {"member": member.name, "compression": member.compression}
            tensors.append({**kept, **_tensor(job, options.jobs)})
        return {"members": len(reader.members), "tensors": tensors}


def _call(step: Step) -> str:
    return f"{step.name}({', '.join(f'{n}={format_value(v)}' for n, v in step.values)})"


def _tensor(job: TensorJob, jobs: int | None) -> dict[str, Any]:
    header, plan, program = job.header, job.plan, job.program
    dtypes = [dtype_name(dtype) for dtype in dtype_path(plan.chain, program.given)]
    steps: list[dict[str, Any]] = []
    for number, step in enumerate(plan.chain.steps):
        steps.append({"step": _call(step), "from": dtypes[number], "to": dtypes[number + 1]})
        if step.axis_name:
            lengths = [header.shape[a] for a in sorted(resolve_axes(step, header.shape))]
            reads = _reads(plan.stages, number)
            steps[-1] |= {"values_at_a_time": math.prod(lengths), "reads": reads}
    estimate = Estimate.make(program, plan, jobs)
    quantised = {"dequantised": program.quantize_in, "quantised": program.quantize_out}
    return {
        "dtype": dtype_name(header.dtype),
        "shape": list(header.shape),
        "order": "Fortran" if header.fortran_order else "C",
        "bytes": header.size * header.dtype.itemsize,
        "steps": steps,
        **{name: described(rule) for name, rule in quantised.items() if rule is not None},
        "computed_in": str(program.work),
        "result": dtype_name(program.rounded),
        "stages": [
            {
                "passes": stage.passes,
                "chunks": len(stage.slabs) * len(stage.chunks(0)) if len(stage.slabs) else 0,
                "chunk_bytes": stage.chunk_elements * program.work.itemsize,
            }
            for stage in plan.stages
        ],
        "read_bytes": job.work_bytes,
        "output_bytes": job.result.end,
        "workers": estimate.workers,
        "memory": estimate.memory,
        "temporary_disk": estimate.disk,
        "temporary_disk_of_a_pipe": 0 if plan.sequential else estimate.spooled,
    }


def _reads(stages: tuple[Stage, ...], step: int) -> int:
    """How often the values of a step's groups are read."""
    for stage in stages:
        for reduction in stage.reductions:
            if stage.first + reduction.step == step:
                return 1 + reduction.rounds if reduction.streamed else 1
    return 1


def _table(chain: Chain, source: Source, found: Format, options: Options) -> dict[str, Any]:
    from kact_cli.formats.open import open_reader
    from kact_cli.tables.job import TableJob, TableRun

    pipe = source.size is None
    with contextlib.ExitStack() as stack:
        if pipe and found.seeks:
            source = stack.enter_context(source.spool())
        reader = open_reader(found, source, options)
        job = TableJob.make(chain, reader.schema, options)
        run = TableRun(job)
        first: Any = next(reader.batches(job.sources), None)
        for number in range(len(job.parts) if first is not None else 0):
            run.look(number, run.taken(number, dict(zip(job.sources, first.columns, strict=True))))
        steps = []
        for number, step in enumerate(chain.steps):
            down = any(r.step == number and r.streamed for p in job.parts for r in p.reductions)
            steps.append({"step": _call(step), "down_all_rows": down})
        facts = reader.facts()
        widest = max((len(part.columns) for part in job.parts), default=0)
        return {
            "rows": reader.rows,
            "columns": _columns(job, reader.fields),
            "null": list(reader.nulls),
            "steps": steps,
            "passes": job.passes,
            "chunks": facts.get("row_groups", facts.get("record_batches")),
            "workers": worker_count(options.jobs),
            "memory": estimate_table(options.jobs, widest),
            "temporary_disk": (source.size if pipe and found.seeks else None)
            if pipe and (found.seeks or job.passes > 1)
            else 0,
        }


def _columns(job: TableJob, fields: Sequence[Column]) -> list[dict[str, Any]]:
    """Every column, of the type that the reader says; of those that are computed: to what, in what,
    beside how many others."""
    computed = {i: part for part in job.parts for i in part.columns}
    from kact_cli.tables.schema import type_name

    found: list[dict[str, Any]] = []
    for i in (*range(len(job.schema)), *(i for i in computed if i >= len(job.schema))):
        found.append({"name": fields[i].name, "type": fields[i].type})
        if i in computed:
            part = computed[i]
            found[-1] |= {"result": type_name(job.types[i]), "computed_in": str(part.program.work)}
            found[-1]["tensor_of_columns"] = len(part.columns)
            if job.options.suffix is not None:
                found[-1]["added_as"] = job.result.names[job.computed[i]]
    return found

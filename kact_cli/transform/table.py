"""A table from one format to another, as record batches from a reader to a writer."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pyarrow as pa

from kact_cli.chain import Chain
from kact_cli.errors import DataError, prefixed
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.formats.arrow.read import spooled_rows
from kact_cli.formats.base import FAULTS, TableReader, TableWriter
from kact_cli.formats.declared import Format
from kact_cli.formats.open import open_reader, open_writer
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.parallel.pools import in_order, thread_pool
from kact_cli.tables.job import TableJob, TableRun
from kact_cli.transform.rows import announce, counted_columns, spooled_to_seek


def transform(
    chain: Chain,
    source: Source,
    found: Format,
    target: Target,
    wanted: Format,
    options: Options,
) -> None:
    """Apply `chain` to the table `source` and write it to `target` in the format `wanted`."""
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(spooled_to_seek(source, found, options))
        reader = stack.enter_context(contextlib.closing(open_reader(found, source, options)))
        if found.kind == "tensor" and reader.columns:  # all of it takes part, whatever its dtype
            options = replace(options, columns=("*",))
        job = TableJob.make(chain, reader.schema, options)
        if wanted.kind == "tensor" and (dropped := job.dropped(options)):
            options.observer.warn(f"{target.name} is left without the columns {listed(dropped)}")
        rows: TableReader = reader
        if source.size is None and job.passes > 1:
            options.observer.note(f"{source.name} is spooled: it is read {job.passes} times")
            rows = stack.enter_context(spooled_rows(reader, source.name, options))
        run = TableRun(job)
        announce(job, rows.rows or 0, options)
        for passed in range(job.passes - 1):
            run.collect(passed, counted_columns(rows, job.streamed_columns, options))
        with prefixed(target.name, *FAULTS):
            computed = tuple(job.computed.values())
            writer = open_writer(wanted, target, job.result, computed, options, reader)
        try:
            count = _pump(run, rows, writer, target.name, options)
            if reader.rows is not None and count != reader.rows:
                raise DataError(f"{source.name}: {count:,} of {reader.rows:,} rows were read")
            with prefixed(target.name, *FAULTS):
                writer.close()
        except BaseException:
            writer.abandon()
            raise
        for remark in reader.remarks():
            options.observer.warn(f"{source.name}: {remark}")


def _pump(
    run: TableRun, reader: TableReader, writer: TableWriter, name: str, options: Options
) -> int:
    """Read, compute on several threads, write in order; returns the number of rows."""
    rows = 0

    def compute(batch: pa.RecordBatch) -> tuple[int, Any]:
        computed = run.batch(batch)
        with prefixed(name, *FAULTS):
            return computed.num_rows, writer.prepared(computed)

    with thread_pool(options.jobs) as (pool, count):
        for done, prepared in in_order(pool, count + 1, compute, reader.batches()):
            with prefixed(name, *FAULTS):
                writer.write(prepared)
            rows += done
            options.observer.advance(done * len(run.job.selected))
    return rows

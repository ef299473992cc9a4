"""A table from one format to another, as record batches from a reader to a writer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import pyarrow as pa

from kact_cli.chain import Chain
from kact_cli.errors import DataError
from kact_cli.files.source import Source, temporary
from kact_cli.files.target import Target
from kact_cli.formats.base import TableReader, naming
from kact_cli.formats.declared import ARROW_STREAM, NPY, Format
from kact_cli.formats.open import open_reader, open_writer
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.parallel.pools import in_order, thread_pool
from kact_cli.tables.job import TableJob, TableRun
from kact_cli.transform.rows import announce, counted_columns, spooled_to_seek


def transform_table(
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
        job = TableJob.make(chain, reader.schema, options)
        if wanted is NPY and (dropped := job.dropped(options)):
            options.observer.warn(f"{target.name} is left without the columns {listed(dropped)}")
        if source.size is None and job.passes > 1:
            options.observer.note(f"{source.name} is spooled: it is read {job.passes} times")
            arrow = stack.enter_context(contextlib.closing(_spool(reader, source, options)))
            _remarks(source, reader, options)
            reader = open_reader(ARROW_STREAM, arrow, options)
        run = TableRun(job)
        announce(job, reader.rows or 0, options)
        for passed in range(job.passes - 1):
            run.collect(passed, counted_columns(reader, job.streamed_columns, options))
        with naming(target.name):
            writer = open_writer(wanted, target, job.result, job.selected, options, reader)

        def write(batch: pa.RecordBatch) -> None:
            with naming(target.name):
                writer.write(batch)

        try:
            rows = _pump(run, reader, write, options)
            if reader.rows is not None and rows != reader.rows:
                raise DataError(f"{source.name}: {rows:,} of {reader.rows:,} rows were read")
            with naming(target.name):
                writer.close()
        except BaseException:
            writer.abandon()
            raise
        _remarks(source, reader, options)


def _pump(
    run: TableRun,
    reader: TableReader,
    write: Callable[[pa.RecordBatch], None],
    options: Options,
) -> int:
    """Read, compute on several threads, write in order; returns the number of rows."""
    rows = 0
    with thread_pool(options.jobs) as (pool, count):
        for batch in in_order(pool, count + 1, run.batch, reader.batches()):
            write(batch)
            rows += batch.num_rows
            options.observer.advance(batch.num_rows * len(run.job.selected))
    return rows


def _remarks(source: Source, reader: TableReader, options: Options) -> None:
    for remark in reader.remarks():
        options.observer.warn(f"{source.name}: {remark}")


def _spool(reader: TableReader, source: Source, options: Options) -> Source:
    """The rows that a stream will give, as a temporary Arrow stream that can be read again."""
    spooled = temporary(source.name)
    try:
        spooled.create()
        with Target(f"/dev/fd/{os.dup(spooled.fd)}") as out:
            writer = open_writer(ARROW_STREAM, out, reader.schema, (), options, reader)
            for batch in reader.batches():
                writer.write(batch)
            writer.close()
        spooled.size = os.fstat(spooled.fd).st_size
    except BaseException:
        spooled.close()
        raise
    return spooled

"""Parquet to Parquet, column chunk by column chunk where the file allows it."""

from __future__ import annotations

import contextlib

import pyarrow as pa

from kact_cli.chain import Chain
from kact_cli.errors import prefixed
from kact_cli.files.source import Source
from kact_cli.files.target import Target, as_regular_file
from kact_cli.formats.declared import Format
from kact_cli.formats.parquet.footer import ENCRYPTED_MAGIC, NotByChunkError
from kact_cli.formats.parquet.plan import RewritePlan, plan_rewrite
from kact_cli.formats.parquet.read import RowGroupReader
from kact_cli.formats.parquet.rewrite import rewrite
from kact_cli.formats.parquet.table import ParquetReader
from kact_cli.options import Options
from kact_cli.parallel.pools import thread_pool
from kact_cli.tables.job import TableJob, TableRun
from kact_cli.transform import table
from kact_cli.transform.rows import announce, counted_columns, spooled_to_seek


def transform(
    chain: Chain,
    source: Source,
    found: Format,
    target: Target,
    wanted: Format,
    options: Options,
) -> None:
    """Apply `chain` to a Parquet file; columns that are not computed are copied as bytes.

    Files that cannot be rewritten so (encrypted ones, changed types, odd layouts) go the general
    way, as record batches.
    """
    with spooled_to_seek(source, found, options) as read:
        planned = _plan(chain, read, options)
        if planned is None:
            table.transform(chain, read, found, target, wanted, options)
        else:
            _rewrite(*planned, read, target, options)


def _plan(chain: Chain, source: Source, options: Options) -> tuple[TableJob, RewritePlan] | None:
    """What is to be done, or None, with a note that says why, for the general way."""
    if source.peek(len(ENCRYPTED_MAGIC)) == ENCRYPTED_MAGIC:
        return None
    path = source.openable()
    with prefixed(source.name, OSError):
        schema = RowGroupReader(path).schema
        job = TableJob.make(chain, schema, options)
        if options.suffix is not None or job.result != schema:
            why = "types change" if options.suffix is None else "columns are added"
            options.observer.note(f"{why}: Parquet is written anew")
            return None
        if any(len(job.fields[i].path) > 1 for i in job.selected):
            options.observer.note("fields of structs are computed: Parquet is written anew")
            return None
        try:
            return job, plan_rewrite(path, job.names, across=job.across)
        except NotByChunkError as e:
            options.observer.note(f"Parquet is written anew: {e}")
            return None


def _rewrite(
    job: TableJob, plan: RewritePlan, source: Source, target: Target, options: Options
) -> None:
    run = TableRun(job)
    announce(job, plan.metadata.num_rows, options)
    if job.passes > 1:
        with contextlib.closing(ParquetReader(source, options)) as reader:
            for passed in range(job.passes - 1):
                run.collect(passed, counted_columns(reader, job.streamed_columns, options))

    def computed(batch: pa.RecordBatch) -> list[pa.Array]:
        options.observer.advance(batch.num_rows * batch.num_columns)
        return run.named(batch)

    with (
        as_regular_file(target) as out,
        thread_pool(options.jobs) as (_, workers),
        # Errors in reading are DataErrors already
        prefixed(out.name, OSError),
        prefixed(source.name),
    ):
        rewrite(plan, out.fd, computed, workers=workers)

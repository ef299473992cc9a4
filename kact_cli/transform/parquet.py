"""Parquet to Parquet, column chunk by column chunk where the file allows it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pyarrow as pa

from kact_cli.chain import Chain
from kact_cli.errors import prefixed
from kact_cli.files.source import Source
from kact_cli.files.target import Target, as_regular_file
from kact_cli.formats.declared import Format
from kact_cli.formats.parquet.plan import NotByChunkError, RewritePlan, plan_rewrite
from kact_cli.formats.parquet.read import Description
from kact_cli.formats.parquet.rewrite import rewrite
from kact_cli.formats.parquet.table import ParquetReader
from kact_cli.options import Options
from kact_cli.parallel.pools import worker_count
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

    So are the sources of columns that are added beside them. What cannot be rewritten so (see
    `plan_rewrite`) goes the general way, as record batches.
    """
    with spooled_to_seek(source, found, options) as read:
        with prefixed(read.name, OSError):
            described = Description.of(read.openable(), options)
            job = TableJob.make(chain, described.schema, options)
            try:
                plan = plan_rewrite(described, job.result, job.computed, across=job.across)
            except NotByChunkError as e:
                options.observer.note(f"Parquet is written anew: {e}")
                plan = None
        if plan is None:
            table.transform(chain, read, found, target, wanted, options)
        else:
            _rewrite(job, plan, read, target, options)


def _rewrite(
    job: TableJob, plan: RewritePlan, source: Source, target: Target, options: Options
) -> None:
    run = TableRun(job)
    announce(job, plan.source.footer.rows, options)
    if job.passes > 1:
        with contextlib.closing(ParquetReader(source, options, plan.source)) as reader:
            for passed in range(job.passes - 1):
                run.collect(passed, counted_columns(reader, job.streamed_columns, options))

    def computed(columns: Sequence[int], batch: pa.RecordBatch) -> list[pa.Array]:
        options.observer.advance(batch.num_rows * batch.num_columns)
        return run.columns(columns, batch.columns)

    with (
        as_regular_file(target) as out,
        # Errors in reading are DataErrors already
        prefixed(out.name, OSError),
        prefixed(source.name),
    ):
        rewrite(plan, out.fd, computed, workers=worker_count(options.jobs))

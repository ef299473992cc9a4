"""A chain over a table in a file: the ways from one to another.

Parquet to Parquet goes column chunk by column chunk, where the file allows it; CSV to CSV block by
block of text. Everything else is record batches from a reader to a writer.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from kact_cli import formats
from kact_cli.chain import Chain
from kact_cli.columns import listed
from kact_cli.errors import DataError
from kact_cli.formats.tables import TableReader, TableWriter, naming
from kact_cli.storage import Source
from kact_cli.stream import Options
from kact_cli.table import TableJob, Work
from kact_cli.target import Target, seekable
from kact_cli.workers import in_order, thread_pool


def transform_table(
    chain: Chain,
    source: Source,
    found: formats.Format,
    target: Target,
    wanted: formats.Format,
    options: Options,
) -> None:
    """Apply `chain` to the table `source` and write it to `target` in the format `wanted`."""
    if found is formats.CSV and wanted is formats.CSV:
        from kact_cli.text import transform_csv, translates

        if not translates(source.name, target.name):
            transform_csv(chain, source, target, options)
            return
    with contextlib.ExitStack() as stack:
        if source.size is None and found.seeks:
            options.observer.note(f"{source.name} is spooled: {found.name} is not read in order")
            source = stack.enter_context(contextlib.closing(source.spool()))
        if found is wanted is formats.PARQUET and _by_chunks(chain, source, target, options):
            return
        reader = stack.enter_context(contextlib.closing(open_reader(found, source, options)))
        job = TableJob.make(chain, reader.schema, options)
        if source.size is None and job.passes > 1:
            options.observer.note(f"{source.name} is spooled: it is read {job.passes} times")
            arrow = stack.enter_context(contextlib.closing(_spool(reader, source)))
            _remarks(source, reader, options)
            reader = open_reader(formats.ARROW_STREAM, arrow, options)
        work = Work(job)
        _start(job, getattr(reader, "rows", 0), options)
        for passed in range(job.passes - 1):
            work.collect(passed, _columns(reader, job.streamed_columns, options))
        if wanted.kind == "tensor":
            _to_tensor(work, source, reader, target, options)
        else:
            with naming(target.name):
                writer = open_writer(wanted, target, job, reader, options)

            def write(batch: pa.RecordBatch) -> None:
                with naming(target.name):
                    writer.write(batch)

            try:
                rows = _pump(work, reader, write, options)
                _check_rows(source, reader, rows)
                with naming(target.name):
                    writer.close()
            except BaseException:
                writer.abandon()
                raise
        _remarks(source, reader, options)


def open_reader(found: formats.Format, source: Source, options: Options) -> TableReader:
    """The reader of a format; each is a module of `formats`."""
    if found is formats.PARQUET:
        from kact_cli.formats import parquet

        return parquet.Reader(source)
    if found is formats.CSV:
        from kact_cli.text import Reader

        return Reader(source, options)
    if found is formats.NPY:
        from kact_cli.formats import npy_table

        return npy_table.Reader(source)
    from kact_cli.formats import ipc

    if found is formats.ARROW:
        return ipc.FileReader(source)
    return ipc.StreamReader(source)


def open_writer(
    wanted: formats.Format,
    target: Target,
    job: TableJob,
    reader: TableReader,
    options: Options,
) -> TableWriter:
    """The writer of a table format, for the job's result."""
    if wanted is formats.PARQUET:
        from kact_cli.formats import parquet

        like = reader if isinstance(reader, parquet.Reader) else None
        return parquet.Writer(target, job.result, job.selected, like)
    if wanted is formats.CSV:
        from kact_cli import text

        csv = reader if isinstance(reader, text.Reader) else None
        return text.Writer(target, job.result, options, csv)
    from kact_cli.formats import ipc

    arrow = reader if isinstance(reader, ipc.StreamReader | ipc.FileReader) else None
    return ipc.Writer(target, job.result, arrow, stream=wanted is formats.ARROW_STREAM)


def _start(job: TableJob, rows: int, options: Options) -> None:
    """Say how much work there is, all passes counted."""
    names = [job.schema.names[i] for i in job.selected]
    options.observer.note(f"columns: {listed(names)}")
    columns = len(job.selected) + (job.passes - 1) * len(job.streamed_columns)
    options.observer.start(rows * columns, job.passes, "values")


def _columns(
    reader: TableReader, columns: Sequence[int], options: Options
) -> Iterator[Sequence[pa.Array]]:
    for batch in reader.batches(columns):
        options.observer.advance(batch.num_rows * len(columns))
        yield batch.columns


def _pump(
    work: Work,
    reader: TableReader,
    write: Callable[[pa.RecordBatch], None],
    options: Options,
) -> int:
    """Read, compute on several threads, write in order; returns the number of rows."""
    rows = 0
    with thread_pool(options.jobs) as (pool, count):
        for batch in in_order(pool, count + 1, work.batch, reader.batches()):
            write(batch)
            rows += batch.num_rows
            options.observer.advance(batch.num_rows * len(work.job.selected))
    return rows


def _check_rows(source: Source, reader: TableReader, rows: int) -> None:
    expected = getattr(reader, "rows", None)
    if expected is not None and rows != expected:
        raise DataError(f"{source.name}: {rows:,} of {expected:,} rows were read")


def _remarks(source: Source, reader: TableReader, options: Options) -> None:
    for remark in reader.remarks():
        options.observer.warn(f"{source.name}: {remark}")


def _spool(reader: TableReader, source: Source) -> Source:
    """The rows that a stream will give, as a temporary Arrow stream that can be read again."""
    from kact_cli.formats import ipc
    from kact_cli.storage import temporary

    spooled = temporary(source.name)
    try:
        spooled.create()
        with Target(f"/dev/fd/{os.dup(spooled.fd)}") as out:
            like = reader if isinstance(reader, ipc.StreamReader) else None
            writer = ipc.Writer(out, reader.schema, like, stream=True)
            for batch in reader.batches():
                writer.write(batch)
            writer.close()
        spooled.size = os.fstat(spooled.fd).st_size
    except BaseException:
        spooled.close()
        raise
    return spooled


def _by_chunks(chain: Chain, source: Source, target: Target, options: Options) -> bool:
    """Rewrite Parquet column chunk by column chunk; False where that cannot be done."""
    from kact_cli.formats.parquet import Reader
    from kact_cli.formats.parquet_chunks import rewrite
    from kact_cli.formats.parquet_footer import ENCRYPTED_MAGIC, NotByChunkError
    from kact_cli.formats.parquet_plan import plan_rewrite
    from kact_cli.formats.parquet_units import Source as Columns

    if source.peek(len(ENCRYPTED_MAGIC)) == ENCRYPTED_MAGIC:
        return False
    path = source.openable()
    with _named(source):
        schema = Columns(path).schema
        job = TableJob.make(chain, schema, options)
        if job.result != schema:
            options.observer.note("types change: Parquet is written anew")
            return False
        names = schema.names
        try:
            plan = plan_rewrite(path, [names[i] for i in job.selected], across=job.across)
        except NotByChunkError as e:
            options.observer.note(f"Parquet is written anew: {e}")
            return False
    work = Work(job)
    _start(job, plan.metadata.num_rows, options)

    def computed(batch: pa.RecordBatch) -> list[pa.Array]:
        options.observer.advance(batch.num_rows * batch.num_columns)
        return work.named(batch)

    if job.passes > 1:
        with contextlib.closing(Reader(source)) as reader:
            for passed in range(job.passes - 1):
                work.collect(passed, _columns(reader, job.streamed_columns, options))
    with seekable(target) as fd, thread_pool(options.jobs) as (_, workers), _named(source):
        try:
            rewrite(plan, fd, computed, workers=workers)
        except OSError as e:
            raise OSError(e.errno, e.strerror, target.name) from e
    return True


@contextlib.contextmanager
def _named(source: Source) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except DataError as e:
        raise DataError(f"{source.name}: {e}") from e


def _to_tensor(
    work: Work, source: Source, reader: TableReader, target: Target, options: Options
) -> None:
    from kact_cli.formats.npy_table import Writer

    job = work.job
    left = [n for i, n in enumerate(job.schema.names) if i not in job.selected]
    if left:
        options.observer.note(f"a .npy holds numbers only; left out: {listed(left)}")
    with seekable(target) as fd:
        writer = Writer(fd, job.result, job.selected)
        rows = _pump(work, reader, writer.write, options)
        _check_rows(source, reader, rows)
        writer.close()

"""Reading the rows of a table for its tensor, with what the observer is told of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pyarrow as pa

from kact_cli.files.source import Source
from kact_cli.formats.base import TableReader
from kact_cli.formats.declared import Format
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.tables.job import TableJob


def announce(job: TableJob, rows: int, options: Options) -> None:
    """Say how much work there is, all passes counted."""
    options.observer.note(f"columns: {listed(job.names)}")
    columns = len(job.selected) + (job.passes - 1) * len(job.streamed_columns)
    options.observer.start(rows * columns, job.passes, "values")


def counted_columns(
    reader: TableReader, columns: Sequence[int], options: Options
) -> Iterator[Sequence[pa.Array]]:
    for batch in reader.batches(columns):
        options.observer.advance(batch.num_rows * len(columns))
        yield batch.columns


@contextlib.contextmanager
def spooled_to_seek(source: Source, found: Format, options: Options) -> Iterator[Source]:
    """`source`, or a temporary file of what a pipe gives, where its format is not read in order."""
    if source.size is not None or not found.seeks:
        yield source
        return
    options.observer.note(f"{source.name} is spooled: {found.name} is not read in order")
    with source.spool() as spooled:
        yield spooled

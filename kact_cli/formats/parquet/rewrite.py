"""Parquet to Parquet by column chunk: what is not computed is copied as bytes.

A new file gets the old one's column chunks as they are, new ones for the columns that are computed,
and the old footer with new places, sizes and statistics. So everything else in the file (encodings,
dictionaries, checksums, indexes, bloom filters, metadata, the schema) stays by construction, and
costs what copying it costs. `plan_rewrite` says whether a file can be treated so; the others need a
reader and a writer of the whole table.

The footer keeps its created_by: readers look there for the bugs of the writer of the statistics and
pages, and most of those are still the old writer's. What is encoded here has none that they know.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from kact_cli.errors import DataError
from kact_cli.files.descriptors import copy_range, opened, reserve, size_of, write_full
from kact_cli.formats.parquet.encode import (
    PAGE_BYTES,
    Compute,
    EncodeUnit,
    encode_unit,
)
from kact_cli.formats.parquet.footer import MAGIC, Meta, chunk_meta, chunk_span
from kact_cli.formats.parquet.output import OutputOrder, Region, Stopped
from kact_cli.formats.parquet.pages import EncodedChunk
from kact_cli.formats.parquet.plan import RewritePlan
from kact_cli.formats.parquet.read import RowGroupReader
from kact_cli.formats.parquet.row_group import (
    FinishedGroup,
    MovedRowGroup,
    page_format,
    write_indexes,
)
from kact_cli.parallel.pools import in_order, thread_pool

UNIT_BYTES = 1 << 20
"""Of values: smaller column chunks are done several at a time."""
BATCH_BYTES = 8 << 20
"""Of values decoded and computed at a time, where columns are computed together."""
MAX_BATCH = 1 << 18
"""Rows, where they hold next to nothing."""
PIECE_BYTES = 16 << 20
"""Copied by one task."""


@dataclass(frozen=True)
class Copy:
    """Bytes of adjacent column chunks; `leaves` are those that start with them."""

    start: int
    size: int
    leaves: tuple[int, ...]


@dataclass(frozen=True)
class Encode:
    """A unit, and the column chunks that it makes."""

    unit: EncodeUnit
    leaves: tuple[int, ...]


Task = Copy | Encode
Done = tuple[int, list[EncodedChunk]]
"""Where the bytes of a task start in the new file, and what was encoded."""


def rewrite(plan: RewritePlan, target: int, compute: Compute, *, workers: int = 1) -> int:
    """Write the file of `plan`, computed, to the empty regular file open at descriptor `target`.

    `compute` is called from `workers` threads at once. The bytes written are the same for any
    number of workers. Returns the number of rows, which is that of the source. Raises DataError
    where the source is broken; what is in `target` is then of no use.
    """
    layout = OutputOrder(target, len(MAGIC))
    with opened(plan.path, os.O_RDONLY) as source:
        write_full(target, MAGIC, 0)
        with suppress(DataError):  # the size is a guess; reserving makes writing twice as fast
            reserve(target, size_of(source))
        work = _Worker(plan, source, layout, compute)
        finished = list(_finished_groups(plan, source, layout, work, workers))
        groups, end = write_indexes(finished, source, target, layout.end)
        footer = plan.footer.with_row_groups(groups)
        write_full(target, footer, end)
        os.ftruncate(target, end + len(footer))
    return plan.footer.rows


class _Worker:
    """Does tasks, in any thread."""

    def __init__(
        self, plan: RewritePlan, source: int, layout: OutputOrder, compute: Compute
    ) -> None:
        self._plan = plan
        self._source = source
        self._layout = layout
        self._compute = compute
        self._thread = threading.local()

    def __call__(self, numbered: tuple[int, Task]) -> Done:
        number, task = numbered
        with self._layout.stopped_by_failure():
            if isinstance(task, Copy):
                start = self._layout.place(number, task.size)
                copy_range(self._source, task.start, task.size, self._layout.file, start)
                return start, []
            if not hasattr(self._thread, "source"):
                self._thread.source = RowGroupReader(self._plan.path, self._plan.metadata)
            region = Region(self._layout, number)
            chunks = encode_unit(task.unit, self._compute, region.write, self._thread.source)
            return region.close(), chunks


def _finished_groups(
    plan: RewritePlan, source: int, layout: OutputOrder, work: _Worker, workers: int
) -> Iterator[FinishedGroup]:
    """Do everything, a bounded number of tasks ahead of the one that is waited for."""
    waiting: deque[tuple[MovedRowGroup, Task | None]] = deque()
    """The tasks in flight with their row groups; None after the last task of a group."""

    def tasks() -> Iterator[Task]:
        for index, raw in enumerate(plan.footer.row_groups):
            group = MovedRowGroup(source, raw)
            for task in _tasks(plan, source, index, group):
                waiting.append((group, task))
                yield task
            waiting.append((group, None))

    def done() -> Iterator[FinishedGroup]:
        while waiting and waiting[0][1] is None:
            yield waiting.popleft()[0].finish()

    try:
        with thread_pool(workers, wait=True) as (pool, _), layout.stopped_by_failure():
            for start, encoded in in_order(pool, 2 * workers + 1, work, enumerate(tasks())):
                yield from done()
                group, task = waiting.popleft()
                if isinstance(task, Copy):
                    for leaf in task.leaves:
                        group.move(leaf, start - task.start)
                elif task is not None:
                    for leaf, chunk in zip(task.leaves, encoded, strict=True):
                        group.replace(leaf, chunk, start)
                        start += chunk.size
            yield from done()
    except Stopped:
        raise layout.failure from None


def _tasks(plan: RewritePlan, source: int, index: int, group: MovedRowGroup) -> Iterator[Task]:
    """The tasks of a row group, in the order of its columns."""
    units = {task.leaves[0]: task for task in _units(plan, source, index, group)}
    done = set(chain.from_iterable(task.leaves for task in units.values()))
    run: Copy | None = None
    for leaf, chunk in enumerate(group.chunks):
        if leaf not in done:
            start, size = chunk_span(chunk)
            if run is not None and run.start + run.size == start:
                run = Copy(run.start, run.size + size, (*run.leaves, leaf))
            else:
                yield from _pieces(run)
                run = Copy(start, size, (leaf,))
        elif leaf in units:
            yield from _pieces(run)
            run = None
            yield units[leaf]
    yield from _pieces(run)


def _pieces(run: Copy | None) -> Iterator[Copy]:
    """A run in parts that several threads can copy; consecutive tasks get adjacent places."""
    if run is None:
        return
    yield Copy(run.start, min(run.size, PIECE_BYTES), run.leaves)
    for done in range(PIECE_BYTES, run.size, PIECE_BYTES):
        yield Copy(run.start + done, min(PIECE_BYTES, run.size - done), ())


def _units(plan: RewritePlan, source: int, index: int, group: MovedRowGroup) -> Iterator[Encode]:
    """What is to be encoded in a row group: columns together, or as much as is worth a task."""
    if group.rows == 0:
        return
    leaves: list[int] = []
    sizes: list[int] = []
    for leaf, column in plan.computed.items():
        size = column.bytes_of(chunk_meta(group.chunks[leaf]).integer(Meta.VALUES) or 0)
        if leaves and not plan.across and sum(sizes) + size > UNIT_BYTES:
            yield _unit(plan, source, index, group, leaves, sizes)
            leaves, sizes = [], []
        leaves.append(leaf)
        sizes.append(size)
    if leaves:
        yield _unit(plan, source, index, group, leaves, sizes)


def _unit(
    plan: RewritePlan,
    source: int,
    index: int,
    group: MovedRowGroup,
    leaves: Sequence[int],
    sizes: list[int],
) -> Encode:
    columns = [plan.computed[leaf] for leaf in leaves]
    ordered = plan.footer.type_ordered
    forms = tuple(
        page_format(
            source, plan.footer.leaves[leaf], group.chunks[leaf], column.dtype, ordered[leaf]
        )
        for leaf, column in zip(leaves, columns, strict=True)
    )
    rows = group.rows
    batch = min(
        MAX_BATCH,
        PAGE_BYTES * rows // max(1, *sizes),
        BATCH_BYTES * rows // max(1, sum(sizes)),
    )
    names = tuple(column.name for column in columns)
    return Encode(EncodeUnit(plan.path, index, rows, names, forms, max(1, batch)), tuple(leaves))

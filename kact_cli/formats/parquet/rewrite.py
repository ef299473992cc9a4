"""Parquet to Parquet by column chunk: what is not computed is copied as bytes.

A new file gets the old one's column chunks as they are, new ones for the columns that are computed,
in their places or after the last, and the old footer with new places, sizes and statistics. So
everything else in the file (encodings, dictionaries, checksums, indexes, bloom filters, metadata,
the schema) stays by construction, and costs what copying it costs. `plan_rewrite` says whether a
file can be treated so; the others need a reader and a writer of the whole table.

The footer keeps its created_by: readers look there for the bugs of the writer of the statistics and
pages, and most of those are still the old writer's. What is encoded here has none that they know.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from kact_cli.errors import DataError
from kact_cli.files.descriptors import copy_range, opened, reserve, size_of, write_full
from kact_cli.formats.parquet.encode import (
    PAGE_BYTES,
    Compute,
    EncodeUnit,
    encode_unit,
)
from kact_cli.formats.parquet.metadata.footer import MAGIC, RowGroup, ending
from kact_cli.formats.parquet.output import OutputOrder, Region, Stopped
from kact_cli.formats.parquet.pages import EncodedChunk
from kact_cli.formats.parquet.plan import Encoded, RewritePlan
from kact_cli.formats.parquet.read import RowGroupReader
from kact_cli.formats.parquet.row_group import NewRowGroup, page_format, write_indexes
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
class CopyTask:
    """Bytes of adjacent column chunks; `leaves` are those that start with them."""

    start: int
    size: int
    leaves: tuple[int, ...]


@dataclass(frozen=True)
class EncodeTask:
    """A unit, and the column chunks that it makes."""

    unit: EncodeUnit
    leaves: tuple[int, ...]


Task = CopyTask | EncodeTask


@dataclass(frozen=True)
class TaskResult:
    """Where the bytes of a task start in the new file, and what was encoded."""

    start: int
    chunks: Sequence[EncodedChunk] = ()


def rewrite(plan: RewritePlan, target: int, compute: Compute, *, workers: int = 1) -> int:
    """Write the file of `plan`, computed, to the empty regular file open at descriptor `target`.

    `compute` is called from `workers` threads at once. The bytes written are the same for any
    number of workers. Returns the number of rows, which is that of the source. Raises DataError
    where the source is broken; what is in `target` is then of no use.
    """
    footer = plan.source.footer
    layout = OutputOrder(target, len(MAGIC))
    with opened(plan.source.path, os.O_RDONLY) as source:
        write_full(target, MAGIC, 0)
        with suppress(DataError):  # the size is a guess; reserving makes writing twice as fast
            reserve(target, size_of(source))
        groups = [NewRowGroup(footer, group) for group in footer.row_groups]
        _do(plan, groups, source, layout, _Worker(plan, source, layout, compute), workers)
        end = write_indexes(groups, source, target, layout.end)
        made = ending(plan.struct, [group.describe() for group in groups])
        write_full(target, made, end)
        os.ftruncate(target, end + len(made))
    return footer.rows


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

    def __call__(self, numbered: tuple[int, Task]) -> TaskResult:
        number, task = numbered
        with self._layout.stopped_by_failure():
            if isinstance(task, CopyTask):
                start = self._layout.place(number, task.size)
                copy_range(self._source, task.start, task.size, self._layout.file, start)
                return TaskResult(start)
            if not hasattr(self._thread, "source"):
                self._thread.source = RowGroupReader(self._plan.source)
            region = Region(self._layout, number)
            chunks = encode_unit(task.unit, self._compute, region.write, self._thread.source)
            return TaskResult(region.close(), chunks)


def _do(
    plan: RewritePlan,
    groups: Sequence[NewRowGroup],
    source: int,
    layout: OutputOrder,
    work: _Worker,
    workers: int,
) -> None:
    """Do everything, a bounded number of tasks ahead of the one that is waited for."""
    waiting: deque[tuple[NewRowGroup, Task]] = deque()
    """The tasks in flight with their row groups."""

    def tasks() -> Iterator[Task]:
        for index, group in enumerate(groups):
            for task in _tasks(plan, source, index, group.old):
                waiting.append((group, task))
                yield task

    try:
        with thread_pool(workers, wait=True) as (pool, _), layout.stopped_by_failure():
            for result in in_order(pool, 2 * workers + 1, work, enumerate(tasks())):
                group, task = waiting.popleft()
                start = result.start
                if isinstance(task, CopyTask):
                    for leaf in task.leaves:
                        group.move(leaf, start - task.start)
                else:
                    for leaf, chunk in zip(task.leaves, result.chunks, strict=True):
                        group.encode(leaf, chunk, start)
                        start += chunk.size
    except Stopped:
        raise layout.failure from None


def _tasks(plan: RewritePlan, source: int, index: int, group: RowGroup) -> Iterator[Task]:
    """The tasks of a row group, in the order of its columns."""
    encoded = {leaf: column for leaf, column in plan.encoded.items() if group.rows or column.is_new}
    units = {task.leaves[0]: task for task in _units(plan, encoded, source, index, group)}
    start = end = 0
    leaves: list[int] = []
    for leaf in sorted({*range(len(group)), *units}):
        if leaf in units:
            yield from _pieces(start, end, leaves)
            leaves = []
            yield units[leaf]
        elif leaf not in encoded:
            first, size = group.chunk(leaf).span
            if not leaves or first != end:
                yield from _pieces(start, end, leaves)
                start, leaves = first, []
            end = first + size
            leaves.append(leaf)
    yield from _pieces(start, end, leaves)


def _pieces(start: int, end: int, leaves: Sequence[int]) -> Iterator[CopyTask]:
    """A run in parts that several threads can copy; consecutive tasks get adjacent places."""
    if not leaves:
        return
    yield CopyTask(start, min(end - start, PIECE_BYTES), tuple(leaves))
    for at in range(start + PIECE_BYTES, end, PIECE_BYTES):
        yield CopyTask(at, min(PIECE_BYTES, end - at), ())


def _units(
    plan: RewritePlan, encoded: Mapping[int, Encoded], source: int, index: int, group: RowGroup
) -> Iterator[EncodeTask]:
    """What is to be encoded in a row group: columns together, or as much as is worth a task."""
    leaves: list[int] = []
    sizes: list[int] = []
    together = 0
    for leaf, column in encoded.items():
        size = column.bytes_of(group.chunk(column.source).values)
        if leaves and not plan.across and together + size > UNIT_BYTES:
            yield _unit(plan, source, index, group, leaves, sizes)
            leaves, sizes, together = [], [], 0
        leaves.append(leaf)
        sizes.append(size)
        together += size
    if leaves:
        yield _unit(plan, source, index, group, leaves, sizes)


def _unit(
    plan: RewritePlan,
    source: int,
    index: int,
    group: RowGroup,
    leaves: Sequence[int],
    sizes: Sequence[int],
) -> EncodeTask:
    columns = [plan.encoded[leaf] for leaf in leaves]
    batch = min(
        MAX_BATCH,
        PAGE_BYTES * group.rows // max(1, *sizes),
        BATCH_BYTES * group.rows // max(1, sum(sizes)),
    )
    unit = EncodeUnit(
        index,
        tuple(column.column for column in columns),
        tuple(column.type for column in columns),
        tuple(page_format(source, plan.source.footer, group, column) for column in columns),
        max(1, batch),
    )
    return EncodeTask(unit, tuple(leaves))

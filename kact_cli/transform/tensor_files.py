"""Running a plan: by ranges, side by side, where both ends are files; else as a pipeline."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from kact_cli.engine.plan import UNIT_BYTES, TensorPlan
from kact_cli.engine.program import Program
from kact_cli.errors import DataError, reason
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.files.temporary import temporary_file
from kact_cli.parallel.pools import WorkerLost, in_order, process_pool, thread_pool, usable_cores
from kact_cli.transform.tensor_unit import Files, Partial, Task, add, assemble, run_unit
from kact_cli.types import State

if TYPE_CHECKING:
    from kact_cli.options import Options


def run_plan(
    program: Program,
    plan: TensorPlan,
    source: Source,
    source_offset: int,
    target: Target,
    target_offset: int,
    options: Options,
) -> None:
    """Run every stage of `plan` from the file `source` to the file `target`.

    The offsets are where the elements start, in bytes. Stages hand on through temporary files, in
    the program's working dtype.
    """
    shared = options.jobs is not None and options.jobs > 1
    read: int | str = _shareable(source.fd, source.path) if shared else source.fd
    write: int | str = _shareable(target.fd, target.path) if shared else target.fd
    between = math.prod(plan.stages[0].dims) * program.work.itemsize
    with contextlib.ExitStack() as stack:
        last = len(plan.stages) - 1
        workers = _Workers(stack, options, parallel=between > UNIT_BYTES)
        for number, stage in enumerate(plan.stages):
            out, offset = write, target.base + target_offset
            if number < last:
                out, offset = stack.enter_context(temporary_file(between)), 0
            files = Files(read, source_offset, out, offset, source.name, target.name)
            task = Task(program.staged(stage, last + 1, number), stage, files)
            try:
                _run_stage(task, plan, number, workers, options)
            except WorkerLost as e:
                raise DataError(f"{target.name}: {e}") from e
            read, source_offset = out, offset


def _shareable(fd: int, path: str | None) -> str:
    """The path under which another process can open the file that is open here as `fd`."""
    if path is not None:
        return path
    if sys.platform != "linux":
        raise DataError("--jobs needs files that have names, not redirected ones")
    return f"/proc/{os.getpid()}/fd/{fd}"


class _Workers:
    """The executor of a plan, opened when there is enough work for more than this thread."""

    def __init__(self, stack: contextlib.ExitStack, options: Options, *, parallel: bool) -> None:
        self.stop: threading.Event | None = None
        self.executor: Any = None
        jobs = options.jobs
        self.count = usable_cores() if jobs is None else jobs
        if jobs is not None and jobs > 1:
            try:
                self.executor = stack.enter_context(process_pool(jobs))
            except (OSError, NotImplementedError) as e:
                # A pool needs semaphores, and so /dev/shm, which not every container has
                why = reason(e) if isinstance(e, OSError) else str(e)
                options.observer.warn(f"--jobs: there can be no pool of processes here: {why}")
        if self.executor is None and self.count > 1 and parallel:
            self.stop = threading.Event()
            self.executor, _ = stack.enter_context(thread_pool(self.count, wait=True))

    def map(self, function: Any, items: Iterable[Any]) -> Iterator[Any]:
        """`function` of each item, in order."""
        if self.executor is None:
            yield from map(function, items)
            return
        try:
            yield from in_order(self.executor, 2 * self.count, function, items)
        except BaseException:
            if self.stop is not None:
                self.stop.set()
            raise


def _run_stage(
    task: Task, plan: TensorPlan, number: int, workers: _Workers, options: Options
) -> None:
    stage = task.stage
    state: State = {}
    for units in plan.rounds(number):
        if units.passed == 0:
            state = {}
        total: Partial = {}
        for done in workers.map(partial(run_unit, task, state=state, stop=workers.stop), units):
            options.observer.advance(done.bytes)
            for where, statistics in done.found.values():
                add(task.program, stage.streamed[units.passed].step, total, where, statistics)
        if total:
            found = assemble(stage, units.slab, units.passed, total)
            state = {**state, stage.streamed[units.passed].step: found}

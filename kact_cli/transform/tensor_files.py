"""A plan run unit by unit, side by side, where both ends are files."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from kact_cli.engine.plan import UNIT_BYTES, Round, TensorPlan, TensorUnit
from kact_cli.engine.program import Program
from kact_cli.errors import DataError
from kact_cli.files.descriptors import reopenable
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.files.temporary import temporary_file
from kact_cli.parallel.pools import WorkerLost, in_order, thread_pool, worker_count
from kact_cli.transform.tensor_unit import Files, StageState, StageTask, UnitResult, run_unit

if TYPE_CHECKING:
    from kact_cli.files.sums import Sums
    from kact_cli.options import Options

Map = Callable[[Callable[[TensorUnit], UnitResult], Round], Iterator[UnitResult]]
"""What does a function over the units of a round, and gives the results in their order."""


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
    between = math.prod(plan.stages[0].dims) * program.work.itemsize
    parallel = between > UNIT_BYTES
    shared = parallel and options.jobs is not None and options.jobs > 1
    read: int | str = _shareable(source.fd, source.path) if shared else source.fd
    write: int | str = _shareable(target.fd, target.path) if shared else target.fd
    source_offset, target_offset = source_offset + source.base, target_offset + target.base
    last, name = len(plan.stages) - 1, source.name
    try:
        with contextlib.ExitStack() as stack:
            mapped, stop = _workers(stack, options, parallel=parallel)
            for number, stage in enumerate(plan.stages):
                out, offset, called = write, target_offset, target.name
                if number < last:
                    file = stack.enter_context(temporary_file(between))
                    out, offset, called = file.path, 0, file.name
                stamp = None if number else source.stamp
                sums = (None if number else source.sums), (target.sums if number == last else None)
                summed = sums[0] is not None, sums[1] is not None
                files = Files(read, source_offset, out, offset, name, called, stamp, summed)
                task = StageTask(program.staged(stage, last + 1, number), stage, files)
                _run_stage(task, plan, number, mapped, stop, options, sums)
                read, source_offset, name = out, offset, called
    except WorkerLost as e:
        raise DataError(f"{target.name}: {e}") from e


def _shareable(fd: int, path: str | None) -> str:
    """The path under which another process can open the file that is open here as `fd`."""
    found = reopenable(fd, path, os.getpid())
    if found.startswith("/dev/"):
        raise DataError("--jobs needs files that have names, not redirected ones")
    return found


def _workers(
    stack: contextlib.ExitStack, options: Options, *, parallel: bool
) -> tuple[Map, threading.Event | None]:
    """How the units of a round are done, and what has threads give up theirs.

    `parallel`: there is enough work for more than this thread.
    """
    jobs = options.jobs
    count = worker_count(jobs)
    if count == 1 or not parallel:
        return map, None
    if jobs is not None:
        from kact_cli.parallel.processes import Processes, is_worker

        if not is_worker():
            return partial(in_order, stack.enter_context(Processes(jobs)), 2 * count), None
    pool, _ = stack.enter_context(thread_pool(count, wait=True))
    stop = threading.Event()
    stack.callback(stop.set)  # before the pool is left, which waits for its threads
    return partial(in_order, pool, 2 * count), stop


def _run_stage(
    task: StageTask,
    plan: TensorPlan,
    number: int,
    mapped: Map,
    stop: threading.Event | None,
    options: Options,
    sums: tuple[Sums | None, Sums | None],
) -> None:
    known = StageState(task)
    for units in plan.rounds(number):
        known.begin(units)
        for result in mapped(partial(run_unit, task, state=known.state, stop=stop), units):
            options.observer.advance(result.bytes)
            known.add(units, result)
            for total, more in zip(sums, result.sums, strict=True):
                if total is not None:
                    total.update(more)
        known.end(units)

"""Running a plan: by ranges, side by side, where both ends are files; else as a pipeline."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kact_cli.engine import Array, Engine, Program, State
from kact_cli.errors import DataError
from kact_cli.layout import Shape
from kact_cli.plan import UNIT_BYTES, Plan
from kact_cli.storage import Source, reason
from kact_cli.target import Target, temporary_file
from kact_cli.workers import (
    Files,
    Partial,
    Task,
    WorkerLost,
    add,
    assemble,
    in_order,
    process_pool,
    run_unit,
    usable_cores,
)

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from kact_cli.stream import Options


def run_plan(
    program: Program,
    plan: Plan,
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
        self.executor: Executor | None = None
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
            from concurrent.futures import ThreadPoolExecutor

            self.stop = threading.Event()
            self.executor = stack.enter_context(ThreadPoolExecutor(self.count))

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


def _run_stage(task: Task, plan: Plan, number: int, workers: _Workers, options: Options) -> None:
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


def pipeline(
    program: Program,
    plan: Plan,
    source: Source,
    source_offset: int,
    target: Target,
    options: Options,
) -> None:
    """Run a sequential plan in order, where at least one end is a pipe.

    A thread reads ahead, others compute, this one writes: each waits for the slowest and for
    nothing else.
    """
    stage = plan.stages[0]
    engines = threading.local()

    def compute(raw: Array, shape: Shape) -> Array:
        if not hasattr(engines, "engine"):
            engines.engine = Engine(program, stage.reductions)
        block = raw.view(program.source).reshape(shape)
        same = program.result == program.source
        out = block if same else np.empty(shape, program.result)
        engines.engine.transform(block, out)
        return out.reshape(-1).view(np.uint8)

    workers = usable_cores() if options.jobs is None else options.jobs
    shapes = stage.chunk_shapes()
    size = math.prod(stage.chunk) * program.source.itemsize
    if workers == 1 or math.prod(stage.dims) * program.source.itemsize <= size:
        buffers = itertools.repeat(np.empty(size, np.uint8))
        for raw, shape in _read(program, shapes, source, source_offset, buffers):
            target.write(compute(raw, shape).data)
            options.observer.advance(len(raw))
        return
    from concurrent.futures import ThreadPoolExecutor

    pending: deque[tuple[Future[Array], Array]] = deque()
    with _Reader(program, shapes, source, source_offset, size, workers + 2) as reader:
        # Not joined on the way out: a thread that computes ends by itself
        pool = ThreadPoolExecutor(workers)
        try:
            for raw, shape in reader:
                pending.append((pool.submit(compute, raw, shape), raw))
                if len(pending) > workers:
                    _write_first(pending, reader, target, options)
            while pending:
                _write_first(pending, reader, target, options)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _write_first(
    pending: deque[tuple[Future[Array], Array]], reader: _Reader, target: Target, options: Options
) -> None:
    future, raw = pending.popleft()
    target.write(future.result().data)
    options.observer.advance(len(raw))
    reader.give_back(raw)


def _read(
    program: Program,
    shapes: Iterable[Shape],
    source: Source,
    offset: int,
    buffers: Iterator[Array],
) -> Iterator[tuple[Array, Shape]]:
    """The chunks of a tensor in order, as bytes, each in the next of `buffers`."""
    for shape in shapes:
        size = math.prod(shape) * program.source.itemsize
        raw = next(buffers)[:size]
        got = source.read_at(raw.data, offset)
        if got < size:
            raise DataError(f"{source.name} is truncated: it ends before the tensor does")
        offset += size
        yield raw, shape


class _Reader:
    """A thread that reads ahead into a few buffers; iterating gives what it has read.

    A daemon, so that a stalled pipe cannot keep kact from ending.
    """

    def __init__(
        self,
        program: Program,
        shapes: Iterable[Shape],
        source: Source,
        offset: int,
        size: int,
        buffers: int,
    ) -> None:
        self._free: queue.SimpleQueue[Array] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[tuple[Array, Shape] | BaseException | None]
        self._full = queue.SimpleQueue()
        for _ in range(buffers):
            self._free.put(np.empty(size, np.uint8))
        chunks = _read(program, shapes, source, offset, self._buffers())
        self._thread = threading.Thread(target=self._run, args=(chunks,), daemon=True)

    def _buffers(self) -> Iterator[Array]:
        while True:
            yield self._free.get()

    def _run(self, chunks: Iterator[tuple[Array, Shape]]) -> None:
        try:
            for chunk in chunks:
                self._full.put(chunk)
            self._full.put(None)
        except BaseException as e:  # handed to the thread that waits for the chunk
            self._full.put(e)

    def give_back(self, raw: Array) -> None:
        """Let the thread fill this chunk's buffer again."""
        base = raw.base
        self._free.put(raw if base is None else base)

    def __enter__(self) -> _Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to wait for: the thread ends with its input, or with the process."""

    def __iter__(self) -> Iterator[tuple[Array, Shape]]:
        while True:
            item = self._full.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

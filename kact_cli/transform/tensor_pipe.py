"""A sequential plan run in order, where at least one end is a pipe."""

from __future__ import annotations

import itertools
import math
import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from kact_cli.engine.engine import Engine
from kact_cli.engine.plan import TensorPlan
from kact_cli.engine.program import Program
from kact_cli.errors import DataError
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.parallel.pools import usable_cores
from kact_cli.types import Array, Shape

if TYPE_CHECKING:
    from concurrent.futures import Future

    from kact_cli.options import Options


def pipeline(
    program: Program,
    plan: TensorPlan,
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
    with ReadAhead(program, shapes, source, source_offset, size, workers + 2) as reader:
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
    pending: deque[tuple[Future[Array], Array]], reader: ReadAhead, target: Target, options: Options
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


class ReadAhead:
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

    def __enter__(self) -> ReadAhead:
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

"""A sequential plan run in order, where at least one end is a pipe."""

from __future__ import annotations

import itertools
import math
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from kact_cli.engine.engine import Engine
from kact_cli.engine.plan import TensorPlan
from kact_cli.engine.program import Program
from kact_cli.errors import DataError
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.parallel.pools import in_order, thread_pool, worker_count
from kact_cli.types import Array, Shape

if TYPE_CHECKING:
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

    workers = worker_count(options.jobs)
    shapes = stage.chunk_shapes()
    size = math.prod(stage.chunk) * program.source.itemsize
    if workers == 1 or math.prod(stage.dims) * program.source.itemsize <= size:
        buffers = itertools.repeat(np.empty(size, np.uint8))
        for raw, shape in _read(program, shapes, source, source_offset, buffers):
            target.write(compute(raw, shape).data)
            options.observer.advance(len(raw))
        return

    def work(chunk: tuple[Array, Shape]) -> tuple[Array, Array]:
        return chunk[0], compute(*chunk)

    reader = ReadAhead(program, shapes, source, source_offset, size, workers + 2)
    with thread_pool(workers) as (pool, count):
        for raw, out in in_order(pool, count + 1, work, reader):
            target.write(out.data)
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

    It ends with its input, or with the process: a stalled pipe cannot keep kact from ending.
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
        threading.Thread(target=self._run, args=(chunks,), daemon=True).start()

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

    def __iter__(self) -> Iterator[tuple[Array, Shape]]:
        while True:
            item = self._full.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

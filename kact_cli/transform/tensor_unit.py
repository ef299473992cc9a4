"""One unit of a plan over a .npy, as any worker does it, and what units find is put together.

A unit of work is a description (which chunks of which stage), never data: a worker opens the files,
reads its own part and writes its own part. So the same function serves every executor, and the
output does not depend on which one, or how many workers, there are.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from typing import NamedTuple

import numpy as np

from kact_cli.engine.engine import engine_for, merge_states
from kact_cli.engine.layout import runs
from kact_cli.engine.plan import ALL_PASSES, Round, Stage, TensorUnit
from kact_cli.engine.program import Program
from kact_cli.errors import DataError, prefixed
from kact_cli.files.descriptors import Stamp, opened, read_full, write_full
from kact_cli.files.sums import Sums
from kact_cli.types import Array, ReductionState, Shape, State

Partial = dict[tuple[int, ...], tuple[tuple[slice, ...], ReductionState]]
"""States of some of a slab's groups, by where they start: which part of the state, and what."""


class Files(NamedTuple):
    """Where a stage reads and writes: descriptors in this process, paths in another."""

    source: int | str
    source_offset: int
    target: int | str
    target_offset: int
    source_name: str
    target_name: str
    stamp: Stamp | None = None
    """What the source has to be where it is opened by its path; None: whatever it is."""
    summed: tuple[bool, bool] = (False, False)
    """Whether the checksums of what is read in the last pass, and of what is written, are wanted.
    A chunk that is not one run of bytes gets none."""


class StageTask(NamedTuple):
    """A stage of a plan over files: all that a worker has to know beside the unit."""

    program: Program
    stage: Stage
    files: Files


class GivenUp(Exception):
    """Another thread gave up the work; never shown."""


class UnitResult(NamedTuple):
    """What became of a unit: how many bytes it read, the states that it found, and the checksums
    of what it read and wrote, where they are wanted."""

    bytes: int
    found: Partial
    sums: tuple[Sums, Sums]


def run_unit(
    task: StageTask, unit: TensorUnit, state: State, stop: threading.Event | None = None
) -> UnitResult:
    """Do one unit of the task.

    `state` holds the states of the passes before. Raises DataError where the input ends early
    or the output cannot be written.
    """
    stage, numbers = task.stage, range(unit.first, unit.last)
    files = task.files
    # What is closed last is the output
    with prefixed(files.target_name, OSError), contextlib.ExitStack() as stack:
        source = _open(stack, files.source, os.O_RDONLY, files.source_name)
        target = _open(stack, files.target, os.O_WRONLY, files.target_name)
        if isinstance(files.source, str) and files.stamp not in (None, Stamp.of(source)):
            raise DataError(f"{files.source_name}: changed while it was read")
        work = UnitRun(task, source, target, stop)
        if unit.passed != ALL_PASSES:
            found = work.chunks(unit.slab, numbers, unit.passed, state)
            return UnitResult(work.bytes, found, work.sums)
        for slab in numbers:
            whole = range(len(stage.chunks(slab)))
            known: State = {}
            for passed, reduction in enumerate(stage.streamed):
                found = work.chunks(slab, whole, passed, known)
                known[reduction.step] = assemble(stage, slab, passed, found)
            work.chunks(slab, whole, stage.passes - 1, known)
        return UnitResult(work.bytes, {}, work.sums)


def _open(stack: contextlib.ExitStack, file: int | str, flags: int, name: str) -> int:
    if isinstance(file, int):
        return file
    with prefixed(name, OSError):
        return stack.enter_context(opened(file, flags))


class UnitRun:
    """One unit's reading, computing and writing."""

    def __init__(
        self, task: StageTask, source: int, target: int, stop: threading.Event | None
    ) -> None:
        self.task, self.stage = task, task.stage
        self.source, self.target, self.stop = source, target, stop
        self.engine = engine_for(task.program, task.stage.reductions, task.stage.channels)
        self.bytes = 0
        self.sums = Sums(), Sums()

    def chunks(self, slab: int, numbers: range, passed: int, state: State) -> Partial:
        """Run one pass over some chunks of a slab: collect states, or (the last) write."""
        program = self.task.program
        corner, _ = self.stage.slabs.box(slab)
        grid = self.stage.chunks(slab)
        found: Partial = {}
        for number in numbers:
            if self.stop is not None and self.stop.is_set():
                raise GivenUp
            start, box = grid.box(number)
            absolute = tuple(a + b for a, b in zip(corner, start, strict=True))
            block = self._read(absolute, box, last=passed == len(self.stage.streamed))
            known = {
                r.step: tuple(a[state_slices(r.dims, start, box)] for a in state[r.step])
                for r in self.stage.streamed[:passed]
            }
            if passed < len(self.stage.streamed):
                reduction = self.stage.streamed[passed]
                statistics = self.engine.reduce(block, reduction.step, known, start=absolute)
                where = state_slices(reduction.dims, start, box)
                add(program, reduction.step, found, where, statistics)
                continue
            out = block
            if program.result != program.source:
                out = self.engine.buffer("out", program.result, block.size).reshape(box)
            self.engine.transform(block, out, known, start=absolute)
            self._write(absolute, out)
        return found

    def _read(self, start: Shape, box: Shape, *, last: bool) -> Array:
        dtype = self.task.program.source
        size = math.prod(box)
        block = self.engine.buffer("in", dtype, size)
        view, at = block.view(np.uint8).data, 0
        files = self.task.files
        with prefixed(files.source_name, OSError):
            for offset, count in runs(self.stage.dims, start, box):
                part = view[at : at + count * dtype.itemsize]
                where = files.source_offset + offset * dtype.itemsize
                if read_full(self.source, part, where) < len(part):
                    raise DataError(f"{files.source_name} became shorter while it was read")
                if last and files.summed[0] and len(part) == len(view):
                    self.sums[0].add(where, part)
                at += len(part)
        self.bytes += at
        return block.reshape(box)

    def _write(self, start: Shape, out: Array) -> None:
        itemsize = out.dtype.itemsize
        view, at = out.reshape(-1).view(np.uint8).data, 0
        files = self.task.files
        with prefixed(files.target_name, OSError):
            for offset, count in runs(self.stage.dims, start, out.shape):
                where = files.target_offset + offset * itemsize
                part = view[at : at + count * itemsize]
                write_full(self.target, part, where)
                if files.summed[1] and len(part) == len(view):
                    self.sums[1].add(where, part)
                at += len(part)


class StageState:
    """The states that the passes over a stage have found, as each pass needs them."""

    def __init__(self, task: StageTask) -> None:
        self._program, self._stage = task.program, task.stage
        self.state: State = {}
        """What the finished passes have found, by the number of the step."""
        self._total: Partial = {}

    def begin(self, units: Round) -> None:
        """Begin a round; the first pass over a slab knows nothing of the slab before."""
        self._total = {}
        if units.passed == 0:
            self.state = {}

    def add(self, units: Round, result: UnitResult) -> None:
        """Merge what a unit of the round has found, in the order of the calls."""
        for where, statistics in result.found.values():
            step = self._stage.streamed[units.passed].step
            add(self._program, step, self._total, where, statistics)

    def end(self, units: Round) -> None:
        """End a round, all of whose results have been added."""
        if self._total:
            found = assemble(self._stage, units.slab, units.passed, self._total)
            # A new dictionary: units of the round before may still be pickled with the old one
            self.state = {**self.state, self._stage.streamed[units.passed].step: found}


def state_slices(dims: Shape, start: Shape, box: Shape) -> tuple[slice, ...]:
    """Which part of a slab's state (for a reduction over `dims`) belongs to a chunk."""
    return tuple(
        slice(None) if d in dims else slice(a, a + n)
        for d, (a, n) in enumerate(zip(start, box, strict=True))
    )


def add(
    program: Program, step: int, total: Partial, where: tuple[slice, ...], found: ReductionState
) -> None:
    """Merge a state into `total`, in the order of the calls."""
    key = tuple(s.start or 0 for s in where)
    if key in total:
        found = merge_states(program, step, total[key][1], found)
    total[key] = (where, found)


def assemble(stage: Stage, slab: int, number: int, partial: Partial) -> ReductionState:
    """The state of the streamed reduction `number` over a whole slab, as arrays."""
    reduction = stage.streamed[number]
    shape = reduction.kept(stage.slabs.box(slab)[1])
    pieces = list(partial.values())
    if len(pieces) == 1:
        return pieces[0][1]
    arrays = tuple(np.empty(shape, a.dtype) for a in pieces[0][1])
    for where, statistics in pieces:
        for array, part in zip(arrays, statistics, strict=True):
            array[where] = part
    return arrays

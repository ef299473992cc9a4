"""A large .npy cut into ranges, so that one giant does not leave the other workers idle.

The plan is that of the whole file, so the output is the same bytes as that of one worker. The input
and the output have to be files that every worker can open by their paths.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kact_cli.batch.unit import FileTask, Listener, Outcome, make_parents
from kact_cli.engine.plan import Round, TensorUnit
from kact_cli.errors import KactError
from kact_cli.files.object_store import is_uri
from kact_cli.files.source import Source, open_source
from kact_cli.files.target import Target, give_up
from kact_cli.formats.detect import detect, output_format
from kact_cli.formats.npy import NpyTensor, write_header
from kact_cli.transform.tensor import TensorJob
from kact_cli.transform.tensor_unit import Files, StageState, StageTask, UnitResult, run_unit
from kact_cli.types import State

CUT_BYTES = 128 * 1024 * 1024
"""Smaller files are done by one worker."""


@dataclass(frozen=True)
class RangeTask:
    """Some units of one pass over a file, and the statistics of the passes before."""

    number: int
    task: StageTask
    units: tuple[TensorUnit, ...]
    state: State


def run_range(task: RangeTask) -> list[UnitResult]:
    """What a worker does with a range. Raises DataError."""
    return [run_unit(task.task, unit, task.state) for unit in task.units]


def can_be_cut(task: FileTask, size: int) -> bool:
    """Whether this is a large .npy, from a local file to a local file."""
    if size < CUT_BYTES or is_uri(task.source) or is_uri(task.target):
        return False
    with contextlib.suppress(KactError), contextlib.closing(open_source(task.source)) as source:
        found = detect(source, task.options.source_format)
        wanted = output_format(task.target, found, task.options.target_format)
        return found is wanted and found.kind == "tensor"
    return False


class CutFile:
    """A file in progress: it gives out ranges and takes back what they found.

    At the end it is committed, or aborted.
    """

    def __init__(self, task: FileTask) -> None:
        """Read the header, plan, and open the output. Raises a KactError."""
        self.task = task
        self.out = 0
        """How many ranges are being done."""
        self._started = time.perf_counter()
        self._listener = Listener(task.strict)
        with contextlib.ExitStack() as stack:
            self._open(task, stack)
            self._stack = stack.pop_all()

    def _open(self, task: FileTask, stack: contextlib.ExitStack) -> None:
        options = replace(task.options, observer=self._listener)
        self._source: Source = stack.enter_context(contextlib.closing(open_source(task.source)))
        self._job = TensorJob.make(task.chain, self._source, options)
        self._job.advise(NpyTensor(self._source, self._job.header), options)
        job = self._job
        self.passes = job.plan.passes
        self.whole = len(job.plan.stages) > 1
        """Whether it has to be done as one unit: its stages hand on through temporary files."""
        if self.whole:
            return
        make_parents(task.target)
        self._target = stack.enter_context(
            Target(
                task.target,
                overwrite=options.overwrite,
                fsync=options.fsync,
                source=self._source,
            )
        )
        self._target.allocate(job.result.end)
        assert self._source.path is not None
        assert self._target.path is not None
        files = Files(
            self._source.path,
            job.header.offset,
            self._target.path,
            job.result.offset,
            self._source.name,
            self._target.name,
            self._source.stamp,
        )
        stage = job.plan.stages[0]
        self._stage = StageTask(job.program.staged(stage, 1, 0), stage, files)
        self._known = StageState(self._stage)
        self._rounds = job.plan.rounds(0)
        self._begin()

    def _begin(self) -> None:
        """Start a round of ranges that do not depend on one another."""
        self._round: Round | None = next((r for r in self._rounds if r.count), None)
        self._left: Iterator[TensorUnit] = iter(self._round or ())
        self._given = self._merged = 0
        self._waiting: dict[int, list[UnitResult]] = {}
        if self._round is not None:
            self._known.begin(self._round)

    def next(self, count: int) -> RangeTask | None:
        """The next range, of `count` units, or None while others have to be done first."""
        units = tuple(itertools.islice(self._left, count))
        if not units:
            return None
        self.out += 1
        self._given += 1
        return RangeTask(self._given - 1, self._stage, units, self._known.state)

    def done(self, number: int, found: list[UnitResult]) -> None:
        """Take what a range found; in the order of the ranges, so that sums are the same."""
        assert self._round is not None
        self.out -= 1
        self._waiting[number] = found
        while self._merged in self._waiting:
            for result in self._waiting.pop(self._merged):
                self._known.add(self._round, result)
            self._merged += 1
        if self.out == 0:
            first = next(self._left, None)
            if first is not None:
                self._left = itertools.chain((first,), self._left)
                return
            self._known.end(self._round)
            self._begin()

    @property
    def finished(self) -> bool:
        return self._round is None

    def commit(self) -> Outcome:
        """Put the output in its place."""
        job = self._job
        try:
            self._source.check_unchanged()
            # Last, so that a run that is killed half-way leaves nothing that looks whole
            self._target.write(memoryview(write_header(job.result)), 0)
            if extra := self._source.after(job.header.end):
                self._listener.warn(f"{self._source.name}: {extra} after the tensor were ignored")
        except BaseException:
            self.abort()
            raise
        size = self._source.size or 0
        self._stack.close()
        if self._target.remark:
            self._listener.warn(self._target.remark)
        seconds = time.perf_counter() - self._started
        warnings, notes = tuple(self._listener.warnings), tuple(self._listener.notes)
        return Outcome(size, job.result.end, seconds, warnings=warnings, notes=notes)

    def abort(self) -> None:
        """Leave the output as it was."""
        give_up(self._stack)

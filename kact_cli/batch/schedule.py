"""Hands units to workers, a bounded number at a time, and says what became of each file."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kact_cli.batch.inputs import Item
from kact_cli.batch.ranges import CUT_BYTES, CutFile, RangeTask, can_be_cut, run_range
from kact_cli.batch.unit import FileTask, Outcome, count_file, run_file
from kact_cli.chain import Chain
from kact_cli.errors import DataError
from kact_cli.files.object_store import is_uri
from kact_cli.files.target import temporary_prefix
from kact_cli.formats.detect import by_suffix
from kact_cli.messages import describe
from kact_cli.options import Observer, Options
from kact_cli.parallel.processes import Answer, Function, Runner


class Watch(Observer):
    """What the person who watches a batch is told, beside warnings. This one says nothing."""

    def begin(self, files: int, size: int) -> None:
        """Work on that many files, of `size` bytes together, begins."""

    def started(self, item: Item) -> None:
        """A file is being worked on."""

    def ended(self, item: Item) -> None:
        """A file is done, or has failed."""


@dataclass(frozen=True)
class Result:
    """What became of a file: an outcome, or why there is none."""

    item: Item
    outcome: Outcome | None = None
    error: str | None = None


@dataclass
class _Job:
    """A file in progress, and whether it is cut."""

    item: Item
    task: FileTask
    cut: CutFile | None = None
    outcome: Outcome | None = None
    failed: bool = False


@dataclass(frozen=True)
class _Call:
    job: _Job
    function: Function
    argument: object


class Batch:
    """One run over the items, by a runner.

    `keep_going` finishes the rest when a file fails; `count` counts NaN and infinities;
    `strict` makes failures of warnings.
    """

    def __init__(
        self,
        chain: Chain,
        options: Options,
        items: Sequence[Item],
        *,
        keep_going: bool = False,
        count: bool = False,
        strict: bool = False,
        watch: Watch | None = None,
    ) -> None:
        self._chain = chain
        # What is there by now may be this run's, done by a worker that was lost before it said so
        self._options = replace(options, observer=Observer(), overwrite=True)
        self._items = items
        self._keep_going = keep_going
        self._count, self._strict = count, strict
        self._watch = watch or Watch()
        self._share = sum(item.size for item in items)
        self._pending = deque(items)
        self._cut: list[_Job] = []
        self._ready: deque[_Call] = deque()
        self._calls: dict[int, _Call] = {}
        self._keys = itertools.count()
        self._shared = False
        self.results: list[Result] = []

    def run(self, runner: Runner, *, shared: bool = False) -> None:
        """Do everything; `results` grow as files end.

        `shared`: on a cluster, where a lost worker may leave temporary files that nobody reports.
        Raises DataError for the first file that fails, unless it is to keep going.
        """
        self._shared = shared
        self._watch.begin(len(self._items), self._share)
        whole = False
        try:
            with runner:
                self._loop(runner)
            whole = not shared
        finally:
            for job in self._cut:
                if job.cut is not None:
                    job.cut.abort()
            if not whole:
                sweep(self._items)

    def _loop(self, runner: Runner) -> None:
        while True:
            while len(self._calls) < runner.capacity and (call := self._next(runner)):
                key = next(self._keys)
                self._calls[key] = call
                runner.submit(key, call.function, call.argument)
            if not self._calls:
                return
            answer = runner.next()
            self._take(self._calls.pop(answer.key), answer)

    def _next(self, runner: Runner) -> _Call | None:
        """The next unit: of a file that is cut, if it has one now, else the next file."""
        while True:
            if self._ready:
                return self._ready.popleft()
            for job in self._cut:
                if job.cut is not None and (part := job.cut.next(runner.grain)) is not None:
                    return _Call(job, run_range, part)
            if not self._pending:
                return None
            job = self._open(self._pending.popleft(), runner.capacity)
            if job.cut is None and not job.failed:
                return _Call(job, run_file, job.task)

    def _open(self, item: Item, workers: int) -> _Job:
        """Begin a file, cut where that is of use."""
        self._watch.started(item)
        options = replace(self._options, jobs=self._threads(item, workers))
        task = FileTask(self._chain, item.source, item.target, options, self._count, self._strict)
        job = _Job(item, task)
        if workers == 1 or not can_be_cut(task, item.size):
            return job
        try:
            cut = CutFile(task)
        except Exception as e:
            self._fail(job, describe(e))
            return job
        if cut.whole:
            cut.abort()
            return job
        job.cut = cut
        self._cut.append(job)
        if cut.finished:
            self._commit(job)
        return job

    def _threads(self, item: Item, workers: int) -> int:
        """More than one for a table that would keep one worker busy when all others are done."""
        if self._shared or item.size < CUT_BYTES:
            return 1
        found = by_suffix(item.source)
        if found is not None and found.kind == "tensor":
            return 1
        return workers if item.size * workers > self._share else 1

    def _take(self, call: _Call, answer: Answer) -> None:
        job = call.job
        if job.failed:
            return
        if answer.error is not None:
            self._fail(job, answer.error)
        elif isinstance(answer.value, Outcome):
            self._watch.advance(job.item.size)
            self._finish(job, answer.value)
        elif isinstance(call.argument, RangeTask) and job.cut is not None:
            self._watch.advance(sum(done.bytes for done in answer.value) // job.cut.passes)
            job.cut.done(call.argument.number, answer.value)
            if job.cut.finished:
                self._commit(job)
        elif job.outcome is not None:
            read, written = answer.value
            self._finish(job, replace(job.outcome, read=read, written=written))

    def _commit(self, job: _Job) -> None:
        assert job.cut is not None
        self._cut.remove(job)
        try:
            job.outcome = job.cut.commit()
        except Exception as e:
            self._fail(job, describe(e))
            return
        if self._count:
            self._ready.append(_Call(job, count_file, job.task))
        else:
            self._finish(job, job.outcome)

    def _finish(self, job: _Job, outcome: Outcome) -> None:
        for message in outcome.warnings:
            self._watch.warn(_naming(job.item, message))
        for message in outcome.notes:
            self._watch.note(_naming(job.item, message))
        self.results.append(Result(job.item, outcome))
        self._watch.ended(job.item)

    def _fail(self, job: _Job, error: str) -> None:
        job.failed = True
        if job in self._cut and job.cut is not None:
            self._cut.remove(job)
            job.cut.abort()
        sweep([job.item])
        error = _naming(job.item, error)
        self.results.append(Result(job.item, error=error))
        self._watch.ended(job.item)
        if not self._keep_going:
            raise DataError(error)


def _naming(item: Item, message: str) -> str:
    return message if item.name in message else f"{item.name}: {message}"


def sweep(items: Iterable[Item]) -> None:
    """Remove the temporary files of these outputs that a killed worker, or run, has left."""
    places: dict[str, set[str]] = {}
    for item in items:
        if not is_uri(item.target):
            directory, name = os.path.split(os.path.realpath(item.target))
            places.setdefault(directory, set()).add(temporary_prefix(name))
    for directory, prefixes in places.items():
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                prefix = entry.name[: len(temporary_prefix(""))]
                if prefix in prefixes and entry.name.endswith(".tmp"):
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)

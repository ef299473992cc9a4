"""Hands units to workers, a bounded number at a time, and says what became of each file."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from kact_cli.batch.inputs import Item, shown
from kact_cli.batch.ranges import CUT_BYTES, CutFile, RangeTask, can_be_cut, run_range
from kact_cli.batch.unit import FileTask, Outcome, count_file, run_file
from kact_cli.chain import Chain
from kact_cli.errors import DataError, ExistsError, KactError, StrictError
from kact_cli.files.object_store import is_uri
from kact_cli.files.temporary import remove_abandoned, temporary_prefix
from kact_cli.formats.detect import by_suffix
from kact_cli.messages import describe
from kact_cli.options import Observer, Options
from kact_cli.parallel.pools import WorkerLost

if TYPE_CHECKING:
    from kact_cli.parallel.processes import Workers

LOOK_SECONDS = 2.0
"""How long the end of a call is waited for before the workers are looked at again."""


@dataclass(frozen=True)
class Result:
    """What became of a file: an outcome, or why there is none."""

    item: Item
    outcome: Outcome | None = None
    error: str | None = None
    strict: bool = False
    """Whether the error is a warning, and --strict makes errors of these."""


@dataclass
class _FileRun:
    """A file in progress, and whether it is cut."""

    item: Item
    task: FileTask
    cut: CutFile | None = None
    outcome: Outcome | None = None
    failed: bool = False


@dataclass(frozen=True)
class _Call:
    """What a worker does for a file: all of it, a range of it, or counting in it."""

    run: _FileRun
    function: Callable[[Any], Any]
    argument: object


class Batch:
    """One run over the items.

    `keep_going` finishes the rest when a file fails; `count` counts NaN and infinities;
    `strict` makes failures of warnings. The observer of `options` is told of everything.
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
    ) -> None:
        self._chain = chain
        self._options = replace(options, observer=Observer(), typed=())
        self._observer = options.observer
        self._items = items
        self._keep_going = keep_going
        self._count, self._strict = count, strict
        self._size = sum(item.size for item in items)
        self._pending = deque(items)
        self._cut: list[_FileRun] = []
        self._ready: deque[_Call] = deque()
        self.results: list[Result] = []
        self.left: list[Item] = []
        """The items whose outputs have come to exist meanwhile."""

    def run(self, workers: Workers) -> None:
        """Do everything; `results`, and what is `left`, grow as files end.

        Raises DataError for the first file that fails, unless it is to keep going.
        """
        if workers.elsewhere:
            # What is there may be this run's, done by a worker that was lost before it said so
            self._options = replace(self._options, overwrite=True)
        self._observer.start(self._size, 1, files=len(self._items))
        whole = False
        try:
            with workers:
                self._loop(workers)
            whole = not workers.elsewhere
        finally:
            for run in self._cut:
                if run.cut is not None:
                    run.cut.abort()
            if not whole:
                sweep(item.target for item in self._items)

    def _loop(self, workers: Workers) -> None:
        ended: SimpleQueue[Any] = SimpleQueue()
        calls: dict[Any, _Call] = {}
        while True:
            while len(calls) < workers.capacity() and (call := self._next(workers)):
                future = workers.submit(call.function, call.argument)
                calls[future] = call
                future.add_done_callback(ended.put)
            if not calls:
                return
            try:
                future = ended.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            if future.cancelled():
                raise DataError("the scheduler gave up the work")
            self._take(calls.pop(future), future.result)

    def _next(self, workers: Workers) -> _Call | None:
        """The next unit: of a file that is cut, if it has one now, else the next file."""
        while True:
            if self._ready:
                return self._ready.popleft()
            for run in self._cut:
                if run.cut is not None and (part := run.cut.next(workers.grain)) is not None:
                    return _Call(run, run_range, part)
            if not self._pending:
                return None
            run = self._open(self._pending.popleft(), workers)
            if run.cut is None and not run.failed:
                return _Call(run, run_file, run.task)

    def _open(self, item: Item, workers: Workers) -> _FileRun:
        """Begin a file, cut where that is of use."""
        self._observer.started(item.name)
        # An output that was there and is to be done is replaced; one that appears meanwhile is not
        overwrite = self._options.overwrite or item.exists
        jobs = self._threads(item, workers)
        options = replace(self._options, jobs=jobs, overwrite=overwrite)
        task = FileTask(self._chain, item.source, item.target, options, self._count, self._strict)
        run = _FileRun(item, task)
        if workers.capacity() == 1 or not can_be_cut(task, item.size):
            return run
        try:
            cut = CutFile(task)
        except Exception as e:
            self._fail(run, e)
            return run
        if cut.whole:
            cut.abort()
            return run
        run.cut = cut
        self._cut.append(run)
        if cut.finished:
            self._commit(run)
        return run

    def _threads(self, item: Item, workers: Workers) -> int:
        """More than one for a table that would keep one worker busy when all others are done."""
        if workers.elsewhere or item.size < CUT_BYTES:
            return 1
        found = by_suffix(item.source)
        if found is not None and found.kind == "tensor":
            return 1
        count = workers.capacity()
        return count if item.size * count > self._size else 1

    def _take(self, call: _Call, result: Callable[[], Any]) -> None:
        """Take the result of a call that has ended."""
        run = call.run
        if run.failed:
            return
        try:
            value = result()
        except Exception as e:
            self._fail(run, e)
            return
        if isinstance(value, Outcome):
            self._observer.advance(run.item.size)
            self._finish(run, value)
        elif isinstance(call.argument, RangeTask) and run.cut is not None:
            self._observer.advance(sum(unit.bytes for unit in value) // run.cut.passes)
            run.cut.done(call.argument.number, value)
            if run.cut.finished:
                self._commit(run)
        elif run.outcome is not None:
            read, written = value
            self._finish(run, replace(run.outcome, read=read, written=written))

    def _commit(self, run: _FileRun) -> None:
        assert run.cut is not None
        self._cut.remove(run)
        try:
            run.outcome = run.cut.commit()
        except Exception as e:
            self._fail(run, e)
            return
        if self._count:
            self._ready.append(_Call(run, count_file, run.task))
        else:
            self._finish(run, run.outcome)

    def _finish(self, run: _FileRun, outcome: Outcome) -> None:
        for message in outcome.warnings:
            self._observer.warn(_naming(run.item, message))
        for message in outcome.notes:
            self._observer.note(_naming(run.item, message))
        self.results.append(Result(run.item, outcome))
        self._observer.ended(run.item.name)

    def _fail(self, run: _FileRun, fault: Exception) -> None:
        run.failed = True
        if run in self._cut and run.cut is not None:
            self._cut.remove(run)
            run.cut.abort()
        if not isinstance(fault, KactError) or isinstance(fault, WorkerLost):
            sweep([run.item.target])
        error, strict = _naming(run.item, describe(fault)), isinstance(fault, StrictError)
        self._observer.ended(run.item.name)
        if isinstance(fault, ExistsError) and not self._strict:
            # Another batch into the same directory, or somebody by other means, was first
            self._observer.warn(f"{shown(run.item.target)} exists by now; it was left as it is")
            self.left.append(run.item)
            return
        if run.item.exists and run.outcome is None:
            error += f"; {shown(run.item.target)} is still the one from before"
        self.results.append(Result(run.item, error=error, strict=strict))
        if not self._keep_going:
            raise (StrictError if strict else DataError)(error)


def _naming(item: Item, message: str) -> str:
    return message if item.name in message else f"{item.name}: {message}"


def sweep(targets: Iterable[str]) -> None:
    """Remove the temporary files of these outputs that a killed worker, or run, has left.

    Those that a run holds, of this batch or of anybody's, stay.
    """
    places: dict[str, set[str]] = {}
    for target in targets:
        if not is_uri(target):
            directory, name = os.path.split(os.path.realpath(target))
            places.setdefault(directory, set()).add(temporary_prefix(name))
    for directory, prefixes in places.items():
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                prefix = entry.name[: len(temporary_prefix(""))]
                if prefix in prefixes and entry.name.endswith(".tmp"):
                    remove_abandoned(entry.path)

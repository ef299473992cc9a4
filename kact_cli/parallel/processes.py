"""Worker processes, one connection each: what a dead one was doing is known, and the others go on.

Two things that `ProcessPoolExecutor` cannot say or do. Besides, it needs named semaphores, which
some containers do not have and a killed process leaves behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Protocol

from kact_cli.messages import describe

Function = Callable[[Any], Any]
_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


@dataclass(frozen=True)
class Answer:
    """What became of one call: its value, or in words why it has none."""

    key: int
    value: Any = None
    error: str | None = None


class Runner(Protocol):
    """Who does the work. Used as a context, whose end stops what is not done."""

    capacity: int
    """How many calls may be under way at once."""
    grain: int
    """How many of a plan's units, of 8 MiB each, are worth a call."""

    def submit(self, key: int, function: Function, argument: Any) -> None:
        """Start a call; never more than `capacity` of them."""
        ...

    def next(self) -> Answer:
        """Wait for a call to end, and say how it did."""
        ...

    def __enter__(self) -> Runner: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def call(key: int, function: Function, argument: Any) -> Answer:
    """Call, and turn whatever goes wrong into words."""
    try:
        return Answer(key, function(argument))
    except Exception as e:
        return Answer(key, error=describe(e))


class Inline:
    """This process does the work, one call at a time."""

    capacity = 1
    grain = 4

    def __init__(self) -> None:
        self._calls: deque[tuple[int, Function, Any]] = deque()

    def submit(self, key: int, function: Function, argument: Any) -> None:
        self._calls.append((key, function, argument))

    def next(self) -> Answer:
        return call(*self._calls.popleft())

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.clear()


@dataclass
class Worker:
    """A process, this end of its connection, and the call that it is busy with."""

    process: BaseProcess
    connection: Connection
    key: int | None = None


class Crew:
    """Processes on this machine."""

    grain = 4

    def __init__(self, jobs: int) -> None:
        self.capacity = jobs
        self._workers: dict[Connection, Worker] = {}
        self._idle: list[Worker] = []
        self._lost: deque[Worker] = deque()
        self._directory = ""

    def __enter__(self) -> Crew:
        self._directory = tempfile.mkdtemp(prefix="kact-batch-")
        return self

    def submit(self, key: int, function: Function, argument: Any) -> None:
        worker = self._idle.pop() if self._idle else self._start()
        worker.key = key
        try:
            worker.connection.send((key, function, argument))
        except OSError:
            self._lost.append(worker)

    def next(self) -> Answer:
        if self._lost:
            return self._bury(self._lost.popleft())
        busy = [c for c, worker in self._workers.items() if worker.key is not None]
        ready = wait(busy)[0]
        assert isinstance(ready, Connection)
        worker = self._workers[ready]
        try:
            answer: Answer = ready.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        worker.key = None
        self._idle.append(worker)
        return answer

    def _start(self) -> Worker:
        import multiprocessing

        # Forking costs a tenth of spawning, but can deadlock once there are threads, as Arrow's are
        alone = threading.active_count() == 1 and "pyarrow" not in sys.modules
        fork = alone and sys.platform == "linux"
        context: Any = multiprocessing.get_context("fork" if fork else "spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_work, args=(theirs, os.getpid(), self._directory), daemon=True
        )
        # Until it has said that it leaves them to its parent
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            process.start()
            worker = self._workers[ours] = Worker(process, ours)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return worker

    def _bury(self, worker: Worker) -> Answer:
        """Say what a dead worker was doing; another will be started when it is needed."""
        del self._workers[worker.connection]
        worker.connection.close()
        worker.process.join()
        code = worker.process.exitcode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        hint = "; fewer --jobs need less memory" if code == -signal.SIGKILL else ""
        key = worker.key
        assert key is not None
        return Answer(key, error=f"the worker process {how}{hint}")

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.process.kill()
        for worker in self._workers.values():
            worker.process.join()
            worker.connection.close()
        self._workers.clear()
        shutil.rmtree(self._directory, ignore_errors=True)


def _work(connection: Connection, parent: int, directory: str) -> None:
    """A worker's life: calls, one after another, until the parent has gone."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.environ.setdefault("ARROW_IO_THREADS", "2")
    tempfile.tempdir = directory

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(call(*connection.recv()))
    # Not by returning: an upload that failed must not be closed
    os._exit(0)

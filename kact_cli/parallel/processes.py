"""Executors for calls that take seconds: this process, or worker processes of this machine.

`ProcessPoolExecutor` does not serve: when one of its workers dies, every call fails and none says
which worker it was; and it needs named semaphores, which some containers do not have.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess, current_process
from queue import SimpleQueue
from typing import Any, NamedTuple

from kact_cli.cleanup import note, remove, temporary_directory
from kact_cli.errors import DataError, KactError, reason
from kact_cli.messages import describe
from kact_cli.parallel.pools import WorkerLost

_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Workers(Executor, ABC):
    """An executor that says how much work it wants. Used as a context, whose end stops the rest."""

    grain = 4
    """How many of a plan's units, of 8 MiB each, are worth a call."""
    elsewhere = False
    """Whether the workers are on other machines, where a lost one may leave temporary files."""

    @abstractmethod
    def capacity(self) -> int:
        """How many calls may be under way at once. Raises DataError when nobody is left."""


class Inline(Workers):
    """This process does each call when it is submitted."""

    def capacity(self) -> int:
        return 1

    def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **more))
        except Exception as e:
            future.set_exception(e)
        return future


class _Worker(NamedTuple):
    """A process, and this end of its connection."""

    process: BaseProcess
    connection: Connection


def is_worker() -> bool:
    """Whether this process is a worker, which can have no workers of its own."""
    return current_process().daemon


class Processes(Workers):
    """Worker processes, each with a connection and a thread of its own that waits for its answers.

    A call whose worker dies raises WorkerLost; the other workers go on, and another one is started
    for the next call. Errors that are not KactErrors arrive as DataErrors, in words.
    """

    def __init__(self, jobs: int) -> None:
        """Nothing starts before `with`."""
        self._jobs = jobs
        self._directory = ""
        self._lock = threading.Lock()
        self._closed = False
        self._workers: set[_Worker] = set()
        self._idle: SimpleQueue[_Worker | None] = SimpleQueue()
        self._threads = ThreadPoolExecutor(jobs)

    def capacity(self) -> int:
        return self._jobs

    def __enter__(self) -> Processes:
        try:
            # Without a directory for temporary files, a call that needs one says so
            with contextlib.suppress(OSError):
                path = os.path.join(temporary_directory(), f"kact-jobs-{os.urandom(8).hex()}")
                os.mkdir(note(path), 0o700)
                self._directory = path
            # All now: no process can be forked once there are threads
            for _ in range(self._jobs):
                self._idle.put(self._start())
        except BaseException:
            self.shutdown()
            raise
        return self

    def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        return self._threads.submit(self._call, function, args, more)

    def _call(self, function: Callable[..., Any], args: Any, more: Any) -> Any:
        """Have an idle worker do the call. Runs in a thread; there are as many as workers."""
        worker = self._idle.get()
        try:
            worker = worker or self._start()
            try:
                worker.connection.send((function, args, more))
                value, error = worker.connection.recv()
            except (EOFError, OSError) as e:
                lost, worker = self._bury(worker), None
                raise lost from e
        finally:
            self._idle.put(worker)
        if error is not None:
            raise error
        return value

    def _start(self) -> _Worker:
        """Start a worker. Raises WorkerLost where none can start."""
        import multiprocessing

        # Forking costs a tenth of spawning, but can deadlock once there are threads, as Arrow's are
        alone = threading.active_count() == 1 and "pyarrow" not in sys.modules
        fork = alone and sys.platform == "linux"
        context: Any = multiprocessing.get_context("fork" if fork else "spawn")
        # The worker leaves signals to its parent; until it says so, they have to wait
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            with self._lock:
                if self._closed:
                    raise WorkerLost("the work was given up")
                ours, theirs = context.Pipe()
                args = (theirs, os.getpid(), self._directory)
                process = context.Process(target=_work, args=args, daemon=True)
                process.start()
                worker = _Worker(process, ours)
                self._workers.add(worker)
                theirs.close()
        except OSError as e:
            raise WorkerLost(f"no worker process can start: {reason(e)}") from e
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return worker

    def _bury(self, worker: _Worker) -> WorkerLost:
        """Say how a worker died."""
        with self._lock:
            self._workers.discard(worker)
            worker.process.join()
        worker.connection.close()
        code = worker.process.exitcode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        hint = "; fewer --jobs need less memory" if code == -signal.SIGKILL else ""
        return WorkerLost(f"a worker process {how}{hint}")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        """Stop what is not done, whatever `cancel_futures` says, and remove temporary files."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.process.kill()
            for worker in self._workers:
                worker.process.join()
        self._threads.shutdown(wait=wait)
        if self._directory:
            remove(self._directory)


def _work(connection: Connection, parent: int, directory: str) -> None:
    """A worker's life: calls, one after another, until the parent has gone."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.environ.setdefault("ARROW_IO_THREADS", "2")
    if directory:
        os.environ["TMPDIR"] = directory

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        if directory:
            remove(directory)
        os._exit(1)

    # Where no thread can start, the parent's end is noticed after the call that is under way
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=watch, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, args, more = connection.recv()
            connection.send(_answer(function, args, more))
    # Not by returning: an upload that failed must not be closed
    os._exit(0)


def _answer(function: Callable[..., Any], args: Any, more: Any) -> tuple[Any, KactError | None]:
    """The value of a call, or the error: one that every process can read."""
    try:
        return function(*args, **more), None
    except KactError as e:
        return None, e
    except Exception as e:
        return None, DataError(describe(e))

"""Pools of threads and of processes, and work done through them in order."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from kact_cli.errors import reason

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future


T = TypeVar("T")


R = TypeVar("R")


class WorkerLost(Exception):
    """A worker process died, or could not start; whoever knows the file says so."""


def usable_cores() -> int:
    """The cores that this process may use: its affinity, and its control group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        with open("/sys/fs/cgroup/cpu.max") as f:
            quota, period = f.read().split()
        return max(1, min(cores or 1, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no such file, or no quota ("max")
        return cores or 1


@contextlib.contextmanager
def thread_pool(jobs: int | None, *, wait: bool = False) -> Iterator[tuple[Executor, int]]:
    """Threads for work whose data is in this process, and how many: `jobs`, or one for each core.

    `wait` for the threads to end before the pool is left: needed where they use descriptors that
    are closed then. A thread that only computes ends by itself.
    """
    from concurrent.futures import ThreadPoolExecutor

    count = usable_cores() if jobs is None else jobs
    pool = ThreadPoolExecutor(count)
    try:
        yield pool, count
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


@contextlib.contextmanager
def process_pool(jobs: int) -> Iterator[Executor]:
    """A pool of `jobs` processes, which notice a dead parent and whose death is noticed."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Forking costs a tenth of spawning, but can deadlock once there are threads, as Arrow's are
    alone = threading.active_count() == 1 and "pyarrow" not in sys.modules
    fork = alone and sys.platform == "linux"
    context = multiprocessing.get_context("fork" if fork else "spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_in_worker, initargs=(os.getpid(),))
    try:
        yield pool
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown(wait=True)


def _in_worker(parent: int) -> None:
    """Set up a worker: leave signals to the parent, and leave when the parent has gone."""
    import signal
    import time

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def in_order(
    executor: Executor, window: int, function: Callable[[T], R], items: Iterable[T]
) -> Iterator[R]:
    """`function` of each item, in order, with at most `window` of them in flight.

    Raises WorkerLost when a worker has died, as one does that the system kills for its memory, and
    when none can start.
    """
    from concurrent.futures import BrokenExecutor

    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            try:
                future = executor.submit(function, item)
            except OSError as e:  # the processes of a pool start at its first work
                raise WorkerLost(f"no worker process can start: {reason(e)}") from e
            pending.append(future)
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenExecutor as e:
        raise WorkerLost("a worker process was killed; fewer --jobs need less memory") from e
    finally:
        for future in pending:
            future.cancel()

"""Threads, how many there may be, and calls whose results are wanted in order."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from kact_cli.errors import DataError

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

T = TypeVar("T")
R = TypeVar("R")


class WorkerLost(DataError):
    """A worker process died, or none could start; who knows the file says which it is."""


def usable_cores() -> int:
    """The cores that this process may use: its affinity, and its control group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        with open("/sys/fs/cgroup/cpu.max") as f:
            quota, period = f.read().split()
        return max(1, min(cores or 1, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no such file, or no quota ("max")
        return cores or 1


def worker_count(jobs: int | None) -> int:
    """How many do the work: as many as were asked for, or one for each core."""
    return usable_cores() if jobs is None else jobs


@contextlib.contextmanager
def thread_pool(jobs: int | None, *, wait: bool = False) -> Iterator[tuple[Executor, int]]:
    """Threads for work whose data is in this process, and how many: `jobs`, or one for each core.

    `wait` for the threads to end before the pool is left: needed where they use descriptors that
    are closed then. A thread that only computes ends by itself.
    """
    from concurrent.futures import ThreadPoolExecutor

    count = worker_count(jobs)
    pool = ThreadPoolExecutor(count)
    try:
        yield pool, count
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


def in_order(
    executor: Executor, window: int, function: Callable[[T], R], items: Iterable[T]
) -> Iterator[R]:
    """`function` of each item, in order, with at most `window` of them in flight."""
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()

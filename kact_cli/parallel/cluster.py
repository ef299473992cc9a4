"""A Dask cluster as a runner: the same calls, on whatever machines it has.

Its workers are trusted with everything that this user may do, and it with this machine: what goes
between them is pickled, and unencrypted unless the cluster is set up otherwise.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kact_cli.errors import DataError, UsageError
from kact_cli.messages import describe
from kact_cli.parallel.processes import Answer, Function

if TYPE_CHECKING:
    from concurrent.futures import Future

CONNECT_SECONDS = 5
WORKERS_SECONDS = 60
"""How long a cluster may be without any worker."""
POLL_SECONDS = 2
AHEAD = 4
"""Calls for each thread of the cluster, so that none waits for the next."""


class Cluster:
    """The workers of the Dask scheduler at `address`. Raises DataError where there are none."""

    grain = 32  # a call costs the scheduler two milliseconds and more

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ImportError as e:
            raise UsageError("--scheduler needs Dask: pip install 'kact-cli[dask]'") from e
        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] == "distributed":  # kact says itself what went wrong
                logging.getLogger(name).setLevel(logging.CRITICAL)
        self._address = address
        self._ended: queue.SimpleQueue[tuple[int, Future[Any]]] = queue.SimpleQueue()
        self._futures: set[Future[Any]] = set()
        try:
            self._client = distributed.Client(
                address, timeout=CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, ValueError) as e:
            raise DataError(f"no Dask scheduler at {address}: {' '.join(str(e).split())}") from e
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except TimeoutError as e:
            raise DataError(f"the Dask scheduler at {address} has no workers") from e
        self._executor = self._client.get_executor(pure=False)
        self.capacity = AHEAD
        self._look()

    def _look(self) -> bool:
        """Follow the size of the cluster; returns whether it has any worker."""
        threads: int = sum(self._client.nthreads().values())
        self.capacity = max(AHEAD, AHEAD * threads)
        self._looked = time.monotonic()
        return threads > 0

    def submit(self, key: int, function: Function, argument: Any) -> None:
        future = self._executor.submit(function, argument)
        self._futures.add(future)
        future.add_done_callback(lambda ended: self._ended.put((key, ended)))

    def next(self) -> Answer:
        alone_since = time.monotonic()
        while True:
            try:
                key, future = self._ended.get(timeout=POLL_SECONDS)
                break
            except queue.Empty:
                if self._look():
                    alone_since = time.monotonic()
                elif time.monotonic() - alone_since > WORKERS_SECONDS:
                    raise DataError(
                        f"the Dask cluster at {self._address} has lost all its workers"
                    ) from None
        if time.monotonic() - self._looked > POLL_SECONDS:
            self._look()
        self._futures.discard(future)
        if future.cancelled():
            raise DataError(f"the Dask scheduler at {self._address} gave up the work")
        error = future.exception()
        return Answer(key, error=describe(error)) if error else Answer(key, future.result())

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for future in list(self._futures):
            future.cancel()
        with contextlib.suppress(Exception):  # whatever a cluster that goes away may raise
            self._client.close(timeout=POLL_SECONDS)

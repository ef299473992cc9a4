"""A Dask cluster does the same calls, on whatever machines it has.

Its workers are trusted with everything that this user may do, and it with this machine: what goes
between them is pickled, and unencrypted unless the cluster is set up otherwise.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from typing import Any

from kact_cli.errors import DataError, UsageError
from kact_cli.parallel.processes import Workers

CONNECT_SECONDS = 5
WORKERS_SECONDS = 60
"""How long a cluster may be without any worker."""
POLL_SECONDS = 2
AHEAD = 4
"""Calls for each thread of the cluster, so that none waits for the next."""


class Cluster(Workers):
    """The workers of the Dask scheduler at `address`. Raises DataError where there are none."""

    grain = 32  # a call costs the scheduler two milliseconds and more
    elsewhere = True

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ImportError as e:
            raise UsageError("--scheduler needs Dask: pip install 'kact-cli[dask]'") from e
        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] == "distributed":  # kact says itself what went wrong
                logging.getLogger(name).setLevel(logging.CRITICAL)
        self._address = address
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
        self._threads = 1
        self._looked = self._seen = 0.0

    def capacity(self) -> int:
        """Follows the size of the cluster."""
        now = time.monotonic()
        if now - self._looked > POLL_SECONDS:
            self._looked, self._threads = now, sum(self._client.nthreads().values())
            if self._threads:
                self._seen = now
            elif now - self._seen > WORKERS_SECONDS:
                raise DataError(f"the Dask cluster at {self._address} has lost all its workers")
        return AHEAD * max(1, self._threads)

    def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = self._executor.submit(function, *args, **more)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        """Cancel what is not done, whatever the arguments say."""
        with contextlib.suppress(Exception):  # whatever a cluster that goes away may raise
            self._executor.shutdown(wait=False)
            self._client.close(timeout=POLL_SECONDS)

"""A Dask scheduler and its workers, each a process on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools.run import environment


class Cluster:
    """A scheduler and its workers, each a process of one thread."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._log = (directory / "dask.log").open("wb")
        self._directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []
        self._start(
            "dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"
        )

    def _start(self, module: str, *args: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{module}", *args],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=self._directory,
            env=environment(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="3"),
        )
        self._processes.append(process)
        return process

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start a worker, without a nanny that would replace it when it is killed."""
        fixed = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name]
        place = ["--host", "127.0.0.1", "--local-directory", str(self._directory)]
        return self._start("dask_worker", self.address, *fixed, *place)

    def close(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        self._log.close()


@contextmanager
def running(directory: Path, *workers: str) -> Iterator[Cluster]:
    """A cluster with workers of these names."""
    directory.mkdir()
    cluster = Cluster(directory)
    try:
        for name in workers:
            cluster.worker(name)
        yield cluster
    finally:
        cluster.close()

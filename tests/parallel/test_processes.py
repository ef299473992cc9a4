"""Worker processes: what a caller learns of a call, and what is left when all is over."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from kact_cli.cleanup import temporary_directory
from kact_cli.errors import DataError, UsageError
from kact_cli.parallel.pools import WorkerLost
from kact_cli.parallel.processes import Processes


def fail(kind: type[Exception]) -> None:
    raise kind("so it is")


def place(_: int) -> str:
    return tempfile.mkdtemp(dir=temporary_directory())


def test_errors_arrive_as_kact_errors() -> None:
    with Processes(1) as workers:
        assert workers.submit(abs, -3).result() == 3
        with pytest.raises(UsageError, match=r"^so it is$"):
            workers.submit(fail, UsageError).result()
        with pytest.raises(DataError, match=r"^ValueError: so it is$"):
            workers.submit(fail, ValueError).result()


def test_a_lost_worker_is_one_lost_call() -> None:
    with Processes(2) as workers:
        others = [workers.submit(time.sleep, 0.1) for _ in range(2)]
        lost = workers.submit(signal.raise_signal, signal.SIGKILL)
        others += [workers.submit(time.sleep, 0.1) for _ in range(6)]
        with pytest.raises(WorkerLost, match="killed by signal 9; fewer --jobs"):
            lost.result()
        with pytest.raises(WorkerLost, match="ended with exit code 3"):
            workers.submit(os._exit, 3).result()
        assert [other.result() for other in others] == [None] * 8


def test_what_cannot_be_sent_loses_no_worker() -> None:
    with Processes(1) as workers:
        with pytest.raises(Exception, match="pickle"):
            workers.submit(lambda: None).result()
        assert workers.submit(abs, -3).result() == 3


def test_the_end_stops_calls_and_removes_their_files() -> None:
    with Processes(2) as workers:
        made = Path(workers.submit(place, 0).result())
        assert made.is_dir()
        calls = [workers.submit(time.sleep, 600) for _ in range(5)]
    assert not made.parent.exists()
    assert all(call.done() for call in calls)

"""Worker processes: what a caller learns of a call, and what is left when all is over."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from kact_cli.cleanup import remove_all, temporary_directory
from kact_cli.errors import DataError, UsageError
from kact_cli.parallel.pools import WorkerLost
from kact_cli.parallel.processes import Processes
from tests.tools.run import names


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


def test_workers_that_can_start_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    context, start, parent = (
        multiprocessing.get_context("fork"),
        threading.Thread.start,
        os.getpid(),
    )

    def refused(thread: threading.Thread) -> None:
        if os.getpid() != parent:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: context)
    with Processes(1) as workers:
        assert workers.submit(abs, -3).result() == 3
        with pytest.raises(DataError, match=r"^the system starts no more threads"):
            workers.submit(_with_a_thread).result()


def _with_a_thread() -> None:
    threading.Thread(target=place).start()


def test_a_directory_that_cannot_be_removed_is_removed_in_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with monkeypatch.context() as broken, Processes(1) as workers:
        assert Path(workers.submit(place, 0).result()).is_dir()
        broken.setattr(shutil, "rmtree", lambda path, **_: os.close(-1))
    assert names(tmp_path)
    remove_all()
    assert not names(tmp_path)


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

"""What is killed leaves the target absent, as it was, or whole; workers are missed, or follow."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.tools.ends import MODES, SLOW, end, running, temporary_files
from tests.tools.run import alive, descendants, start, wait_until


def random_kills(count: int, big: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.npy"
    whole = tmp_path / "whole.npy"
    assert end(start("chain", SLOW, big, whole))[0] == 0
    new, moments = whole.read_bytes(), random.Random(7)
    for number in range(count):
        old = [b"", b"what was there before"][number % 2]
        target.unlink(missing_ok=True)
        if old:
            target.write_bytes(old)
        child = start("chain", SLOW, big, target, "--overwrite", *MODES[number % len(MODES)])
        time.sleep(moments.uniform(0.05, 0.8))
        child.kill()
        end(child)
        assert (target.read_bytes() if target.exists() else b"") in (old, new)
        for path in temporary_files(tmp_path):
            path.unlink()


def test_kill_at_a_random_moment(big: Path, tmp_path: Path) -> None:
    random_kills(20, big, tmp_path)


@pytest.mark.slow
def test_kill_at_a_hundred_random_moments(big: Path, tmp_path: Path) -> None:
    random_kills(100, big, tmp_path)


@pytest.mark.parametrize("jobs", ["2", "3"])
def test_workers_leave_when_their_parent_is_killed(jobs: str, big: Path, tmp_path: Path) -> None:
    child = running(big, tmp_path / "out.npy", "--jobs", jobs)
    workers: set[int] = set()

    def seen() -> bool:
        workers.update(descendants(child.pid))
        return len(workers) >= int(jobs)

    assert wait_until(seen)
    child.kill()
    child.wait()
    assert wait_until(lambda: not alive(workers), 2.5)
    end(child)


def test_killed_worker_is_one_line(big: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.npy"
    target.write_bytes(b"old")
    child = running(big, target, "--jobs", "2")
    assert wait_until(lambda: len(descendants(child.pid)) >= 2)

    def killed() -> bool:
        with contextlib.suppress(ProcessLookupError):  # one that lived for a moment only
            os.kill(max(descendants(child.pid)), signal.SIGKILL)
            return True
        return False

    assert wait_until(killed)
    code, said = end(child, 5)
    assert code == 1
    assert said.count(b"\n") == 1
    assert b"out.npy: a worker process was killed" in said
    assert target.read_bytes() == b"old"
    assert temporary_files(tmp_path) == []

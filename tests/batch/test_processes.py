"""Workers that die, runs that are killed, Ctrl-C: what is said, and what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tools.run import MIB, alive, descendants, environment, leftovers, start, tree, wait_until
from tests.tools.tensors import save, zeros

SLOW = ",".join(["softplus,tanh,softplus,sigmoid"] * 3)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve files that SLOW needs more than a second for."""
    place = tmp_path_factory.mktemp("slow")
    for number in range(12):
        save(place / f"{number:02}.npy", 2 * MIB, dtype="f8", seed=number)
    return place


def started(slow: Path, out: Path, *more: str | Path) -> subprocess.Popen[bytes]:
    """kact with two workers, both at work."""
    args = ["batch", SLOW, slow, "-o", out, "--jobs", "2", *more]
    process = start(*args, start_new_session=True)
    assert wait_until(lambda: len(leftovers(out)) == 2, 30)
    return process


def workers(process: subprocess.Popen[bytes]) -> list[int]:
    """The workers, which alone have a file of the output open."""
    found = []
    for pid in descendants(process.pid):
        links = [os.readlink(entry) for entry in os.scandir(f"/proc/{pid}/fd")]
        if any(link.endswith(".tmp") for link in links):
            found.append(pid)
    return found


def test_killed_worker_is_an_error_that_names_its_file(slow: Path, tmp_path: Path) -> None:
    process = started(slow, tmp_path / "out")
    assert wait_until(lambda: len(workers(process)) > 0)
    os.kill(workers(process)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    line = errors.decode().strip()
    assert "\n" not in line
    assert f"{slow}/" in line
    assert "was killed by signal 9" in line
    assert not leftovers(tmp_path)


def test_other_files_are_done_when_a_worker_is_killed(slow: Path, tmp_path: Path) -> None:
    process = started(slow, tmp_path / "out", "--keep-going")
    assert wait_until(lambda: len(workers(process)) > 0)
    os.kill(workers(process)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.decode().splitlines()[-1] == "kact: error: 1 of 12 files failed"
    assert len(tree(tmp_path / "out")) == 11
    assert not leftovers(tmp_path)


def test_workers_end_with_their_parent(slow: Path, tmp_path: Path) -> None:
    process = started(slow, tmp_path / "out")
    below = descendants(process.pid)
    assert len(below) >= 2
    process.kill()
    assert wait_until(lambda: not alive(below), 2)
    process.communicate()


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_at_once_and_leave_nothing(
    jobs: str, number: int, slow: Path, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    out = tmp_path / "out"
    args = ["batch", SLOW, slow, "-o", out, "--jobs", jobs]
    process = start(*args, start_new_session=True, env=environment(TMPDIR=str(tmp_path / "tmp")))
    assert wait_until(lambda: len(leftovers(out)) == int(jobs), 30)
    below = descendants(process.pid)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert errors == b"kact: interrupted; 0 of 12 files done; --skip-existing goes on from there\n"
    assert not alive(below)
    assert not leftovers(tmp_path)
    assert not list((tmp_path / "tmp").iterdir())


def test_large_file_in_ranges_leaves_nothing_when_stopped(tmp_path: Path) -> None:
    zeros(tmp_path / "a.npy", "<f8", 200 * MIB)
    out = tmp_path / "out"
    process = start("batch", "softplus,tanh", tmp_path / "a.npy", "-o", out, "--jobs", "2")
    assert wait_until(lambda: len(leftovers(out)) == 1, 30)
    assert wait_until(lambda: len(workers(process)) == 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == b"kact: interrupted; 0 of 1 file done; --skip-existing goes on from there\n"
    assert not leftovers(out)


def test_threads_do_not_multiply(tmp_path: Path) -> None:
    rows = 300_000
    table = pa.table({f"c{i}": np.random.default_rng(i).normal(size=rows) for i in range(20)})
    for number in range(4):
        pq.write_table(table, tmp_path / f"{number}.parquet")
    process = start(
        *(
            "batch",
            "tanh",
            tmp_path,
            "--include",
            "*.parquet",
            "-o",
            tmp_path / "out",
            "--jobs",
            "2",
        )
    )
    most: dict[int, int] = {}
    while process.poll() is None:
        for pid in descendants(process.pid):
            try:
                most[pid] = max(most.get(pid, 0), len(os.listdir(f"/proc/{pid}/task")))
            except OSError:  # it has ended meanwhile
                continue
        time.sleep(0.005)
    assert process.communicate()[1] == b""
    # The worker's own, the one that watches the parent, computing ones, Arrow's two for I/O and
    # one that serves its memory pool or signals
    assert most
    assert max(most.values()) <= 7, most

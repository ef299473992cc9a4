"""Workers that die, runs that are killed, Ctrl-C: what is said, and what is left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.batch.test_batch import save, tree
from tests.tools.run import Kact, command, environment, start, wait_until

MIB = 1024 * 1024


def processes() -> dict[int, int]:
    """Every process that has not ended, and its parent."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            if stat[0] != "Z":
                parents[int(name)] = int(stat[1])
    return parents


def descendants(pid: int) -> set[int]:
    """Every process below `pid`."""
    parents, found = processes(), {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def alive(pids: set[int]) -> bool:
    return bool(pids & processes().keys())


def leftovers(directory: Path) -> list[Path]:
    return [
        path for path in directory.rglob("*") if ".kact-" in path.name and path.suffix == ".tmp"
    ]


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Twelve files that take a second together, and more."""
    for number in range(12):
        save(tmp_path / "in" / f"{number:02}.npy", 6 * MIB, dtype="f8", seed=number)
    return tmp_path / "in"


def started(slow: Path, out: Path, *more: str | Path) -> subprocess.Popen[bytes]:
    """kact with two workers, both at work."""
    args = ["batch", "softplus,tanh,softplus,sigmoid", slow, "-o", out, "--jobs", "2", *more]
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
    killed = time.monotonic()
    os.kill(workers(process)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - killed < 5
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
    assert errors.decode().splitlines()[-1] == "kact: 1 of 12 files failed"
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
    args = ["batch", "softplus,tanh,softplus,sigmoid", slow, "-o", out, "--jobs", jobs]
    process = start(*args, start_new_session=True, env=environment(TMPDIR=str(tmp_path / "tmp")))
    assert wait_until(lambda: len(leftovers(out)) == int(jobs), 30)
    below = descendants(process.pid)
    sent = time.monotonic()
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - sent < 5
    assert process.returncode == 128 + number
    assert not errors
    assert not alive(below)
    assert not leftovers(tmp_path)
    assert not list((tmp_path / "tmp").iterdir())


def test_large_file_in_ranges_leaves_nothing_when_stopped(tmp_path: Path) -> None:
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": (200 * MIB,)}
        )
        file.truncate(file.tell() + 1600 * MIB)
    out = tmp_path / "out"
    process = start("batch", "softplus,tanh", tmp_path / "a.npy", "-o", out, "--jobs", "2")
    assert wait_until(lambda: len(leftovers(out)) == 1, 30)
    assert wait_until(lambda: len(workers(process)) == 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert not errors
    assert not leftovers(out)


def test_threads_do_not_multiply(slow: Path, tmp_path: Path) -> None:
    rows = 300_000
    table = pa.table({f"c{i}": np.random.default_rng(i).normal(size=rows) for i in range(20)})
    for number in range(4):
        pq.write_table(table, slow / f"{number}.parquet")
    process = start(
        *("batch", "tanh", slow, "--include", "*.parquet", "-o", tmp_path / "out", "--jobs", "2")
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


def mixed(directory: Path, count: int) -> set[str]:
    """Files of all kinds, sizes and names, nested; returns the names of the corrupt ones."""
    rng = random.Random(7)
    bad = set()
    odd = [
        "x[0]",
        "-n",
        "a b",
        "[red]r",
        "\x1b[1m",
        "ü",
        "né\u202e",
        "'q'",
        '"',
        "$(x)",
        "a,b",
        "%41",
    ]
    directory.mkdir()
    for number in range(count):
        name = f"{number:04}" + rng.choice(odd if number % 5 == 0 else [""])
        parent = directory.joinpath(*(f"d{rng.randrange(4)}" for _ in range(rng.randrange(4))))
        parent.mkdir(parents=True, exist_ok=True)
        kind = rng.randrange(8)
        path = parent / (name + (".npy", ".csv", ".parquet")[min(kind // 3, 2)])
        size = rng.choice([1, 10, 1000, 1000, 20_000])
        array = np.random.default_rng(number).normal(size=(size, 3)).astype("f4")
        corrupt = number % 20 == 13
        if path.suffix == ".npy":
            with open(path, "wb") as file:
                np.save(file, array[:0] if number % 7 == 0 else array)
        elif path.suffix == ".csv":
            rows = array[: 0 if number % 7 == 0 else 200].tolist()
            path.write_text("i,x,y\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
        else:
            pq.write_table(pa.table(list(array.T), names=["a", "b", "c"]), path)
        if corrupt:
            bad.add(str(path.relative_to(directory)))
            data = path.read_bytes()
            if path.suffix == ".csv":
                data = b"" if number % 2 else data + b'"unterminated,1,2\n'
            else:
                data = data[: rng.randrange(len(data))] if number % 2 else b"\x89PNG\r\n\x1a\n\0\0"
            path.write_bytes(data)
    return bad


def test_exactly_the_corrupt_ones_of_2000_mixed_files_fail(kact: Kact, tmp_path: Path) -> None:
    bad = mixed(tmp_path / "in", 2000)
    save(tmp_path / "in" / "huge.npy", 20 * MIB, dtype="f8")
    out, report = tmp_path / "out", tmp_path / "report.json"
    args = ["batch", "elu,softmax", tmp_path / "in", "-o", out, "-k"]
    done = kact(*args, "--jobs", 2, "--report", report, code=1)
    lines = done.stderr.decode().splitlines()
    failures = [line for line in lines if not line.startswith("kact: warning")]
    assert failures[-1] == f"kact: {len(bad):,} of 2,001 files failed"
    assert len(failures) == len(bad) + 1
    files = json.loads(report.read_text())["files"]
    named = {os.path.relpath(f["input"], tmp_path / "in") for f in files if f["status"] == "failed"}
    assert named == bad
    assert set(tree(out)) == set(tree(tmp_path / "in")) - bad
    again = kact(*args, "--jobs", 1, "--skip-existing", code=1)
    assert again.stdout.startswith(b"0 files done")
    assert f"{2001 - len(bad):,} left as they were" in again.stdout.decode()


def resumed(tmp_path: Path, kills: int, count: int) -> None:
    """Kill a run at random moments, continue it each time, and compare with one left alone."""
    rng = random.Random(kills)
    mixed(tmp_path / "in", count)
    save(tmp_path / "in" / "huge.npy", 24 * MIB, dtype="f8")
    args: list[Any] = ["batch", "tanh,softmax(axis=0)", tmp_path / "in", "-k", "-q", "--jobs", "2"]
    begun = time.monotonic()
    whole = subprocess.run(
        command(*args, "-o", tmp_path / "whole"), env=environment(), capture_output=True
    )
    takes = time.monotonic() - begun
    assert whole.returncode == 1
    out = tmp_path / "out"
    cut_short = 0
    for _ in range(kills):
        process = start(*args, "-o", out, "--skip-existing", start_new_session=True)
        try:
            process.wait(0.1 + rng.random() * takes * 2 / kills)
        except subprocess.TimeoutExpired:
            cut_short += 1
            # Half of the time the workers as well, so that nobody clears up
            if rng.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.communicate()
    assert cut_short >= min(3, kills // 2)
    last = subprocess.run(
        command(*args, "-o", out, "--skip-existing"), env=environment(), capture_output=True
    )
    assert last.stderr == whole.stderr
    assert tree(out) == tree(tmp_path / "whole")


def test_killed_three_times_and_resumed_is_the_same(tmp_path: Path) -> None:
    resumed(tmp_path, 3, 300)


@pytest.mark.slow
def test_killed_twenty_times_and_resumed_is_the_same(tmp_path: Path) -> None:
    resumed(tmp_path, 20, 2000)

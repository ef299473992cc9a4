"""kact may be killed at any moment: the target is absent, as it was, or whole."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli.cli.progress import Progress
from kact_cli.cli.run import watched
from kact_cli.cli.signals import Terminated
from kact_cli.options import Options
from tests.tools.run import alive, descendants, environment, start, wait_until

SLOW = "tanh," * 10 + "softmax(axis=0)"
"""What takes some tenths of a second, so that a signal at a random moment may come in its midst."""
ENDLESS = "tanh," * 300 + "softmax(axis=0)"
"""What a signal always cuts short, on however fast a machine."""
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
READS = {"x86_64": ("0", "19"), "aarch64": ("63", "65")}.get(os.uname().machine, ())
"""The numbers of read and readv."""
MODES: list[tuple[str, ...]] = [(), ("--jobs", "2"), ("--jobs", "1")]


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "big.npy"
    np.save(path, np.random.default_rng(0).normal(size=(1 << 14, 500)).astype("f4"))
    return path


def temporary_files(directory: Path) -> list[Path]:
    return [p for p in directory.iterdir() if p.name.startswith((".kact-", "kact-"))]


def end(child: subprocess.Popen[bytes], seconds: float = 10) -> tuple[int, bytes]:
    """The exit code and standard error of a kact that ends by itself, and in time."""
    try:
        code = child.wait(seconds)
    finally:
        child.kill()
    assert child.stderr is not None
    said = child.stderr.read()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    return code, said


def told(target: Path, became: str = "was not written") -> bytes:
    """What kact says after a signal."""
    return f"kact: interrupted; {target} {became}\n".encode()


def waits_for_input(pid: int) -> bool:
    """Whether one of the threads of a process is within a call that reads standard input."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            call = (task / "syscall").read_text().split()
            if call[0] in READS and call[1] == "0x0":
                return True
    return False


def running(
    big: Path, target: Path, *more: str, chain: str = ENDLESS, **how: Any
) -> subprocess.Popen[bytes]:
    """A kact that has begun to write its output."""
    child = start("chain", chain, big, target, "--overwrite", *more, **how)
    assert wait_until(lambda: bool(temporary_files(target.parent)) or child.poll() is not None)
    return child


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


@pytest.mark.parametrize("more", MODES)
@pytest.mark.parametrize("number", ENDS)
def test_signal_leaves_nothing_behind(
    number: int, more: tuple[str, ...], big: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.npy"
    target.write_bytes(b"old")
    child = running(big, target, *more)
    child.send_signal(number)
    assert end(child) == (128 + number, told(target, "is unchanged"))
    assert target.read_bytes() == b"old"
    assert temporary_files(tmp_path) == []


def test_quiet_says_nothing_of_a_signal(big: Path, tmp_path: Path) -> None:
    child = running(big, tmp_path / "out.npy", "-q")
    child.send_signal(signal.SIGINT)
    assert end(child) == (130, b"")


WORKED = [(None, "was not written"), (b"old", "is unchanged"), (b"new", "had been written")]


@pytest.mark.parametrize(("after", "words"), WORKED)
def test_what_is_said_is_what_is_there(
    after: bytes | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.npy"
    if after == b"old":
        target.write_bytes(after)

    def work() -> None:
        if after == b"new":
            target.write_bytes(after)
        raise Terminated(signal.SIGINT)

    for place, said in ((str(target), told(target, words).decode()), ("-", "")):
        with pytest.raises(Terminated):
            watched(Options(observer=Progress()), work, place)
        assert capsys.readouterr().err == said


@pytest.mark.parametrize("number", ENDS)
def test_signal_to_the_whole_group_twice(number: int, big: Path, tmp_path: Path) -> None:
    """As a terminal sends Ctrl-C, and `timeout` its signal."""
    for more in MODES:
        child = running(big, tmp_path / "out.npy", *more, start_new_session=True)
        os.killpg(child.pid, number)
        os.killpg(child.pid, number)
        assert end(child) == (128 + number, told(tmp_path / "out.npy"))
        assert list(tmp_path.iterdir()) == []


def test_signal_at_a_random_moment(big: Path, tmp_path: Path) -> None:
    moments = random.Random(3)
    for attempt in range(15):
        child = start(
            "chain",
            SLOW,
            big,
            tmp_path / "out.npy",
            *MODES[attempt % len(MODES)],
            start_new_session=True,
        )
        time.sleep(moments.uniform(0.15, 0.6))
        os.killpg(child.pid, signal.SIGTERM)
        code, said = end(child)
        assert code in (0, 128 + signal.SIGTERM, -signal.SIGTERM)  # the last: Python still starts
        assert b"Traceback" not in said
        assert temporary_files(tmp_path) == []
        (tmp_path / "out.npy").unlink(missing_ok=True)


def test_ignored_hangup_stays_ignored(big: Path, tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    child = running(big, tmp_path / "out.npy", chain=SLOW, preexec_fn=ignore)
    child.send_signal(signal.SIGHUP)
    assert end(child, 60) == (0, b"")
    assert (tmp_path / "out.npy").exists()


@pytest.mark.skipif(not READS, reason="it is not known which calls read here")
@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("chain", ["relu", "softmax(axis=0)"])
def test_signal_on_a_stalled_input(number: int, chain: str, big: Path, tmp_path: Path) -> None:
    spools = tmp_path / "spools"
    spools.mkdir()
    for given in (b"", big.read_bytes()[:500_000]):
        child = start(
            "chain",
            chain,
            "--chunk-size",
            "4KiB",
            "-",
            tmp_path / "out.npy",
            env=environment(TMPDIR=str(spools)),
        )
        assert child.stdin is not None
        child.stdin.write(given)
        child.stdin.flush()
        assert wait_until(lambda child=child: waits_for_input(child.pid))
        child.send_signal(number)
        assert end(child, 3) == (128 + number, told(tmp_path / "out.npy"))
        assert sorted(p.name for p in tmp_path.iterdir()) == ["spools"]
        assert list(spools.iterdir()) == []


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("chain", ["relu", "softmax(axis=0)"])
def test_signal_on_a_stalled_output(number: int, chain: str, big: Path) -> None:
    child = start("chain", chain, big, "-")
    assert child.stdout is not None
    child.stdout.read(1)
    time.sleep(0.3)
    child.send_signal(number)
    assert end(child, 3) == (128 + number, b"")


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

"""A signal may come at any moment: the target is absent, as it was, or whole, and kact says so."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from kact_cli.cli.progress import Progress
from kact_cli.cli.run import watched
from kact_cli.cli.signals import Terminated
from kact_cli.options import Options
from tests.tools.ends import MODES, SLOW, end, running, temporary_files
from tests.tools.run import environment, start, wait_until

ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
READS = {"x86_64": ("0", "19"), "aarch64": ("63", "65")}.get(os.uname().machine, ())
"""The numbers of read and readv."""


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

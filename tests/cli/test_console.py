"""What is said on standard error, to whom, and when."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kact_cli.cli import console as module
from kact_cli.cli.console import Console
from kact_cli.errors import UsageError
from tests.tools.run import Kact, command, environment


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock)
    return clock


def work(console: Console, clock: Clock, seconds: int, total: int = 10**9, passes: int = 1) -> None:
    console.start(total, passes)
    for _ in range(10 * seconds):
        clock.now += 0.1
        console.advance(total // (10 * seconds))


def test_quick_work_is_silent(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    work(Console(progress=True), clock, 1)
    assert capfd.readouterr().err == ""


def test_lines_for_a_pipe(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(progress=True)
    work(console, clock, 20, passes=2)
    console.finish()
    said = capfd.readouterr().err.splitlines()
    assert 3 <= len(said) <= 5
    for line in said:
        assert re.fullmatch(
            r"kact: \d+ %, \d+ MB of 1 GB, 50 MB/s, \d+ s left, pass [12] of 2", line
        ), line
    assert [line[-6:] for line in (said[0], said[-1])] == ["1 of 2", "2 of 2"]


def test_nothing_unless_asked_where_there_is_no_terminal(
    clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    for console in (Console(), Console(verbose=True), Console(progress=False)):
        work(console, clock, 20)
        console.finish()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("columns", [20, 80, 140])
def test_one_line_on_a_terminal(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    columns: int,
) -> None:
    monkeypatch.setattr(module, "_is_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    console = Console()
    work(console, clock, 3, total=0)
    work(console, clock, 3)
    console.warn("something\x1b[31m")
    work(console, clock, 3)
    console.finish()
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "kact: warning: something\\x1b[31m\n" in said
    assert said.endswith("\r\x1b[K")
    states = [s for s in re.split(r"\r|\x1b\[K|\n", said) if s and "warning" not in s]
    assert len(states) > 20
    assert all(len(state) < columns for state in states)


def test_a_dumb_terminal_gets_lines(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_is_terminal", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    work(Console(), clock, 20)
    said = capfd.readouterr().err
    assert said.count("\n") > 2
    assert "\x1b" not in said
    assert "\r" not in said
    work(Console(quiet=True), clock, 20)
    assert capfd.readouterr().err == ""


def test_warnings_once_and_strict(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.warn("a")
    console.warn("a")
    console.warn("b")
    assert capfd.readouterr().err == "kact: warning: a\nkact: warning: b\n"
    with pytest.raises(UsageError):
        Console(strict=True, quiet=True).warn("a")


def test_verbose_says_what_was_decided(kact: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1000, 1000)))
    said = kact(
        "apply", "softmax", "--axis", 0, "-v", tmp_path / "x.npy", tmp_path / "y.npy"
    ).stderr
    lines = said.decode().splitlines()
    assert lines[0].endswith("npy to npy, a thread for each core")
    assert re.fullmatch(
        r"kact: [\d.]+ MB in [\d.]+ s, [\d.]+ [GM]B/s, peak memory [\d.]+ MB", lines[-1]
    )
    text = kact("apply", "tanh", "-v", stdin=b"a,b\n1.5,x\n").stderr.decode()
    assert "columns: a" in text


def test_a_terminal_that_is_gone_fails_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((10, 1)))
    ours, theirs = pty.openpty()
    os.close(ours)
    done = subprocess.run(
        command("apply", "softmax", "-v", "--progress", tmp_path / "x.npy", tmp_path / "y.npy"),
        stderr=theirs, env=environment(), timeout=60,
    )  # fmt: skip
    os.close(theirs)
    assert done.returncode == 0
    assert np.load(tmp_path / "y.npy").shape == (10, 1)

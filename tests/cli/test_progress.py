"""How far the work is: when it is shown, to whom, and how."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

from kact_cli.cli import progress as module
from kact_cli.cli.progress import Progress
from tests.tools.run import environment


class Clock:
    """A time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "90")
    return Terminal()


def work(shown: Progress, clock: Clock, seconds: int, passes: int = 1, total: int = 2**30) -> None:
    shown.start(total, passes)
    for _ in range(10 * seconds):
        clock.now += 0.1
        shown.advance(2**30 // (10 * seconds))


def states(text: str) -> list[str]:
    """What was on the last line of the terminal, one state after another."""
    return [s for s in re.split(r"\r|\n|\x1b\[[?\d;]*[A-Za-z]", text) if "MiB" in s]


def test_quick_work_is_silent(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    work(Progress(progress=True), clock, 1)
    assert capfd.readouterr().err == ""


def test_lines_for_a_pipe(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    shown = Progress(progress=True)
    work(shown, clock, 20, passes=2)
    shown.finish()
    said = capfd.readouterr().err.splitlines()
    assert 3 <= len(said) <= 5
    for line in said:
        assert re.fullmatch(
            r"kact: \d+ %, [\d.]+ MiB of 1 GiB, 51.2 MiB/s, \d+ s left, pass [12] of 2", line
        ), line
    assert [line[-6:] for line in (said[0], said[-1])] == ["1 of 2", "2 of 2"]


def test_files_are_counted_and_named(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    shown = Progress(progress=True)
    shown.start(3 * 2**20, 1, files=3)
    shown.started("in/a.npy")
    shown.started("in/a_file_whose_name_is_long.npy")
    clock.now += 2
    shown.advance(2**20)
    clock.now += 6
    shown.ended("in/a_file_whose_name_is_long.npy")
    assert capfd.readouterr().err == (
        "kact: 0/3 files, 33 %, 1 MiB of 3 MiB, 512 KiB/s, 4 s left (a.npy, a_file_whose_nam…)\n"
        "kact: 1/3 files, 33 %, 1 MiB of 3 MiB, 128 KiB/s, 16 s left (a.npy)\n"
    )


def test_nothing_unless_asked_where_there_is_no_terminal(
    clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    for shown in (Progress(), Progress(verbose=True), Progress(progress=False)):
        work(shown, clock, 20)
        shown.finish()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("columns", [30, 90, 140])
def test_one_line_on_a_terminal(
    columns: int, clock: Clock, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    with redirect_stderr(terminal):
        shown = Progress()
        work(shown, clock, 3, total=0)
        work(shown, clock, 3)
        shown.warn("[red]something\x1b[31m :dog:")
        work(shown, clock, 3)
        shown.finish()
    said = terminal.getvalue()
    warning = "kact: warning: [red]something\\x1b[31m :dog:\n"
    assert warning in re.sub(r"\x1b\[[\d;]*m", "", said)
    assert said.endswith("\x1b[2K")  # the line is erased
    assert "\x1b[?25h" in said  # the cursor is there again
    assert len(states(said)) > (20 if columns > 30 else -1)
    assert all(len(state) < columns for state in states(said))


def test_names_are_shown_as_they_are(
    clock: Clock, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with redirect_stderr(terminal):
        shown = Progress()
        shown.start(2**20, 1, files=2)
        shown.started("[bold]:dog:.npy")
        clock.now += 2
        shown.advance(2**19)
        shown.finish()
    assert "([bold]:dog:.npy)" in terminal.getvalue()


def test_a_dumb_terminal_gets_lines(
    clock: Clock, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with redirect_stderr(terminal):
        work(Progress(quiet=True), clock, 20)
        assert not terminal.getvalue()
        work(Progress(), clock, 20)
    said = terminal.getvalue()
    assert said.count("\n") > 2
    assert "\x1b" not in said
    assert "\r" not in said


def test_a_bar_that_is_begun_while_the_work_is_given_up_is_taken_back(
    clock: Clock, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, givers_up = module.make_bar, []

    def slow() -> Any:
        givers_up.append(threading.Thread(target=shown.finish))
        givers_up[0].start()
        givers_up[0].join(0.1)  # it waits for the bar, and so this ends by its time
        return real()

    monkeypatch.setattr(module, "make_bar", slow)
    with redirect_stderr(terminal):
        shown = Progress()
        work(shown, clock, 3)
        givers_up[0].join()
    said = terminal.getvalue()
    assert said.rindex("\x1b[?25h") > said.rindex("\x1b[?25l")  # the cursor is there again
    assert len(givers_up) == 1


def test_a_terminal_that_fails_fails_nothing(
    clock: Clock, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> int:
        raise OSError(5, "Input/output error")

    with redirect_stderr(terminal):
        shown = Progress()
        work(shown, clock, 2)
        assert terminal.getvalue()
        monkeypatch.setattr(terminal, "write", fail)
        work(shown, clock, 3)
        shown.warn("something")
        shown.finish()
        work(Progress(), clock, 3)


def test_rich_is_loaded_for_the_bar_alone(tmp_path: Path) -> None:
    code = """
import os, sys, time
from kact_cli.cli.progress import Progress
shown = Progress(progress=True)
shown.start(2, 1)
shown.advance(1)
assert "rich" not in sys.modules
shown._by_bar, shown._begun = True, shown._begun - 2
shown.advance(1)
assert "rich" in sys.modules
shown.finish()
"""
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)

"""What is said on standard error, to whom, and when."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kact_cli.cli.console import Console
from kact_cli.errors import UsageError
from tests.tools.run import Kact, command, environment


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
        r"kact: 7.63 MiB in [\d.]+ s, [\d.]+ [GM]iB/s, peak memory [\d.]+ MiB", lines[-1]
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

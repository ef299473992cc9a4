"""Running kact as a process, as a user does, and what such tests need."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from kact_cli.cli import cli
from kact_cli.errors import KactError

MIB = 1024 * 1024
Kact = Callable[..., "subprocess.CompletedProcess[bytes]"]


SETTINGS = ("PYTHONUNBUFFERED", "TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR",
            "CLICOLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")  # fmt: skip
"""What says how output looks, to Python, Click, rich or kact: each test sets what it needs."""


def environment(**more: str) -> dict[str, str]:
    """This environment without what makes another test of a test: those, kact's own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KACT_") and k not in SETTINGS}
    return {**kept, **more}


def command(*args: str | bytes | Path) -> list[str | bytes]:
    """The command line that runs kact with `args`."""
    given = [a if isinstance(a, bytes) else str(a) for a in args]
    return [sys.executable, "-m", "kact_cli", *given]


def start(*args: str | Path, **more: Any) -> subprocess.Popen[bytes]:
    """kact as a process that goes on while the test does, with pipes unless `more` says else."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command(*args), **{"env": environment(), **pipes, **more})


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """A line of bash in which `kact` is kact."""
    run = " ".join(map(str, command()))
    return subprocess.run(
        ["bash", "-c", f'kact() {{ {run} "$@"; }}; {line}'],
        cwd=cwd,
        capture_output=True,
        env=environment(),
        timeout=60,
    )


def all_shown(terminal: int) -> bytes:
    """All that was written to a terminal, whose other end is closed here; closes it."""
    shown = b""
    with contextlib.suppress(OSError):  # nobody has the other end any more
        while more := os.read(terminal, 65536):
            shown += more
    os.close(terminal)
    return shown


def drop_privileges() -> None:
    """In the child: let file permissions count, as they do for anyone but root."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "prctl")


def limit(name: int, value: int) -> Callable[[], None]:
    """For `prepare`: a resource limit of the child."""
    return lambda: resource.setrlimit(name, (value, value))


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return met


def names(directory: Path) -> list[str]:
    """What is in a directory."""
    return sorted(p.name for p in directory.iterdir())


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory but batch's manifest, and what is in it."""
    found = {}
    for top, _, files in os.walk(directory):
        for path in (Path(top, name) for name in files if name != ".kact-batch.json"):
            found[str(path.relative_to(directory))] = path.read_bytes()
    return found


def leftovers(directory: Path) -> list[Path]:
    """The temporary files of outputs below a directory."""
    return [p for p in directory.rglob("*") if ".kact-" in p.name and p.suffix == ".tmp"]


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
    """Whether any of the processes has not ended."""
    return bool(pids & processes().keys())


def run_here(*args: str | Path) -> tuple[int, str]:
    """kact's command line in this process: the exit code, and what it says on standard error.

    For commands on files; where streams, signals or processes matter, the fixture `kact` runs one.
    """
    done = CliRunner().invoke(cli, [str(a) for a in args])
    if isinstance(done.exception, KactError):
        return done.exception.exit_code, f"{done.stderr}kact: error: {done.exception}\n"
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stderr

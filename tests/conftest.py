"""What the tests share: running kact as a process, as a user does."""

from __future__ import annotations

import ctypes
import io
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure
settings.register_profile("kact", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kact")

Kact = Callable[..., "subprocess.CompletedProcess[bytes]"]


def environment(**more: str) -> dict[str, str]:
    """This environment without what would hide a bug: unbuffered output, kact's own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KACT_")}
    kept.pop("PYTHONUNBUFFERED", None)
    return {**kept, **more}


def command(*args: str | bytes | Path) -> list[str | bytes]:
    """The command line that runs kact with `args`."""
    given = [a if isinstance(a, bytes) else str(a) for a in args]
    return [sys.executable, "-m", "kact_cli", *given]


@pytest.fixture
def kact() -> Kact:
    """Run kact to its end: `kact("apply", "relu", path, stdin=b"...", code=0)`.

    `stdin` may also be an open file; `stdout` and `prepare` are subprocess's `stdout` and
    `preexec_fn`. Asserts the exit code, and that whatever went wrong was no traceback.
    """

    def run(
        *args: str | bytes | Path,
        stdin: Any = b"",
        stdout: Any = subprocess.PIPE,
        code: int = 0,
        cwd: Path | None = None,
        prepare: Callable[[], None] | None = None,
        **env: str,
    ) -> subprocess.CompletedProcess[bytes]:
        given = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
        done = subprocess.run(
            command(*args),
            **given,
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment(**env),
            timeout=120,
            preexec_fn=prepare,
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        assert done.returncode == code, (done.returncode, done.stderr.decode())
        return done

    return run


@pytest.fixture
def refused(kact: Kact) -> Kact:
    """Run kact where it must fail: exit code 1 (or `code`), one line on standard error."""

    def run(*args: str | bytes | Path, code: int = 1, **more: Any) -> Any:
        done = kact(*args, code=code, **more)
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr.decode()
        assert lines[0].startswith(b"kact: ")
        assert done.stderr.decode("utf-8").rstrip("\n").isprintable()
        return done

    return run


def start(*args: str | Path, **more: Any) -> subprocess.Popen[bytes]:
    """kact as a process that goes on while the test does, with pipes unless `more` says else."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command(*args), **{"env": environment(), **pipes, **more})


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    """The array as a .npy file, as NumPy writes it."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


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

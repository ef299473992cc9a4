"""What the tests share: running kact as a process, as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Kact = Callable[..., "subprocess.CompletedProcess[bytes]"]


def environment(**more: str) -> dict[str, str]:
    """This environment without what would hide a bug: unbuffered output, kact's own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KACT_")}
    kept.pop("PYTHONUNBUFFERED", None)
    return {**kept, **more}


def command(*args: str | Path) -> list[str]:
    """The command line that runs kact with `args`."""
    return [sys.executable, "-m", "kact_cli", *map(str, args)]


@pytest.fixture
def kact() -> Kact:
    """Run kact to its end: `kact("apply", "relu", path, stdin=b"...", code=0)`.

    Asserts the exit code, and that whatever went wrong was no traceback.
    """

    def run(
        *args: str | Path, stdin: bytes = b"", code: int = 0, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            command(*args), input=stdin, capture_output=True, env=environment(**env), cwd=cwd,
            timeout=120,
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        assert done.returncode == code, (done.returncode, done.stderr.decode())
        return done

    return run

"""A kact that is to be ended, and what it leaves."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Any

from tests.tools.run import start, wait_until

SLOW = "tanh," * 10 + "softmax(axis=0)"
"""What takes some tenths of a second, so that a signal at a random moment may come in its midst."""
ENDLESS = "tanh," * 300 + "softmax(axis=0)"
"""What a signal always cuts short, on however fast a machine."""
MODES: list[tuple[str, ...]] = [(), ("--jobs", "2"), ("--jobs", "1")]


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


def running(
    big: Path, target: Path, *more: str, chain: str = ENDLESS, **how: Any
) -> subprocess.Popen[bytes]:
    """A kact that has begun to write its output."""
    child = start("chain", chain, big, target, "--overwrite", *more, **how)
    assert wait_until(lambda: bool(temporary_files(target.parent)) or child.poll() is not None)
    return child

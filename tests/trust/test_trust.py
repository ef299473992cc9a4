"""A bounded part of the kinds of trouble, always the same; `python -m tests.trust` tries more.

Mutants are tried by that command alone: pyarrow, which they are compared with, dies of some.
Run with `pytest -m slow tests/trust`: not every fault is survived yet.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.tools.run import environment

pytestmark = pytest.mark.slow
PARTS = [
    ("faults", 60, ()),
    ("races", 40, ()),
    ("kills", 6, ()),
    ("batches", 6, ()),
    ("limits", 24, ("--only", "npy")),
]


@pytest.mark.parametrize(("kind", "count", "more"), PARTS, ids=[kind for kind, *_ in PARTS])
def test_nothing_is_lost_mixed_or_left(kind: str, count: int, more: tuple[str, ...]) -> None:
    """Without the shim: what it needs, a compiler, is not everywhere."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.trust", kind, "--count", str(count), "--no-compiler", *more],
        capture_output=True, text=True, env=environment(), timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr

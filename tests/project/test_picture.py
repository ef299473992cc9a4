"""The README's picture shows what kact says now."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

from tests.tools.run import environment

SAMPLES = Path(__file__).parent.parent.parent / "samples"


def words(svg: str) -> list[str]:
    """The text of the picture, whatever version of rich has drawn it."""
    return unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))).split()


def test_the_committed_picture_is_the_session(tmp_path: Path) -> None:
    script, made = SAMPLES / "picture.py", tmp_path / "session.svg"
    subprocess.run([sys.executable, script, made], check=True, env=environment())
    assert words(made.read_text()) == words((SAMPLES / "session.svg").read_text())

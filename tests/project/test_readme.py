"""Every command and example in the README runs, in a copy of the project, as it is written."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kact_cli.activations import ACTIVATIONS
from kact_cli.chain import format_value
from tests.tools.run import environment

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)
COMMANDS = [
    [
        line.split(" #")[0].strip()
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip() and not line.startswith(("#", "python3 -m venv"))
    ]
    for block in BLOCKS
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the samples, in which the commands of a block run one after another."""
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    return tmp_path


def path_with_kact(place: Path) -> str:
    """A search path on which `kact` is this Python's own."""
    script = place / "bin" / "kact"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m kact_cli "$@"\n')
    script.chmod(0o755)
    return f"{script.parent}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize("commands", [c for c in COMMANDS if c], ids=lambda c: c[0])
def test_commands_of_a_block(commands: list[str], place: Path) -> None:
    env = environment(PATH=path_with_kact(place))
    for command in commands:
        shell = ["bash", "-euo", "pipefail", "-c", command]
        done = subprocess.run(shell, cwd=place, capture_output=True, env=env, timeout=60)
        assert done.returncode == 0, (command, done.stderr.decode())
        assert not done.stderr, (command, done.stderr.decode())


def test_python_examples() -> None:
    found = doctest.testfile("../../README.md", optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0
    assert found.failed == 0


def test_table_of_activations_is_the_registry() -> None:
    for activation in ACTIVATIONS.values():
        given = ", ".join(f"{p.name}={format_value(p.default)}" for p in activation.parameters)
        call = f"{activation.name}({given})" if given else activation.name
        assert f"| `{call}` | `{activation.formula}` |" in README


def test_two_commands_set_everything_up() -> None:
    assert BLOCKS[0].startswith("python3 -m venv")
    assert BLOCKS[1].startswith("python3 -m venv")
    assert BLOCKS[0].count("\n") == BLOCKS[1].count("\n") == 1

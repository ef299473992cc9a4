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
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)
COMMANDS = [
    [
        line.split(" #")[0].strip()
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip() and not line.startswith(("#", "python3 -m venv"))
    ]
    for block in BLOCKS
]
TRANSCRIPTS = re.findall(r"^```console\n(.*?)^```$", README, re.M | re.S)
"""Blocks of commands, each behind `$`, with what they print below them."""


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


def said(command: str, place: Path) -> str:
    """What a command of a block prints, with no word on standard error."""
    env = environment(PATH=path_with_kact(place), COLUMNS="100")
    shell = ["bash", "-euo", "pipefail", "-c", command]
    done = subprocess.run(shell, cwd=place, capture_output=True, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (0, b""), command
    return done.stdout.decode()


@pytest.mark.parametrize("commands", [c for c in COMMANDS if c], ids=lambda c: c[0])
def test_commands_of_a_block(commands: list[str], place: Path) -> None:
    for command in commands:
        said(command, place)


@pytest.mark.parametrize("block", TRANSCRIPTS, ids=lambda block: block.splitlines()[0])
def test_what_commands_print(block: str, place: Path) -> None:
    for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
        assert said(command, place) == output


def test_python_examples() -> None:
    found = doctest.testfile("../../README.md", optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0
    assert found.failed == 0


def test_table_of_activations_is_the_registry() -> None:
    groups: dict[str, list[str]] = {}
    for activation in ACTIVATIONS.values():
        given = ", ".join(f"{p.name}={format_value(p.default)}" for p in activation.parameters)
        call = f"`{activation.name}({given})`" if given else f"`{activation.name}`"
        groups.setdefault(activation.group, []).append(call)
    for group, calls in groups.items():
        assert f"| {group} | {', '.join(calls)} |\n" in README


def test_an_activation_is_added_by_one_function(place: Path) -> None:
    """In a copy of the package: what the contributing notes say follows from it does."""
    code = CONTRIBUTING.split("<!-- an activation -->\n```python\n")[1].split("```")[0]
    shutil.copytree(ROOT / "kact_cli", place / "kact_cli")
    with (place / "kact_cli/activations/elementwise/rectifiers.py").open("a") as module:
        module.write(f"\n\n{code}")
    env = environment(PYTHONPATH=f"{place}:{ROOT}", PATH=path_with_kact(place))

    def run(line: str) -> str:
        shell = ["bash", "-euo", "pipefail", "-c", line]
        done = subprocess.run(shell, cwd=place, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = run("kact list").split("\n\n")[0]
    assert listed.startswith("Rectifiers")
    assert "scale * max(x, 0)**2" in listed
    assert "--scale NUMBER" in run("kact apply squared_relu --help")
    run("kact apply squared_relu --scale 2 samples/logits.npy a.npy")
    run("kact chain squared_relu:2 samples/logits.npy b.npy && cmp a.npy b.npy")
    tables = "test_accuracy.py test_exact.py test_kernels.py test_registry.py"
    run(
        f"cd {ROOT}/tests/activations && {sys.executable} -m pytest -q -p no:cacheprovider -n 0 "
        f"-k 'squared_relu or documented' {tables}"
    )


def test_two_commands_set_everything_up() -> None:
    tests = README.split("<!-- the test command -->\n```sh\n")[1].split("```")[0]
    for block in (BLOCKS[0], tests):
        assert block.startswith("python3 -m venv")
        assert block.count("\n") == 1
    assert "pip install ." in BLOCKS[0]  # which shows its work, that takes a minute or two

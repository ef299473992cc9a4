"""Help that teaches: it fits a terminal, groups its options, and its examples run."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import click
import numpy as np
import pytest

from kact_cli.activations import ACTIVATIONS
from kact_cli.cli import COMMANDS, cli
from kact_cli.cli.classes import HEADINGS, Command, Option
from tests.tools.run import Kact
from tests.tools.tables import measured, write


def find(*names: str) -> click.Command:
    command: click.Command = cli
    for name in names:
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), name)
        assert inner is not None
        command = inner
    return command


NAMES = [*((name,) for name in COMMANDS), *(("apply", name) for name in ACTIVATIONS)]
EXAMPLES = [(names, line) for names in NAMES for line in getattr(find(*names), "examples", ())]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files that the examples name."""
    place = tmp_path_factory.mktemp("examples")
    np.save(place / "logits.npy", np.random.default_rng(0).normal(0, 3, (20, 10)).astype("f4"))
    for name in ("device", "expected"):
        np.save(place / f"{name}.npy", np.zeros((20, 10), "f4"))
    write(measured(), place / "table.parquet", 1000)
    return place


@pytest.mark.parametrize("names", [(), *NAMES], ids=" ".join)
def test_it_fits_and_breaks_no_word(kact: Kact, names: tuple[str, ...]) -> None:
    texts = {}
    for columns in (50, 80, 200):
        texts[columns] = kact(*names, "--help", COLUMNS=str(columns)).stdout.decode()
        assert all(len(line) <= min(columns, 80) for line in texts[columns].splitlines())
    # A line of shell goes on behind a backslash
    assert texts[50].replace("\\\n", "").split() == texts[200].split()


def test_examples_stay_shell_where_a_word_is_wider_than_the_terminal(kact: Kact) -> None:
    text = kact("chain", "--help", COLUMNS="24").stdout.decode()
    words = text.partition("Examples:")[2].replace("\\\n", "")
    assert shlex.split(words) == shlex.split(" ".join(getattr(find("chain"), "examples", ())))


@pytest.mark.parametrize("names", NAMES, ids=" ".join)
def test_it_ends_with_two_examples(kact: Kact, names: tuple[str, ...]) -> None:
    command = find(*names)
    assert isinstance(command, Command)
    assert len(command.examples) == 2
    assert all(line.startswith(f"kact {' '.join(names[:1])}") for line in command.examples)
    lines = kact(*names, "--help").stdout.decode().splitlines()
    assert lines[-3:] == ["Examples:", *(f"  {line}" for line in command.examples)]


@pytest.mark.parametrize(("names", "line"), EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_examples_run(
    kact: Kact, place: Path, tmp_path: Path, names: tuple[str, ...], line: str
) -> None:
    for file in place.iterdir():
        shutil.copy(file, tmp_path)
    kact(*shlex.split(line)[1:], cwd=tmp_path)


@pytest.mark.parametrize("names", NAMES, ids=" ".join)
def test_every_option_is_under_a_heading(kact: Kact, names: tuple[str, ...]) -> None:
    command = find(*names)
    assert isinstance(command, Command)
    for param in command.params:
        if isinstance(param, click.Option):
            assert isinstance(param, Option), param.name
            assert param.heading in HEADINGS
            assert (param.help or "").count(".") > 0
    text = kact(*names, "--help").stdout.decode()
    shown = [
        line.removesuffix(":") for line in text.splitlines() if line.removesuffix(":") in HEADINGS
    ]
    assert shown == [h for h in HEADINGS if h in shown]
    assert "Running" in shown


def test_kact_alone_says_how_to_begin(kact: Kact) -> None:
    said = kact().stdout.decode()
    assert all(len(line) <= 50 for line in said.splitlines())
    assert [line.split()[:2] for line in said.splitlines() if line.startswith("  kact")] == [
        ["kact", "list"], ["kact", "apply"], ["kact", "chain"]
    ]  # fmt: skip


SAID = [
    ("chain", "and no others"),  # of -c, which does not add to the default
    ("chain", "Z = L - round(A / S)"),
    ("batch", "size or time of modification, as .kact-batch.json has them"),
    ("compare", "2 if the files cannot be compared, as of cmp, diff and grep"),
    ("apply", "reads and writes the standard streams"),
]


@pytest.mark.parametrize(("name", "words"), SAID)
def test_what_newcomers_asked_is_said(kact: Kact, name: str, words: str) -> None:
    assert words in " ".join(kact(name, "--help").stdout.decode().split())

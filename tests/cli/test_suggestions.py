"""What a wrong word was meant to be: names from elsewhere, and never another function."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from kact_cli.activations.elsewhere import OTHERS, REFUSED, SPELLINGS
from kact_cli.activations.registry import known_names
from kact_cli.chain import Chain, meant
from kact_cli.cli import cli
from kact_cli.errors import KactError
from tests.tools.run import Kact


def told(*args: str) -> str:
    """What kact says to a wrong command line."""
    done = CliRunner().invoke(cli, args)
    assert done.exit_code != 0
    return str(done.exception) if isinstance(done.exception, KactError) else done.output


NAMES = [
    ("leakyrelu", "leaky_relu(0.01)"),
    ("Thresholded-ReLU", "relu --threshold 1"),
    ("quick_gelu", "silu(alpha=1.702)"),
    ("hardswish", "did you mean 'hard_swish'?"),
    ("swiglu", "it halves its axis"),
    ("prelu", "weights that a model has learned"),
    ("maxout", "makes its axis shorter"),
    ("exp", "exponential"),
    ("expit", "sigmoid"),
    ("sotfmax", "did you mean 'softmax'?"),
    ("softplsu", "did you mean 'softplus'?"),
    ("nothing", "kact list names them all"),
]


@pytest.mark.parametrize(("name", "words"), NAMES)
@pytest.mark.parametrize("command", ["apply", "chain", "list"])
def test_a_name_from_elsewhere_is_known(name: str, words: str, command: str) -> None:
    assert words in told(command, name)


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_another_function_is_never_suggested(name: str) -> None:
    assert "did you mean" not in meant(name)


def test_what_a_spelling_says_is_a_chain() -> None:
    for text in SPELLINGS.values():
        Chain.parse(text.rpartition("in a chain ")[2].split(", with")[0])


def test_a_name_has_one_meaning() -> None:
    assert not {*SPELLINGS, *REFUSED, *OTHERS} & {*known_names()}
    assert not {*SPELLINGS} & {*REFUSED, *OTHERS}


OPTIONS = [
    (("apply", "softmax", "--dim", "1"), "--axis"),
    (("apply", "relu", "--threads", "3"), "--jobs"),
    (("batch", "relu", ".", "--workers", "3"), "--jobs"),
    (("chain", "relu", "--force"), "--overwrite"),
    (("batch", "relu", ".", "--resume"), "--skip-existing"),
    (("apply", "relu", "--sep", ";"), "--delimiter"),
]


@pytest.mark.parametrize(("args", "flag"), OPTIONS)
def test_an_option_from_elsewhere_is_known(args: tuple[str, ...], flag: str) -> None:
    assert f"Did you mean '{flag}'?" in told(*args)


def test_an_option_that_the_command_has_not_is_not_suggested() -> None:
    assert "Did you mean" not in told("apply", "relu", "--dim", "1")


@pytest.mark.parametrize("flag", ["-o", "--output"])
def test_an_output_needs_no_option(flag: str) -> None:
    assert "OUTPUT comes after INPUT" in told("chain", "relu", flag, "out.npy", "in.npy")


def test_a_chain_comes_first() -> None:
    assert "the chain comes before the files" in told("batch", __file__, "softmax", "-o", "out")


def test_a_chain_of_one_has_its_command() -> None:
    assert "kact chain 'rescaling(scale=2)' ..." in told("apply", "rescaling(scale=2)")


TEMPERATURE = [
    ("apply", "softmax", "--temperature", "2", "x.npy"),
    ("chain", "softmax", "--temperature=2", "x.npy"),
    ("chain", "softmax(temperature=0.7)", "x.npy"),
]


@pytest.mark.parametrize("args", TEMPERATURE, ids=str)
def test_a_temperature_is_a_chain(args: tuple[str, ...]) -> None:
    assert "; for a temperature T: rescaling(scale=1/T),softmax" in told(*args)


ARGUMENTS = [
    (("apply", "relu", "a", "b", "c"), "kact batch relu a b c --output-dir DIR"),
    (("apply", "relu", *"abcdef"), "kact batch relu a … f --output-dir DIR"),
    (("chain", "relu,elu", "a", "b", "c"), "kact batch 'relu,elu' a b c --output-dir DIR"),
    (("chain", "elu", "softmax", "in", "out"), "joined by commas: kact chain 'elu,softmax' in out"),
    (
        ("batch", "elu", "relu(0.1)", "softmax", "in", "-o", "out"),
        "steps are joined by commas: kact batch 'elu,relu(0.1),softmax' in -o DIR",
    ),
    (("batch", "elu", "softmax", "-o", "out"), "commas: kact batch 'elu,softmax' -o DIR"),
    (("chain", "elu", "softmax", "in"), "joined by commas: kact chain 'elu,softmax' in"),
    (("chain", "elu", "relu(0.1)", "tanh", "a", "b"), "kact chain 'elu,relu(0.1),tanh' a b"),
    (("apply", "relu", "softmax", "in", "out"), "kact chain 'relu,softmax' in out"),
]


@pytest.mark.parametrize(("args", "words"), ARGUMENTS)
def test_one_argument_too_many_says_what_to_run(
    args: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in told(*args)


def test_a_file_may_be_called_like_an_activation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "softmax").write_text("a,b\n1.5,2.5\n")
    done = CliRunner().invoke(cli, ["chain", "relu", "softmax", "out.csv"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out.csv").read_text() == "a,b\n1.5,2.5\n"


DTYPES = [
    ("fp16", "did you mean float16?"),
    ("half", "did you mean float16?"),
    ("<f2", "did you mean float16?"),
    ("double", "did you mean float64?"),
    ("BF16", "did you mean bfloat16?"),
    ("int8", "none of bfloat16, float16, float32, float64"),
]


@pytest.mark.parametrize(("name", "words"), DTYPES)
def test_a_dtype_from_elsewhere_is_known(name: str, words: str) -> None:
    assert words in told("apply", "relu", "--dtype", name, "x.npy", "y.npy")


def test_an_option_is_named_once() -> None:
    said = told("apply", "leaky_relu", "--negative-slope", "x")
    assert "--negative-slope takes a number, not 'x'" in said
    assert "alpha" not in said


def test_what_is_missing_is_a_directory(tmp_path: Path) -> None:
    said = told("inspect", str(tmp_path / "no" / "x.npy"))
    assert said.endswith(f"there is no directory {tmp_path / 'no'}")


def test_a_chain_for_apply() -> None:
    assert "kact chain 'elu,softmax'" in told("apply", "elu,softmax", "x.npy")


def test_an_output_that_a_pipe_was_meant_for(kact: Kact, tmp_path: Path) -> None:
    done = kact("apply", "relu", tmp_path / "o.csv", stdin=b"x\n1.5\n", code=1)
    assert done.stderr.endswith(f"give - as INPUT: - {tmp_path}/o.csv\n".encode())


def test_columns_are_one_list() -> None:
    said = told("apply", "relu", "-c", "a", "b", "x.csv", "y.csv")
    assert "for many columns: --columns a,b" in said

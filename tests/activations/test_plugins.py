"""Activations of other packages: `sample_plugin` lies on the path as an installed package does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tools.run import command, environment

SAMPLE = Path(__file__).parent / "sample_plugin"
X = np.array([-2.0, 0.0, 3.0], np.float32)


def run(*args: Any, code: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run kact where the sample package is installed."""
    path = environment().get("PYTHONPATH", "")
    env = environment(PYTHONPATH=f"{SAMPLE}:{path}")
    done = subprocess.run(command(*args), capture_output=True, text=True, env=env, **more)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def tensor(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "x.npy"


@pytest.mark.parametrize(
    ("args", "want"),
    [
        (("apply", "squared_relu"), [0, 0, 9]),
        (("apply", "Squared-ReLU", "-s", "0.5"), None),
        (("apply", "squared_relu", "--s", "0.5"), [0, 0, 4.5]),
        (("apply", "squared_relu", "--exact"), [0, 0, 9]),
        (("apply", "relu_squared"), [0, 0, 9]),
        (("chain", "Relu-Squared,half"), [0, 0, 4.5]),
        (("apply", "halved"), [-1, 0, 1.5]),
        (("chain", "tanh,squared_relu:scale=2"), [0, 0, 2 * np.tanh(np.float32(3)) ** 2]),
        (("batch", "squared_relu(2)", "--jobs", "2"), [0, 0, 18]),
    ],
)
def test_it_is_like_any_other(args: Any, want: Any, tensor: Path) -> None:
    target = tensor.parent / "out" / "x.npy"
    target.parent.mkdir()
    if want is None:
        assert "No such option" in run(*args, tensor, target, code=2).stderr
    elif args[0] == "batch":
        run(*args, tensor, "-o", target.parent)
        np.testing.assert_array_equal(np.load(target), np.array(want, np.float32))
    else:
        run(*args, tensor, target)
        np.testing.assert_allclose(np.load(target), np.array(want, np.float32), rtol=1e-6)


BROKEN = [
    ("faulty", "plug-in 'faulty' of kact-sample is broken: ValueError: no such luck"),
    ("undecorated", "of kact-sample is broken: kact_sample:undecorated is no kernel 'undecorated'"),
    ("missing", "plug-in 'missing' of kact-sample is broken: AttributeError: module 'kact_sample'"),
    ("unimportable", "of kact-sample is broken: ModuleNotFoundError: No module named"),
]


@pytest.mark.parametrize(("name", "words"), BROKEN)
def test_a_broken_one_is_one_line(name: str, words: str, tensor: Path) -> None:
    for first in ("apply", "chain"):
        said = run(first, name, tensor, tensor.parent / "y.npy", code=2).stderr
        assert words in said
        assert "Traceback" not in said
        assert not (tensor.parent / "y.npy").exists()
    assert len(said.strip().split("\n")) == 1


def test_a_second_one_of_a_module_that_is_broken_is_one_line_too(tensor: Path) -> None:
    said = run("chain", "squared_relu,faulty", tensor, tensor.parent / "y.npy", code=2).stderr
    assert "plug-in 'faulty' of kact-sample is broken: ValueError: no such luck" in said
    assert len(said.strip().split("\n")) == 1


def test_an_unknown_name_is_compared_with_those_of_plug_ins(tensor: Path) -> None:
    said = run("apply", "squared_rel", tensor, tensor.parent / "y.npy", code=2).stderr
    assert "did you mean 'squared_relu'" in said


def test_it_is_listed_with_its_package() -> None:
    done = run("list")
    assert "\nPlug-ins\n" in done.stdout
    assert "of kact-sample" in done.stdout
    assert "scale * max(x, 0)**2" in done.stdout
    broken = [line for line in done.stderr.split("\n") if "is broken" in line]
    names = ["missing", "relu", "undecorated", "unimportable"]
    assert [line.split("'")[1] for line in broken] == names
    full = json.loads(run("list", "squared_relu", "--json").stdout)
    assert (full["package"], full["group"]) == ("kact-sample", "Plug-ins")
    assert "squared_relu, relu_squared" in run("apply", "--help").stdout
    assert "--s NUMBER" in run("apply", "squared_relu", "--help").stdout


def test_kacts_own_comes_first(tensor: Path) -> None:
    run("apply", "relu", tensor, tensor.parent / "y.npy")
    np.testing.assert_array_equal(np.load(tensor.parent / "y.npy"), np.maximum(X, 0))


@pytest.mark.parametrize("args", [("apply", "relu"), ("chain", "gelu,hard_swish(),softmax")])
def test_nobodys_code_is_looked_for_without_need(args: tuple[str, ...], tensor: Path) -> None:
    script = (
        "import sys; from kact_cli.__main__ import main\n"
        "try:\n    main()\nfinally:\n    assert 'importlib.metadata' not in sys.modules\n"
        "    assert 'kact_sample' not in sys.modules\n"
    )
    env = environment(PYTHONPATH=f"{SAMPLE}:{environment().get('PYTHONPATH', '')}")
    run_ = [sys.executable, "-c", script, *args, str(tensor), str(tensor.parent / "y.npy")]
    subprocess.run(run_, env=env, check=True)

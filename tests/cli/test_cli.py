"""The command line: help, lists, values, environment variables."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kact_cli import __version__, apply
from kact_cli.activations import ACTIVATIONS
from tests.tools.run import Kact, environment
from tests.tools.tensors import X


def result(done: subprocess.CompletedProcess[bytes]) -> np.ndarray:
    array: np.ndarray = np.load(io.BytesIO(done.stdout))
    return array


@pytest.mark.parametrize(
    ("flags", "chain"),
    [
        (("--alpha", "-0.5"), "relu(alpha=-0.5)"),
        (("--alpha=-1e-3",), "relu(alpha=-0.001)"),
        (("--alpha", "-.5e+1"), "relu(alpha=-5)"),
        (("--negative-slope", "0.25"), "relu(alpha=0.25)"),
        (("--max-value", "inf"), "relu(max_value=inf)"),
        (("--max-value", "none"), "relu"),
        (("--max-value", "6", "--threshold", "-1"), "relu(0,6,-1)"),
        (("--threshold", "-inf"), "relu(threshold=-inf)"),
        (("--alpha", "nan"), "relu(alpha=nan)"),
    ],
)
def test_values_of_relu(flags: tuple[str, ...], chain: str, kact: Kact, source: Path) -> None:
    y = result(kact("apply", "relu", *flags, source))
    np.testing.assert_array_equal(y, apply(chain, X))
    np.testing.assert_array_equal(result(kact("chain", chain, source)), y)


@pytest.mark.parametrize("axis", ["-1", "0", "1", "0,1", "(0,1)", "1,", "none", "-2", "NONE"])
def test_values_of_axis(axis: str, kact: Kact, tmp_path: Path) -> None:
    x = np.arange(6, dtype="f8").reshape(2, 3)
    np.save(tmp_path / "in.npy", x)
    y = result(kact("apply", "softmax", "--axis", axis, tmp_path / "in.npy"))
    axes = None if axis.lower() == "none" else tuple(int(a) for a in axis.strip("(),").split(","))
    np.testing.assert_allclose(np.exp(x) / np.exp(x).sum(axes, keepdims=True), y, rtol=1e-14)


HELPS = [(), ("apply",), ("chain",), ("list",), ("explain",), *(("apply", a) for a in ACTIVATIONS)]


@pytest.mark.parametrize("args", HELPS, ids=" ".join)
def test_help_fits_a_terminal(args: tuple[str, ...], kact: Kact) -> None:
    text = kact(*args, "--help").stdout.decode()
    assert max(map(len, text.splitlines())) <= 80, text
    assert "Usage: kact" in text
    if len(args) == 2:
        for parameter in ACTIVATIONS[args[1]].parameters:
            assert f"--{parameter.name.replace('_', '-')}" in text


def test_list_fits_a_terminal(kact: Kact) -> None:
    for args in ((), *((name,) for name in ACTIVATIONS)):
        text = kact("list", *args).stdout.decode()
        assert max(map(len, text.splitlines())) <= 100, text


def test_list_says_who_has_which_default(kact: Kact) -> None:
    said = {
        "leaky-relu": [
            "negative_slope (also alpha)",
            "0.2; 0.3 in Keras's layer",
            "0.01 in PyTorch",
        ],
        "hard_sigmoid": ["Default: 0.2; 1/6 in Keras 3"],
        "gelu": ["Default: false; true in JAX"],
        "swish": ["silu(alpha=1)", "called swish"],
    }
    for name, words in said.items():
        text = " ".join(kact("list", name).stdout.decode().split())
        assert all(w in text for w in words), text


def test_bare_kact_and_version(kact: Kact) -> None:
    welcome = kact().stdout.decode()
    assert "kact apply relu" in welcome
    assert kact("--version").stdout.decode() == f"kact {__version__}\n"
    script = Path(sys.executable).with_name("kact")
    if script.exists():
        assert subprocess.check_output([script, "--version"]) == kact("--version").stdout


def test_apply_without_a_name_shows_its_help(kact: Kact) -> None:
    done = kact("apply", code=2)
    assert done.stdout == b""
    assert done.stderr.startswith(b"Usage: kact apply")
    assert all(f"\n  {', '.join(a.names)} ".encode() in done.stderr for a in ACTIVATIONS.values())


def test_list_as_json_is_complete(kact: Kact) -> None:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    listed = json.loads(kact("list", "--json").stdout, parse_constant=no_constant)
    assert [a["name"] for a in listed] == list(ACTIVATIONS)
    for entry in listed:
        activation = ACTIVATIONS[entry["name"]]
        assert [p["name"] for p in entry["parameters"]] == [p.name for p in activation.parameters]
        assert entry["formula"]
        one = json.loads(kact("list", entry["name"], "--json").stdout)
        assert one == entry
        for parameter in activation.parameters:
            assert parameter.name in kact("list", entry["name"]).stdout.decode()


@pytest.mark.parametrize(
    "size", ["256KiB", "8MB", "1", "64k", "1.5MiB", " 2 MiB ", "1048576", "1TiB"]
)
def test_chunk_sizes(size: str, kact: Kact, source: Path) -> None:
    y = result(kact("apply", "tanh", "--chunk-size", size, source))
    np.testing.assert_array_equal(y, apply("tanh", X))


def test_environment_variables(kact: Kact, refused: Kact, source: Path, tmp_path: Path) -> None:
    assert result(kact("apply", "relu", source, KACT_DTYPE="float64")).dtype == np.float64
    assert (
        result(kact("apply", "relu", "--dtype", "float16", source, KACT_DTYPE="float64")).dtype
        == np.float16
    )
    (tmp_path / "out.npy").write_bytes(b"old")
    kact(
        "apply",
        "relu",
        source,
        tmp_path / "out.npy",
        KACT_OVERWRITE="1",
        KACT_JOBS="2",
        KACT_CHUNK_SIZE="1KiB",
        KACT_FSYNC="1",
        KACT_QUIET="1",
        KACT_COMPUTE_DTYPE="float64",
    )
    assert np.load(tmp_path / "out.npy").shape == X.shape
    for name, value in (("JOBS", "many"), ("CHUNK_SIZE", "x"), ("DTYPE", "x"), ("OVERWRITE", "x")):
        refused("apply", "relu", source, code=2, **{f"KACT_{name}": value})


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dtype_of_the_result(dtype: str, kact: Kact, source: Path) -> None:
    for chain in ("sigmoid", "softmax"):
        y = result(kact("chain", chain, "--dtype", dtype, "--compute-dtype", "float64", source))
        assert y.dtype == np.dtype(dtype)
        np.testing.assert_allclose(y, apply(chain, X.astype("f8")), rtol=1e-3)


def test_explain(kact: Kact, source: Path, tmp_path: Path) -> None:
    text = kact("explain", "relu(max_value=6),softmax(axis=0)", source).stdout.decode()
    for wanted in (
        "float32",
        "(2, 3)",
        "relu(alpha=0, max_value=6, threshold=0)",
        "axis=0",
        "1 pass",
        "peak memory",
        "temporary disk",
    ):
        assert wanted in text
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (3, 80_000_000)}
        )
        os.truncate(file.fileno(), file.tell() + 960_000_000)
    text = kact("explain", "softmax", tmp_path / "huge.npy").stdout.decode()
    assert "2 passes" in text
    assert "1.79 GiB" in text  # what they read
    assert "read twice" in text
    for array in (np.ones(()), np.ones((0, 4)), np.ones((2, 3), ">i2", order="F")):
        np.save(tmp_path / "x.npy", array)
        assert str(array.shape) in kact("explain", "tanh", tmp_path / "x.npy").stdout.decode()
    assert ACTIVATIONS["sigmoid"].formula in kact("explain", "sigmoid").stdout.decode()


def test_explain_refuses_what_chain_refuses(refused: Kact, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"text")
    refused("explain", "relu", tmp_path / "x.npy")
    refused("explain", "relu", tmp_path / "absent.npy")
    refused("explain", "relu", tmp_path)


@pytest.mark.parametrize("missing", ["fcntl", "resource", "SIGHUP"])
def test_a_system_without_what_kact_needs_is_one_line(missing: str) -> None:
    """As on Windows, where there are none of these."""
    code = (
        "import signal, sys\n"
        f"if {missing!r} == 'SIGHUP': del signal.SIGHUP\n"
        f"sys.modules[{missing!r}] = None\n"
        "import kact_cli.cli; kact_cli.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "list"], capture_output=True, text=True, env=environment()
    )
    said = "kact: error: this system lacks what kact needs; use Linux, macOS or, on Windows, WSL\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)

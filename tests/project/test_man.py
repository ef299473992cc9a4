"""The man pages are those of the commands as they are now, and no man program complains."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from kact_cli.activations import ACTIVATIONS
from kact_cli.cli import COMMANDS
from kact_cli.errors import ExitCode
from kact_cli.formats.declared import FORMATS
from tests.tools.run import Kact, environment

MAN = Path(__file__).parent.parent.parent / "man"
PAGES = sorted(MAN.glob("man1/*.1"))
LINTERS = {
    "man": ["man", "-Tutf8", "--warnings", "-l"],
    "groff": ["groff", "-man", "-Tutf8", "-wall", "-z"],
    "mandoc": ["mandoc", "-Tlint", "-Wwarning"],
}
FOUND = [name for name in LINTERS if shutil.which(name)]


def test_pages_are_what_the_commands_say(tmp_path: Path) -> None:
    env = environment(COLUMNS="200")
    subprocess.run([sys.executable, MAN / "generate.py", tmp_path], check=True, env=env)
    written = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert written == {p.name: p.read_text() for p in PAGES}, "run: python man/generate.py"


def test_each_command_and_each_activation_has_its_place() -> None:
    assert {p.stem for p in PAGES} == {"kact", *(f"kact-{name}" for name in COMMANDS)}
    apply = (MAN / "man1" / "kact-apply.1").read_text()
    for activation in ACTIVATIONS.values():
        assert f".SH {activation.group.upper()}\n" in apply
        assert f".SS {', '.join(activation.names)}\n" in apply
        for parameter in activation.parameters:
            assert parameter.help.split("`")[0].replace("-", "\\-") in apply


def test_rules_files_and_places_are_there() -> None:
    kact, batch = ((MAN / "man1" / f"{name}.1").read_text() for name in ("kact", "kact-batch"))
    for title in ("FORMATS", "WHAT TAKES PART", "NULLS", "CSV", "FILES", "SYSTEMS", "EXAMPLES"):
        assert f".SH {title}\n" in kact
    for format_ in FORMATS:
        assert all(suffix in kact for suffix in format_.suffixes)
    for code in ExitCode:
        assert f"\\fB{int(code)}\\fR" in kact
    for title in ("FILES", "OBJECT STORES", "DASK"):
        assert f".SH {title}\n" in batch
    for name in ("kact\\-batch.json", "AWS_PROFILE", "AbortIncompleteMultipartUpload", "TLS"):
        assert name in batch


RANGES = [(0, 1, "int8"), (-1, 1, "int8"), (-3.2, 8, "uint8"), (-0.278, 6, "int16")]


@pytest.mark.parametrize(("least", "most", "dtype"), RANGES)
def test_the_rule_for_scales(
    kact: Kact, tmp_path: Path, least: float, most: float, dtype: str
) -> None:
    for page in ("kact.1", "kact-apply.1", "kact-lut.1"):
        text = (MAN / "man1" / page).read_text().replace("\\-", "-")
        assert "S = (B - A) / (M - L) and Z = L - round(A / S)" in " ".join(text.split())
    limits = np.iinfo(dtype)
    scale = (most - least) / (limits.max - limits.min)
    zero = limits.min - round(least / scale)
    x = np.linspace(least, most, 1000)
    np.save(tmp_path / "x.npy", x)
    run = ("apply", "linear", "--quantize-out", f"{scale},{zero},{dtype}", tmp_path / "x.npy")
    kact(*run, tmp_path / "q.npy")
    q = np.load(tmp_path / "q.npy")
    assert q.dtype == dtype
    assert np.abs(q * scale - zero * scale - x).max() <= scale * 1.001
    assert int(q.min()) <= limits.min + 1
    assert int(q.max()) >= limits.max - 1


def test_examples_are_quantised_as_tflite_does() -> None:
    text = "".join(page.read_text() for page in PAGES).replace("\\-", "-")
    found = set(re.findall(r"^kact \w+ (\w+) .*--quantize-out (\S+)", text, re.M))
    assert found == {("sigmoid", "1/256,-128,int8"), ("sigmoid", "1/256,-128"), ("tanh", "1/128,0")}


@pytest.mark.skipif(not FOUND, reason="no program that formats man pages")
def test_no_warnings() -> None:
    for name in FOUND:
        for page in PAGES:
            env = {**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
            done = subprocess.run([*LINTERS[name], page], capture_output=True, text=True, env=env)
            said = (done.stderr + (done.stdout if name == "mandoc" else "")).splitlines()
            # A date would be another for each build of the same pages
            assert not [line for line in said if "missing date" not in line], (name, page.name)


def test_a_wheel_takes_them_along() -> None:
    project = tomllib.loads((MAN.parent / "pyproject.toml").read_text())
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert shared == {"man/man1": "share/man/man1"}

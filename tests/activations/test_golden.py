"""What tf_keras itself computed comes out of the command line, file to file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli.chain import format_value
from tests.tools.run import Kact

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = json.loads((GOLDEN / "keras_golden.json").read_text())["cases"]


@pytest.fixture(scope="module")
def arrays() -> Any:
    with np.load(GOLDEN / "keras_golden.npz") as archive:
        return {name: archive[name] for name in archive.files}


def value(given: Any) -> str:
    if isinstance(given, dict):
        given = tuple(given["tuple"]) if "tuple" in given else float(given["float"])
    return format_value(given)


def ulps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many steps of their dtype lie between `a` and `b`."""
    if a.dtype.kind != "f":
        return np.abs(a.astype(object) - b.astype(object)).astype(np.float64)
    with np.errstate(all="ignore"):
        return np.abs(a.astype("f8") - b.astype("f8")) / np.spacing(np.abs(b)).astype("f8")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_keras_case(case: dict[str, Any], arrays: Any, kact: Kact, tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    x = arrays[case["input"]]
    np.save(source, x)
    flags = [f"--{k.replace('_', '-')}={value(v)}" for k, v in case["kwargs"].items()]
    run = ("apply", case["function"], *flags, source, target)
    if case["raises"]:
        assert b"out of range" in kact(*run, code=2).stderr
        assert not target.exists()
        return
    kact(*run)
    y, rules = np.load(target), case["compare"]
    assert (y.dtype, y.shape) == (np.dtype(case["out_dtype"]), x.shape)
    good = np.zeros(x.shape, bool)
    for wanted in (arrays[case["output"]], arrays[case["ref"]]):
        wanted = wanted.astype(y.dtype)
        with np.errstate(all="ignore"):
            near = (y == wanted) | (np.isnan(y) & np.isnan(wanted))
            near |= np.abs(y.astype("f8") - wanted.astype("f8")) <= rules["atol"]
            near |= ulps(y, wanted) <= rules["max_ulp"]
        if rules["signed_zero"]:
            near &= np.signbit(y) == np.signbit(wanted)
        good |= near
    assert good.all(), (x[~good], y[~good])

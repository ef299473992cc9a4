"""Warnings about what is sound, but probably not meant: each where it should be, and only there."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kact_cli import apply
from kact_cli.batch.unit import FileTask, run_file
from kact_cli.chain import Chain
from kact_cli.options import Observer, Options
from kact_cli.reports.explain import explain
from kact_cli.reports.preview import preview
from kact_cli.transform.route import transform
from tests.tools.run import Kact
from tests.tools.tables import write
from tests.tools.tensors import npy

LOGITS = np.random.default_rng(0).normal(0, 3, (20, 4)).astype("f4")
PROBABILITIES = apply("softmax", LOGITS)


class Listener(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.told: list[str] = []

    def warn(self, message: str) -> None:
        self.heard.append(message)

    def tell(self, message: str) -> None:
        self.told.append(message)


def transformed(chain: Chain, path: Path, options: Options) -> None:
    transform(chain, str(path), f"{path}.out", replace(options, overwrite=True, jobs=1))


def previewed(chain: Chain, path: Path, options: Options) -> None:
    preview(chain, str(path), options, each=True)


def explained(chain: Chain, path: Path, options: Options) -> None:
    list(explain(chain, str(path), options))


def batched(chain: Chain, path: Path, options: Options) -> None:
    own = replace(options, overwrite=True, jobs=1, observer=Observer())
    task = FileTask(chain, str(path), f"{path}.out", own)
    for message in run_file(task).warnings:
        options.observer.warn(message)


COMMANDS = [transformed, previewed, explained, batched]
Run = Callable[[Chain, Path, Options], None]


def advice(run: Run, spec: str, path: Path, **options: Any) -> list[str]:
    listener = Listener()
    options.setdefault("target_format", path.suffix[1:])
    run(Chain.parse(spec), path, Options(observer=listener, **options))
    return listener.heard


CASES = [
    ("softmax,softmax", LOGITS, ["softmax after softmax"]),
    ("sigmoid,softmax", LOGITS, ["sigmoid before softmax"]),
    ("softmax", LOGITS[:, :1], ["axis of size 1"]),
    ("softmax:axis=0", LOGITS[:1], ["axis of size 1"]),
    ("softmax", PROBABILITIES, ["already sums to 1"]),
    ("softmax", PROBABILITIES.T, []),
    ("softmax:axis=0", PROBABILITIES.T, ["already sums to 1"]),
    ("exponential", LOGITS * 100, ["overflow to inf in float32"]),
    ("exponential", np.array([np.inf, 1.0]), []),
    ("exponential,softmax", LOGITS, []),
    ("relu,softmax", LOGITS, []),
    ("softmax,tanh,sigmoid", LOGITS, []),
    ("softmax", np.zeros(()), ["axis of size 1"]),
    ("softmax", np.zeros((0, 1)), []),
    ("softmax:axis=0", np.full((200_000, 3), 1 / 200_000), []),
]


@pytest.mark.parametrize("run", COMMANDS)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("spec", "array", "expected"), CASES)
def test_tensors(
    tmp_path: Path, spec: str, array: np.ndarray, expected: list[str], order: str, run: Run
) -> None:
    if spec == "softmax" and array.ndim == 0:
        spec = "softmax:axis=none"
    if len(array.shape) and array.shape[0] > 1000 and run is previewed:
        return  # refused: not all of it is read
    np.save(tmp_path / "x.npy", np.asarray(array, order=order))
    heard = advice(run, spec, tmp_path / "x.npy")
    assert len(heard) == len(expected)
    assert all(words in said for words, said in zip(expected, heard, strict=True))


@pytest.mark.parametrize("run", COMMANDS)
@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "arrows"])
def test_columns(tmp_path: Path, suffix: str, run: Run) -> None:
    p, q = (PROBABILITIES[:, i].astype(float) for i in (0, 1))
    columns = {"p": p, "q": 1 - p, "logit": q * 900 - 400}
    path = write(pa.table(columns), tmp_path / f"t.{suffix}")
    assert advice(run, "softmax", path) == []
    (said,) = advice(run, "softmax", path, columns=("p", "q"))
    assert "already sums to 1" in said
    assert advice(run, "softmax", path, columns=("p", "logit")) == []
    (said,) = advice(run, "softmax", path, columns=("p",))
    assert said == "softmax across one column, p: every value becomes 1"
    (said,) = advice(run, "softmax,softmax", path)
    assert "softmax after softmax" in said
    (said,) = advice(run, "exponential", path, dtype=np.dtype("f4"))
    assert "overflow to inf in float32; --dtype float64" in said


@pytest.mark.parametrize("run", COMMANDS)
@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, []), (np.inf, []), (None, []), (1000.0, ["overflow to inf"])]
)
def test_one_column_of_many_overflows(
    tmp_path: Path, value: float | None, expected: list[str], run: Run
) -> None:
    columns = {f"c{i}": pa.array([1.0, 2.0], pa.float32()) for i in range(50)}
    columns["c49"] = pa.array([value, 2.0], pa.float32())
    heard = advice(run, "exponential", write(pa.table(columns), tmp_path / "t.parquet"))
    assert len(heard) == len(expected)
    assert all(words in said for words, said in zip(expected, heard, strict=True))


@pytest.mark.parametrize("run", COMMANDS)
def test_nulls_are_no_values(tmp_path: Path, run: Run) -> None:
    p = pa.array([0.25, None, 0.5])
    path = write(pa.table({"p": p, "q": pa.array([0.75, 0.9, 0.5])}), tmp_path / "t.parquet")
    assert len(advice(run, "softmax", path)) == 1


def test_a_person_is_told_which_columns_a_softmax_runs_across(tmp_path: Path) -> None:
    path = write(pa.table({"p": [0.5, 1.0], "q": [2.5, 3.5]}), tmp_path / "t.csv")
    for spec, columns, told in (
        ("softmax", (), ["softmax runs across 2 columns: p, q"]),
        ("softmax", ("p", "q"), []),
        ("softmax:axis=0", (), []),
        ("relu", (), []),
    ):
        for run in (transformed, previewed):
            listener = Listener()
            options = Options(observer=listener, columns=columns, target_format="csv")
            run(Chain.parse(spec), path, options)
            assert listener.told == told


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_pipe_is_looked_at_and_loses_nothing(kact: Kact, order: str) -> None:
    array = np.asarray(np.tile(PROBABILITIES, (2000, 1)), order=order)
    done = kact("apply", "softmax", stdin=npy(array))
    assert done.stderr.count(b"already sums to 1") == 1
    np.testing.assert_allclose(np.load(io.BytesIO(done.stdout)), apply("softmax", array), 1e-6)


def test_on_the_command_line(kact: Kact, refused: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", LOGITS)
    args = ("chain", "softmax,softmax", tmp_path / "x.npy")
    said = kact(*args, tmp_path / "a.npy").stderr
    assert said.count(b"\n") == said.count(b"warning: softmax after softmax") == 1
    assert kact(*args, tmp_path / "b.npy", "--quiet").stderr == b""
    refused(*args, tmp_path / "c.npy", "--strict", code=2)
    refused(*args, tmp_path / "c.npy", "--strict", "--quiet", code=2)
    assert not (tmp_path / "c.npy").exists()
    given = (tmp_path / "x.npy").read_bytes()
    assert b"after" in kact("chain", "softmax,softmax", stdin=given).stderr
    for more in ((), ("--preview", "result")):
        refused(*args[:2], "-", "-", "--strict", *more, stdin=given, code=2)
    for spec in ([], [tmp_path / "x.npy"]):
        assert b"after" in kact("explain", "softmax,softmax", *spec).stderr
        refused("explain", "softmax,softmax", *spec, "--strict", code=2)
    done = kact("batch", *args[1:], "-o", tmp_path / "out", "--strict", code=2)
    assert b"softmax after softmax" in done.stderr

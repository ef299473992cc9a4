"""Warnings about what is sound, but probably not meant: each where it should be, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kact_cli import apply
from kact_cli.chain import Chain
from kact_cli.options import Observer, Options
from kact_cli.reports.advice import advise
from tests.tools import tables_made as tables
from tests.tools.run import Kact

LOGITS = np.random.default_rng(0).normal(0, 3, (20, 4)).astype("f4")
PROBABILITIES = apply("softmax", LOGITS)


class Listener(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def warn(self, message: str) -> None:
        self.heard.append(message)


def advice(spec: str, path: Path, **options: Any) -> list[str]:
    listener = Listener()
    advise(Chain.parse(spec), str(path), Options(observer=listener, **options))
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


@pytest.mark.parametrize(("spec", "array", "expected"), CASES)
def test_tensors(tmp_path: Path, spec: str, array: np.ndarray, expected: list[str]) -> None:
    if spec == "softmax" and array.ndim == 0:
        spec = "softmax:axis=none"
    np.save(tmp_path / "x.npy", array)
    heard = advice(spec, tmp_path / "x.npy")
    assert len(heard) == len(expected)
    assert all(words in said for words, said in zip(expected, heard, strict=True))


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv"])
def test_columns(tmp_path: Path, suffix: str) -> None:
    p, q = (PROBABILITIES[:, i].astype(float) for i in (0, 1))
    columns = {
        "userId": np.arange(20),
        "p": p,
        "q": 1 - p,
        "row_id": np.arange(20),
        "idle": np.arange(20),
    }
    path = tables.write(pa.table({**columns, "logit": q * 9 - 4}), tmp_path / f"t.{suffix}")
    # In a CSV, whether `idle` is whole all the way is not known
    assert ["idle" in said for said in advice("softmax", path)] == [True] * (suffix == "csv")
    assert len(advice("softmax", path, columns=("p", "q"))) == 1
    assert advice("softmax", path, columns=("p", "logit")) == []
    (said,) = advice("softmax", path, columns=("p",))
    assert "size 1" in said
    heard = advice("tanh", path, columns=("userId", "row_id", "idle"))
    assert [said.split("'")[1] for said in heard] == ["userId", "row_id"]


def test_nulls_are_no_values(tmp_path: Path) -> None:
    p = pa.array([0.25, None, 0.5])
    path = tables.write(pa.table({"p": p, "q": pa.array([0.75, 0.9, 0.5])}), tmp_path / "t.parquet")
    assert len(advice("softmax", path)) == 1


def test_a_stream_is_left_to_those_who_read_it(kact: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "-", LOGITS)  # a file of that name, beside standard input
    (tmp_path / "-.npy").rename(tmp_path / "-")
    with (tmp_path / "-").open("rb", buffering=0) as file:
        done = kact("apply", "relu", "-", stdin=file, cwd=tmp_path)
        assert len(done.stdout) == 128 + LOGITS.nbytes
    both = b"x" + (tmp_path / "-").read_bytes()
    (tmp_path / "both").write_bytes(both)
    with (tmp_path / "both").open("rb", buffering=0) as file:
        file.read(1)
        done = kact("apply", "softmax", "/dev/stdin", "-", stdin=file)
        assert len(done.stdout) == 128 + LOGITS.nbytes


def test_on_the_command_line(kact: Kact, refused: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", LOGITS)
    args = ("chain", "softmax,softmax", tmp_path / "x.npy")
    said = kact(*args, tmp_path / "a.npy").stderr
    assert said.count(b"\n") == said.count(b"warning: softmax after softmax") == 1
    assert kact(*args, tmp_path / "b.npy", "--quiet").stderr == b""
    refused(*args, tmp_path / "c.npy", "--strict", code=2)
    refused(*args, tmp_path / "c.npy", "--strict", "--quiet", code=2)
    assert not (tmp_path / "c.npy").exists()
    assert (
        b"after" in kact("chain", "softmax,softmax", stdin=(tmp_path / "x.npy").read_bytes()).stderr
    )


def test_a_csv_column_that_begins_whole_is_missed_across(kact: Kact, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,a,b\n1,0.5,1\n2,1.5,2.5\n" + "3,1,2\n" * 20_000)
    (tmp_path / "w.csv").write_text("id,a,b\n" + "1,0.5,1\n" * 30_000 + "2,1.5,2.5\n")
    said = kact("apply", "softmax", tmp_path / "w.csv", tmp_path / "o.csv").stderr
    assert b"'b' begins with whole numbers" in said
    assert b"'id'" not in said
    assert not kact("apply", "softmax", tmp_path / "t.csv", tmp_path / "p.csv").stderr
    assert not kact("apply", "relu", tmp_path / "w.csv", tmp_path / "q.csv").stderr

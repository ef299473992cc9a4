"""One large file is shared among workers, and comes out as from one."""

from __future__ import annotations

import errno
import os
import stat
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli import Chain
from kact_cli.batch import inputs, ranges
from kact_cli.batch.inputs import Item, Selection
from kact_cli.batch.schedule import Batch
from kact_cli.errors import KactError
from kact_cli.options import Options
from kact_cli.parallel.processes import Inline, Processes
from tests.tools.run import tree
from tests.tools.tensors import save


@pytest.mark.parametrize(
    ("chain", "shape", "order"),
    [
        ("tanh", (1_000_000,), "C"),
        ("softmax", (3000, 700), "C"),
        ("softmax(axis=0),elu", (3000, 700), "C"),
        ("softmax(axis=None),softmax(axis=1)", (3000, 700), "F"),
        ("softmax(axis=1)", (40, 500, 100), "F"),
        ("relu", (0, 4), "C"),
    ],
)
@pytest.mark.parametrize("jobs", [2, 3])
def test_ranges_give_the_bytes_of_one_worker(
    chain: str,
    shape: tuple[int, ...],
    order: str,
    jobs: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    array = save(tmp_path / "in/a.npy", *shape)
    np.save(tmp_path / "in/a.npy", np.asfortranarray(array) if order == "F" else array)
    monkeypatch.setattr("kact_cli.engine.plan.UNIT_BYTES", 100_000)
    monkeypatch.setattr(ranges, "CUT_BYTES", 0)
    options = Options(chunk_bytes=50_000)
    outputs = []
    for workers in (Inline(), Processes(jobs)):
        out = tmp_path / type(workers).__name__
        items = inputs.find([str(tmp_path / "in")], str(out), Selection(), None)
        Batch(Chain.parse(chain.replace("None", "none")), options, items).run(workers)
        outputs.append(tree(out))
    assert outputs[0] == outputs[1]
    assert outputs[0].keys() == {"a.npy"}


def test_many_workers_share_one_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "CUT_BYTES", 1)
    array = save(tmp_path / "a.npy", 20_000_000)
    item = Item(str(tmp_path / "a.npy"), str(tmp_path / "b.npy"), array.nbytes)
    seen: list[int] = []
    futures: list[Future[Any]] = []

    class Counting(Processes):
        def submit(self, *call: Any) -> Future[Any]:
            futures.append(super().submit(*call))
            seen.append(sum(not future.done() for future in futures))
            return futures[-1]

    Batch(Chain.parse("relu"), Options(), [item]).run(Counting(3))
    assert max(seen) == 3
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), np.maximum(array, 0))


def test_a_cut_file_is_as_private_as_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "CUT_BYTES", 1)
    array = save(tmp_path / "a.npy", 1000)
    (tmp_path / "a.npy").chmod(0o600)
    item = Item(str(tmp_path / "a.npy"), str(tmp_path / "b.npy"), array.nbytes)
    Batch(Chain.parse("relu"), Options(), [item]).run(Processes(2))
    assert (tmp_path / "b.npy").stat().st_mode & 0o777 == 0o600


def test_what_a_cut_file_has_to_say_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "CUT_BYTES", 1)
    monkeypatch.setattr(os, "fsync", lambda fd: os.fstat(fd) if is_file(fd) else fail())

    def is_file(fd: int) -> bool:
        return stat.S_ISREG(os.fstat(fd).st_mode)

    def fail() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    array = save(tmp_path / "a.npy", 1000)
    item = Item(str(tmp_path / "a.npy"), str(tmp_path / "b.npy"), array.nbytes)
    batch = Batch(Chain.parse("relu"), Options(fsync=True), [item])
    batch.run(Processes(2))
    (result,) = batch.results
    assert result.outcome is not None
    assert "not synchronised" in result.outcome.warnings[0]


def test_broken_large_file_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "CUT_BYTES", 1)
    save(tmp_path / "a.npy", 1000)
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    items = inputs.find([str(tmp_path / "b.npy")], str(tmp_path / "out"), Selection(), None)
    with pytest.raises(KactError, match=r"b\.npy is truncated"):
        Batch(Chain.parse("relu"), Options(), items).run(Processes(2))
    assert not tree(tmp_path / "out")


@pytest.mark.parametrize(("share", "threads"), [(1, 3), (20, 1)])
def test_table_that_outweighs_all_others_gets_threads(
    share: int, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kact_cli.batch.schedule.CUT_BYTES", 1)
    table = pa.table({"x": np.random.default_rng(0).normal(size=100_000)})
    for number in range(share):
        pq.write_table(table, tmp_path / f"{number}.parquet")
    given: list[int | None] = []

    class Seeing(Processes):
        def submit(self, function: Any, /, *args: Any) -> Future[Any]:
            given.append(args[0].options.jobs)
            return super().submit(function, *args)

    items = inputs.find([str(tmp_path)], str(tmp_path / "out"), Selection(), None)
    Batch(Chain.parse("relu"), Options(), items).run(Seeing(3))
    assert given == [threads] * share
    found = pq.read_table(tmp_path / "out/0.parquet")["x"].to_numpy()
    np.testing.assert_array_equal(found, np.maximum(table["x"].to_numpy(), 0))

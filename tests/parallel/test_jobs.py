"""The output is the same bytes for any number of workers, of either kind."""

from __future__ import annotations

import _multiprocessing
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest

from kact_cli.chain import Chain
from kact_cli.errors import DataError
from kact_cli.options import Options
from kact_cli.transform.route import transform
from tests.tools.run import Kact

CASES = {
    "elementwise": ("tanh,relu:alpha=0.1", (3, 700_001), "f4", "C"),
    "other dtype out": ("sigmoid", (1_500_000,), "i2", "C"),
    "resident": ("softmax", (30_000, 100), "f4", "C"),
    "resident, Fortran": ("softmax", (100, 30_000), "<f8", "F"),
    "streamed over the first axis": ("softmax(axis=0)", (900_000, 4), "f4", "C"),
    "streamed over all": ("softmax(axis=none)", (1_999_999,), ">f4", "C"),
    "streamed over two": ("softmax(axis=(0,2)),elu", (200, 9, 1009), "f2", "C"),
    "streamed twice": ("softmax,relu,softmax(axis=0)", (7, 500_001), "f4", "C"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("chunk", [(), ("--chunk-size", "100KB")])
def test_same_bytes_for_any_jobs(
    case: str, chunk: tuple[str, ...], kact: Kact, tmp_path: Path
) -> None:
    chain, shape, dtype, order = CASES[case]
    source = tmp_path / "in.npy"
    x = np.random.default_rng(2).normal(size=shape) * 5
    np.save(source, np.asarray(x.astype(dtype), order=order))
    results = set()
    for more in ((), ("--jobs", "1"), ("--jobs", "3")):
        target = tmp_path / "out.npy"
        kact("chain", chain, source, target, "--overwrite", *more, *chunk)
        results.add(target.read_bytes())
    run = ("chain", chain, "--jobs", "2", *chunk)
    with source.open("rb") as stdin, (tmp_path / "redirected.npy").open("wb") as stdout:
        kact(*run, stdin=stdin, stdout=stdout)
    results.add((tmp_path / "redirected.npy").read_bytes())
    results.add(kact(*run, stdin=source.read_bytes()).stdout)
    assert len(results) == 1


def test_processes_need_no_semaphores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without /dev/shm, as in some containers, there are none."""

    def no_semaphores(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(_multiprocessing, "SemLock", no_semaphores)
    x = np.linspace(-3, 3, 3_000_000, dtype="f4")
    np.save(tmp_path / "in.npy", x)
    paths = str(tmp_path / "in.npy"), str(tmp_path / "out.npy")
    transform(Chain.parse("relu"), *paths, Options(jobs=2))
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), np.maximum(x, 0))


def test_processes_that_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def too_many(_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(BaseProcess, "start", too_many)
    np.save(tmp_path / "in.npy", np.zeros(3_000_000, "f4"))
    paths = str(tmp_path / "in.npy"), str(tmp_path / "out.npy")
    said = "out.npy: no worker process can start: resource temporarily unavailable"
    with pytest.raises(DataError, match=said):
        transform(Chain.parse("relu"), *paths, Options(jobs=2))
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]


def test_jobs_with_a_nan_among_the_parameters(kact: Kact, tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(source, np.linspace(-1, 1, 3_000_000, dtype="f4"))
    kact("apply", "elu", "--alpha", "nan", source, target, "--jobs", "2")
    assert np.isnan(np.load(target)[:1000]).all()


def test_more_jobs_than_work(kact: Kact, tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    for shape in ((), (0, 3), (2, 2)):
        np.save(source, np.ones(shape))
        kact("apply", "tanh", source, target, "--overwrite", "--jobs", "5")
        np.testing.assert_allclose(np.load(target), np.tanh(np.ones(shape)))

"""An input that is changed while it is read: the old file's result, or an error, never a mixture.

The change comes with the first progress that is told of, at a place of each format's own.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from kact_cli.batch import ranges
from kact_cli.batch.inputs import Item
from kact_cli.batch.schedule import Batch
from kact_cli.chain import Chain
from kact_cli.errors import DataError, KactError
from kact_cli.options import Observer, Options
from kact_cli.parallel.processes import Inline
from kact_cli.transform.route import transform
from tests.tools.run import leftovers
from tests.trust.inputs import files
from tests.trust.patches import change

DOWN = "relu,softmax(axis=0)"
# The input, the output, and the columns that take part.
WAYS = [
    ("t.csv", "out.csv", ("a",)),
    ("t.csv.gz", "out.csv.gz", ("a",)),
    ("t.csv", "out.parquet", ("a",)),
    ("t.arrows", "out.arrows", ("a",)),
    ("t.arrow", "out.arrow", ("a",)),
    ("t.arrow", "out.parquet", ("a",)),
    ("t.parquet", "out.parquet", ("a",)),
    ("t.parquet", "out.arrow", ("a",)),
    ("c.npy", "out.npy", ()),
    ("f.npy", "out.npy", ()),
    ("s.npz", "out.npz", ()),
    ("d.npz", "out.npz", ()),
    ("m.safetensors", "out.safetensors", ()),
]
CHANGES = ("replace", "cut", "grow", "rewrite")


class Meddler(Observer):
    """Does something once, as soon as there is some progress."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self.meddle: Callable[[], object] | None = meddle

    def advance(self, count: int) -> None:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle()


def run(
    chain: str, source: Path, target: Path, columns: tuple[str, ...], observer: Observer
) -> bytes:
    options = Options(columns=columns, jobs=None, chunk_bytes=4096, observer=observer)
    transform(Chain.parse(chain), str(source), str(target), options)
    return target.read_bytes()


@pytest.mark.parametrize("chain", ["sigmoid", DOWN])
@pytest.mark.parametrize("action", CHANGES)
@pytest.mark.parametrize(("name", "output", "columns"), WAYS, ids=[f"{w[0]}-{w[1]}" for w in WAYS])
def test_it_is_an_error_or_the_old_file(
    name: str, output: str, columns: tuple[str, ...], action: str, chain: str, tmp_path: Path
) -> None:
    source, target, other = tmp_path / name, tmp_path / output, tmp_path / "other"
    source.write_bytes(files(0)[name])
    old = run(chain, source, target, columns, Observer())
    target.unlink()
    other.write_bytes(files(1)[name])
    meddler = Meddler(lambda: change(action, str(source), str(other)))
    if action == "replace":
        assert run(chain, source, target, columns, meddler) == old
        assert source.read_bytes() == files(1)[name]
    else:
        with pytest.raises(DataError) as failed:
            run(chain, source, target, columns, meddler)
        assert str(failed.value).startswith(str(source))
        assert not target.exists()
    assert meddler.meddle is None
    assert not [path for path in tmp_path.iterdir() if ".kact-" in path.name]


@pytest.mark.parametrize("chain", ["sigmoid", "softmax(axis=0)"])
@pytest.mark.parametrize("action", CHANGES)
def test_a_batch_that_shares_a_file_among_workers_mixes_nothing(
    action: str, chain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "CUT_BYTES", 1)
    monkeypatch.setattr("kact_cli.engine.plan.UNIT_BYTES", 4096)
    source, target, other = tmp_path / "c.npy", tmp_path / "out.npy", tmp_path / "other"
    source.write_bytes(files(0)["c.npy"])
    other.write_bytes(files(1)["c.npy"])

    class Meddling(Inline):
        given, grain = 0, 1

        def capacity(self) -> int:
            return 2

        def submit(self, *call: Any) -> Future[Any]:
            self.given += 1
            if self.given == 2:
                change(action, str(source), str(other))
            return super().submit(*call)

    workers = Meddling()
    item = Item(str(source), str(target), source.stat().st_size)
    with pytest.raises(KactError, match=r"c\.npy.* changed"):
        Batch(Chain.parse(chain), Options(chunk_bytes=2048), [item]).run(workers)
    assert workers.given > 1
    assert not target.exists()
    assert not leftovers(tmp_path)

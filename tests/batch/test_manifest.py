"""`.kact-batch.json`: read whatever it holds, kept by runs that begin and end beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kact_cli.batch import manifest
from kact_cli.batch.inputs import Item
from kact_cli.batch.manifest import NAME, Manifest, OutputDirectory, load
from kact_cli.chain import Chain
from kact_cli.errors import DataError, UsageError
from kact_cli.files.object_store import parse
from kact_cli.options import Options
from tests.tools.run import run_here
from tests.tools.s3 import Bucket
from tests.tools.tensors import save


def opened(out: Path | str, chain: str = "relu") -> OutputDirectory:
    """A run over `out`, which has read what is there."""
    return OutputDirectory(parse(str(out)), Manifest.make(Chain.parse(chain), Options()))


def item(out: Path, name: str) -> Item:
    """An input of 3 bytes that was changed at 7, and its output."""
    return Item(f"in/{name}", str(out / name), 3, (out / name).exists(), 7)


def kept(out: Path | str) -> Manifest:
    found = load(parse(str(out)))
    assert found is not None
    return found


# What it holds

BROKEN = [
    "",
    "null",
    "[]",
    "[" * 100_000,
    '{"kact": 1}',
    '{"kact": 1, "chain": "relu", "options": {}}',
    '{"kact": "1", "chain": null, "options": {}}',
    '{"kact": "1", "chain": "relu", "options": null}',
    '{"kact": "1", "chain": "relu", "options": {}, "inputs": []}',
    '{"kact": "1", "chain": "relu", "options": {}, "to_replace": true}',
    '{"kact": "1", "chain": "relu", "options": {}, "to_replace": [[]]}',
]


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:70])
def test_a_broken_one_is_named_before_any_work(text: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(DataError) as caught:
        opened(tmp_path)
    said = f"{tmp_path / NAME} is broken; remove it with the outputs beside it"
    assert str(caught.value) == said


def test_one_of_an_older_kact_is_of_another_run(tmp_path: Path) -> None:
    older = {"kact": "0.0.1", "chain": "relu", "options": {}, "replacing": True, "inputs": {}}
    (tmp_path / NAME).write_text(json.dumps(older))
    with pytest.raises(UsageError, match=r"there kact is 0\.0\.1, here "):
        opened(tmp_path)


# Two runs at once


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("where", ["files", "objects"])
def test_of_two_chains_that_begin_together_one_is_refused(
    where: str, late: bool, tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`late`: the other manifest appears between the look for one and the writing of one."""
    out = str(tmp_path) if where == "files" else f"s3://{bucket.name}/out"
    first, second = opened(out), opened(out, "softmax")
    first.begin([], overwrite=False)
    if late:
        answers = iter([None])
        monkeypatch.setattr(manifest, "load", lambda place: next(answers, load(place)))
    with pytest.raises(UsageError, match="there the chain is relu, here softmax"):
        second.begin([], overwrite=False)
    assert kept(out).chain == "relu"


def test_runs_of_one_chain_keep_what_the_others_noted(tmp_path: Path) -> None:
    (tmp_path / "old.npy").touch()
    first, second, third = (opened(tmp_path) for _ in range(3))
    old, new, newer = (item(tmp_path, name) for name in ("old.npy", "new.npy", "newer.npy"))
    second.begin([new], overwrite=False)
    first.begin([old], overwrite=True)
    third.begin([newer], overwrite=False)
    third.end([newer])
    second.end([new])
    assert kept(tmp_path).to_replace == ["old.npy"]
    first.end([old])
    assert kept(tmp_path).to_replace == []
    assert kept(tmp_path).inputs == {name: [3, 7] for name in ("old.npy", "new.npy", "newer.npy")}


def test_only_the_run_that_began_it_removes_it(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "out"), opened(tmp_path / "out")
    first.begin([], overwrite=False)
    second.begin([], overwrite=False)
    second.end([])
    assert kept(tmp_path / "out").chain == "relu"
    first.end([])
    assert load(str(tmp_path / "out")) is None


# What --overwrite has still to replace

UNFINISHED = "may be an old one: a run with --overwrite was not finished; give --overwrite again"


def test_what_was_to_be_replaced_is_known_until_it_is(tmp_path: Path) -> None:
    for name in ("a.npy", "b.npy", "c.npy", "new.npy"):
        save(tmp_path / "in" / name, 3)
        if name != "new.npy":
            save(tmp_path / "out" / name, 4)
    (tmp_path / "in/b.npy").write_bytes(b"broken")
    (tmp_path / "in/c.npy").write_bytes(b"broken")

    def batch(names: str, *more: str) -> tuple[int, str]:
        inputs = [tmp_path / "in" / f"{name}.npy" for name in names.split()]
        return run_here("batch", "relu", *inputs, "-o", tmp_path / "out", "--jobs", "1", *more)

    def is_refused(names: str, old: str) -> None:
        for how in ("--skip-existing", "--update"):
            code, said = batch(names, how)
            assert (code, said.splitlines()) == (
                2,
                [f"kact: error: {tmp_path}/out/{old}.npy {UNFINISHED}"],
            )

    assert batch("a b c", "--overwrite", "--keep-going")[0] == 1
    is_refused("a b", "b")
    assert batch("new")[0] == 0  # over other files, all of them done
    is_refused("new c", "c")
    assert batch("a new", "--skip-existing")[0] == 0  # nothing of these is old
    save(tmp_path / "in/b.npy", 3)
    assert batch("b", "--overwrite")[0] == 0
    is_refused("a b c", "c")
    (tmp_path / "out/c.npy").unlink()
    save(tmp_path / "in/c.npy", 3)
    assert batch("a b c", "--skip-existing")[0] == 0
    assert kept(tmp_path / "out").to_replace == []

"""A batch beside others: outputs that appear, two batches at once, few descriptors, full disks."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from kact_cli.batch import unit
from kact_cli.batch.manifest import NAME
from kact_cli.files.temporary import temporary_prefix
from tests.tools.run import Kact, environment, leftovers, limit, names, run_here, start, tree
from tests.tools.tensors import save


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A dozen tensors."""
    for number in range(12):
        save(tmp_path / f"in/{number:02}.npy", 40, 5, seed=number)
    return tmp_path / "in"


def test_an_output_that_appears_meanwhile_is_left(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, theirs = unit.make_parents, tmp_path / "out/03.npy"

    def made(path: str) -> None:
        make(path)
        theirs.write_bytes(b"theirs")

    monkeypatch.setattr(unit, "make_parents", made)
    run = ("batch", "relu", many, "--output-dir", tmp_path / "out", "--jobs", "1")
    code, said = run_here(*run)
    assert code == 0, said
    assert "03.npy exists by now; it was left as it is" in said
    assert theirs.read_bytes() == b"theirs"
    assert len(names(tmp_path / "out")) == 13  # and what a batch says of itself
    assert run_here(*run, "--overwrite")[0] == 0


def test_two_at_once_share_the_work(many: Path, kact: Kact, tmp_path: Path) -> None:
    kact("batch", "relu", many, "--output-dir", tmp_path / "alone")
    run = ("batch", "relu", many, "--output-dir", tmp_path / "out", "--skip-existing")
    both = [start(*run, env=environment()) for _ in range(2)]
    for child in both:
        _, said = child.communicate(timeout=60)
        assert child.returncode == 0, said
    assert tree(tmp_path / "out") == tree(tmp_path / "alone")
    noted = json.loads((tmp_path / "out/.kact-batch.json").read_text())["inputs"]
    assert sorted(noted) == sorted(tree(many))
    assert not leftovers(tmp_path)


def test_two_chains_at_once_are_not_mixed(many: Path, kact: Kact, tmp_path: Path) -> None:
    chains = ("relu", "softmax")
    both = [start("batch", chain, many, "--output-dir", tmp_path / "out") for chain in chains]
    said = [child.communicate(timeout=60)[1] for child in both]
    codes = [child.returncode for child in both]
    assert sorted(codes) == [0, 2], said
    assert b"holds outputs of another run" in said[codes.index(2)]
    kact("batch", chains[codes.index(0)], many, "--output-dir", tmp_path / "alone")
    assert tree(tmp_path / "out") == tree(tmp_path / "alone")


def test_what_a_killed_run_left_beside_what_is_done_goes(
    many: Path, kact: Kact, tmp_path: Path
) -> None:
    """It may be killed when an output has its name, and still its other one too."""
    out = tmp_path / "out"
    kact("batch", "relu", many, "--output-dir", out)
    for name in ("03.npy", NAME):
        os.link(out / name, out / f"{temporary_prefix(name)}0123456789ab.tmp")
    assert len(leftovers(out)) == 2
    kact("batch", "relu", many, "--output-dir", out, "--skip-existing")
    assert not leftovers(out)


def test_few_descriptors(many: Path, kact: Kact, refused: Kact, tmp_path: Path) -> None:
    run = ("batch", "relu", many, "--output-dir")
    kact(*run, tmp_path / "a", "--jobs", "2", prepare=limit(resource.RLIMIT_NOFILE, 32))
    few = limit(resource.RLIMIT_NOFILE, 20)
    done = refused(*run, tmp_path / "b", "--jobs", "12", prepare=few)
    assert b"too many open files" in done.stderr
    assert b"standard output" not in done.stderr
    assert not leftovers(tmp_path)


def test_a_link_to_itself_is_one_failure(many: Path, kact: Kact, tmp_path: Path) -> None:
    (many / "zz.npy").symlink_to("zz.npy")
    done = kact("batch", "relu", many, "--output-dir", tmp_path / "out", "--keep-going", code=1)
    assert b"zz.npy" in done.stderr
    assert len(tree(tmp_path / "out")) == 12


def test_no_room_for_temporary_files_names_them(refused: Kact, tmp_path: Path) -> None:
    """As where TMPDIR is full: the file system is read, and nothing can be written there."""
    np.save(tmp_path / "in.npy", np.ones((400, 500), "f4"))
    done = refused(
        "chain", "softmax(axis=0)", "-", tmp_path / "out.npy",
        stdin=(tmp_path / "in.npy").read_bytes(), TMPDIR=str(tmp_path),
        prepare=limit(resource.RLIMIT_FSIZE, 1000),
    )  # fmt: skip
    assert b"temporary file" in done.stderr or b"out.npy: file too large" in done.stderr
    assert names(tmp_path) == ["in.npy"]

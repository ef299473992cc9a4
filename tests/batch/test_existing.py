"""What is there already: kept, replaced or refused, and never mixed with another run's outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kact_cli.files.temporary import temporary_prefix
from tests.tools.run import Kact, tree
from tests.tools.tensors import save

# What is there already


def test_existing_outputs_are_refused_kept_or_replaced(
    data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kact("batch", "relu", data, "-o", out)
    whole = tree(out)
    assert b"exists; --skip-existing" in refused("batch", "relu", data, "-o", out, code=2).stderr
    (out / "a.npy").unlink()
    kept = os.stat(out / "x/b.npy").st_mtime_ns
    done = kact("batch", "relu", data, "-o", out, "--skip-existing")
    assert b"1 file done" in done.stdout
    assert b"3 left as they were" in done.stdout
    assert tree(out) == whole
    assert os.stat(out / "x/b.npy").st_mtime_ns == kept
    kact("batch", "relu", data, "-o", out, "--overwrite")
    assert tree(out) == whole
    assert os.stat(out / "x/b.npy").st_mtime_ns != kept
    assert json.loads((out / ".kact-batch.json").read_text())["to_replace"] == []


@pytest.mark.parametrize("how", ["--skip-existing", "--overwrite", None])
@pytest.mark.parametrize(
    "other", [["relu(alpha=0.5)"], ["relu", "--dtype", "float64"], ["relu", "--columns", "v"]]
)
def test_outputs_of_different_runs_are_not_mixed(
    other: list[str], how: str | None, data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kact("batch", "relu", data / "a.npy", "-o", out)
    before = tree(out)
    done = refused("batch", *other, data, "-o", out, *([how] if how else []), code=2)
    assert b"holds outputs of another run" in done.stderr
    assert tree(out) == before


def test_options_that_do_not_show_in_the_outputs_may_change(
    data: Path, kact: Kact, tmp_path: Path
) -> None:
    kact("batch", "relu", data / "a.npy", "-o", tmp_path / "out", "--jobs", 1)
    kact("batch", "relu()", data, "-o", tmp_path / "out", "--skip-existing", "-j", 2, "--fsync")


def test_outputs_of_unknown_making_are_not_kept(
    data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    save(tmp_path / "out/a.npy", 3)
    args = ["batch", "relu", data, "-o", tmp_path / "out"]
    assert b"what made it is not known" in refused(*args, "--skip-existing", code=2).stderr
    kact(*args, "--overwrite")


def test_a_link_that_leads_nowhere_is_no_output(data: Path, kact: Kact, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere.npy"
    kact("batch", "relu", data, "-o", out)
    (out / "a.npy").rename(elsewhere)
    (out / "a.npy").symlink_to(elsewhere)
    again = ("batch", "relu", data, "-o", out, "--skip-existing")
    assert b"nothing to do: 4 outputs" in kact(*again).stdout
    whole = elsewhere.read_bytes()
    elsewhere.unlink()
    assert b"1 file done" in kact(*again).stdout
    assert (out / "a.npy").is_symlink()
    assert elsewhere.read_bytes() == whole


def test_unfinished_replacing_is_not_continued_as_if_all_were_new(
    data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kact("batch", "relu", data, "-o", out)
    (data / "x/b.npy").write_bytes(b"broken")
    refused("batch", "relu", data, "-o", out, "--overwrite")
    done = refused("batch", "relu", data, "-o", out, "--skip-existing", code=2)
    assert b"--overwrite was not finished" in done.stderr
    save(data / "x/b.npy", 3)
    kact("batch", "relu", data, "-o", out, "--overwrite")
    kact("batch", "relu", data, "-o", out, "--skip-existing")


def test_what_a_killed_run_left_is_removed(data: Path, kact: Kact, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "x").mkdir(parents=True)
    left = out / "x" / f"{temporary_prefix('b.npy')}abc.tmp"
    others = out / "x" / f"{temporary_prefix('other.npy')}abc.tmp"
    left.touch()
    others.touch()
    kact("batch", "relu", data, "-o", out)
    assert not left.exists()
    assert others.exists()


def test_a_run_that_made_nothing_leaves_the_directory_to_another(
    data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    refused("batch", "softmax(axis=7)", data / "a.npy", "-o", out)
    kact("batch", "softmax", data / "a.npy", "-o", out)
    assert (out / "a.npy").exists()

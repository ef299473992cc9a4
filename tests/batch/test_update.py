"""`--update`, globs in quotes, `--files-from`: what is done, and what is left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from kact_cli import apply
from kact_cli.batch import manifest
from kact_cli.cli import cli
from kact_cli.errors import DataError, KactError, UsageError
from tests.tools.run import Kact

X = np.random.default_rng(0).normal(0, 3, (20, 4)).astype("f4")


def batch(*args: object) -> Result:
    words = ["batch", *map(str, args), "--jobs", "1"]
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, SystemExit | KactError | None), done.exception
    return done


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three files, and a directory with another; the working directory is there."""
    (tmp_path / "in/deep").mkdir(parents=True)
    for name in ("a.npy", "b.npy", "c.csv", "deep/d.npy", ".hidden.npy"):
        if name.endswith("npy"):
            np.save(tmp_path / "in" / name, X)
        else:
            (tmp_path / "in" / name).write_text("x,y\n1.5,-2.5\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(place: Path) -> list[str]:
    out = place / "out"
    return sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.suffix in (".npy", ".csv"))


def test_update_does_again_what_has_changed(place: Path) -> None:
    again = ("relu", "in", "-o", "out", "--update")
    assert "4 files done" in batch(*again).output
    assert batch(*again).output == "nothing to do: 4 outputs are up to date\n"
    np.save(place / "in/a.npy", -X)
    said = batch("relu", "in", "-o", "out", "--skip-existing").output
    assert "4 outputs exist, 1 of them older than their inputs: --update" in said
    done = batch(*again)
    assert "1 file done" in done.output
    assert "3 left as they were" in done.output
    assert np.array_equal(np.load(place / "out/a.npy"), apply("relu", -X))
    assert batch(*again).output.startswith("nothing to do")
    # An older copy that is put back has changed as well
    status = os.stat(place / "in/b.npy")
    np.save(place / "in/b.npy", X * 2)
    os.utime(place / "in/b.npy", ns=(status.st_atime_ns, status.st_mtime_ns - 10**12))
    assert "1 file done" in batch(*again).output
    np.save(place / "in/new.npy", X)
    assert "1 file done" in batch(*again).output


def test_update_of_a_run_that_was_killed_goes_by_the_times(place: Path) -> None:
    batch("relu", "in", "-o", "out")
    path = place / "out" / manifest.NAME
    written = json.loads(path.read_text())
    assert written.pop("inputs").keys() == {"a.npy", "b.npy", "c.csv", "deep/d.npy"}
    path.write_text(json.dumps(written))
    assert batch("relu", "in", "-o", "out", "--update").output.startswith("nothing to do")
    later = os.stat(place / "out/a.npy").st_mtime_ns + 10**9
    os.utime(place / "in/a.npy", ns=(later, later))
    assert "1 file done" in batch("relu", "in", "-o", "out", "--update").output


def test_update_and_overwrite_are_one_of_them(place: Path) -> None:
    done = batch("relu", "in", "-o", "out", "--update", "--overwrite")
    assert isinstance(done.exception, UsageError)


GLOBS = [
    ("in/*.npy", ["a.npy", "b.npy"]),
    ("in/[ac].*", ["a.npy", "c.csv"]),
    ("in/**/*.npy", ["a.npy", "b.npy", "d.npy"]),
    ("{place}/in/?.npy", ["a.npy", "b.npy"]),
    ("i*/deep", ["d.npy"]),
    ("in/.*.npy", [".hidden.npy"]),
]


@pytest.mark.parametrize(("glob", "expected"), GLOBS)
def test_a_glob_in_quotes_is_expanded(place: Path, glob: str, expected: list[str]) -> None:
    done = batch("relu", glob.format(place=place), "-o", "out")
    assert done.exit_code == 0, done.exception
    assert made(place) == expected


def test_a_glob_that_matches_nothing_is_an_error_and_a_name_like_one_a_name(place: Path) -> None:
    done = batch("relu", "in/*.parquet", "-o", "out")
    assert isinstance(done.exception, DataError)
    assert str(done.exception) == "in/*.parquet: no such file, and no file matches"
    (place / "in/a.npy").rename(place / "in/[b].npy")
    assert batch("relu", "in/[b].npy", "-o", "out").exit_code == 0
    assert made(place) == ["[b].npy"]


NAMES: list[tuple[bytes, tuple[str, ...]]] = [
    (b"in/a.npy\nin/c.csv\n", ()),
    (b"in/a.npy\r\n\r\nin/c.csv", ()),
    (b"in/a.npy\0in/c.csv\0", ("-0",)),
    (b"in/c.csv\n", ("in/a.npy",)),
]


@pytest.mark.parametrize(("names", "more"), NAMES)
@pytest.mark.parametrize("source", ["list", "-"])
def test_names_come_from_a_file(
    place: Path, kact: Kact, names: bytes, more: tuple[str, ...], source: str
) -> None:
    (place / "list").write_bytes(names)
    kact("batch", "relu", *more, "-o", "out", "--files-from", source, stdin=names, cwd=place)
    assert made(place) == ["a.npy", "c.csv"]


def test_without_any_name_there_is_nothing_to_do(place: Path) -> None:
    (place / "list").write_bytes(b"\n")
    for args in ((), ("--files-from", "list")):
        done = batch("relu", "-o", "out", *args)
        assert isinstance(done.exception, UsageError)
        assert "--files-from" in str(done.exception)


def test_options_without_effect_are_refused_where_no_file_has_use_for_them(place: Path) -> None:
    done = batch("relu", "in/a.npy", "in/b.npy", "-o", "out", "--columns", "x")
    assert isinstance(done.exception, UsageError)
    assert "--columns has no effect from npy to npy" in str(done.exception)
    assert batch("relu", "in/a.npy", "in/c.csv", "-o", "out", "--columns", "x").exit_code == 0


def test_strict_ends_with_a_usage_error_and_the_first_failure_says_what_is_left(
    place: Path,
) -> None:
    done = batch("softmax,softmax", "in/a.npy", "in/b.npy", "-o", "out", "--strict")
    assert isinstance(done.exception, UsageError)
    way = "(0 of 2 files done; --skip-existing goes on from there, --keep-going finishes the rest)"
    assert str(done.exception).endswith(way)
    more = batch("softmax,softmax", "in/a.npy", "in/b.npy", "-o", "out", "--strict", "-k")
    assert isinstance(more.exception, UsageError)
    assert made(place) == []


FAILURES = [
    ("--update", "1 of 2 files done; the same command goes on from there, --keep-going"),
    ("--overwrite", "1 of 3 files done; the same command does them all again, --keep-going"),
]


@pytest.mark.parametrize(("how", "way"), FAILURES)
def test_what_a_failure_says_goes_on_leaves_no_old_output(place: Path, how: str, way: str) -> None:
    again = ("relu", "in/a.npy", "in/b.npy", "in/c.csv", "-o", "out", how)
    assert batch(*again).exit_code == 0
    np.save(place / "in/a.npy", np.concatenate([-X, X]))  # the larger one is done first
    whole = (place / "in/b.npy").read_bytes()
    (place / "in/b.npy").write_bytes(whole[:-8])
    said = str(batch(*again).exception)
    assert said.startswith("in/b.npy is truncated")
    assert "; out/b.npy is still the one from before (" in said
    assert way in said
    np.save(place / "in/b.npy", -X)
    assert batch(*again).exit_code == 0
    assert np.array_equal(np.load(place / "out/b.npy"), apply("relu", -X))


def test_what_is_there_needs_one_of_three_options(place: Path) -> None:
    batch("relu", "in", "-o", "out")
    said = str(batch("relu", "in", "-o", "out").exception)
    assert all(flag in said for flag in ("--skip-existing", "--update", "--overwrite"))

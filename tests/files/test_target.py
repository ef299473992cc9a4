"""The output is whole or absent, whatever its name: new, existing, links, odd names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from kact_cli.files import target as module
from kact_cli.options import Observer
from tests.tools.run import Kact, leftovers, names, start, wait_until
from tests.tools.tables import convert
from tests.tools.tensors import BIG, X, Y, holds, npy


def test_existing_output_is_refused_and_untouched(
    refused: Kact, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.npy"
    target.write_bytes(b"precious")
    before = target.stat()
    done = refused("apply", "relu", source, target, code=2)
    assert b"--overwrite" in done.stderr
    assert target.read_bytes() == b"precious"
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    refused("apply", "relu", source, source, code=2)
    assert names(tmp_path) == ["in.npy", "out.npy"]


def test_output_that_appears_during_the_run_is_kept(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.npy"
    child = start("apply", "relu", "-", target)
    assert child.stdin is not None
    child.stdin.write(source.read_bytes()[:-1])
    child.stdin.flush()
    assert wait_until(lambda: bool(list(tmp_path.glob(".kact-*"))))
    target.write_bytes(b"someone else's")
    _, err = child.communicate(source.read_bytes()[-1:])
    assert child.returncode == 1
    assert b"exists" in err
    assert target.read_bytes() == b"someone else's"
    assert names(tmp_path) == ["in.npy", "out.npy"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_new_file_has_the_mode_of_any_new_file(
    umask: int, kact: Kact, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.npy"
    source.chmod(0o777)
    kact("apply", "relu", source, target, prepare=lambda: os.umask(umask) and None)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask
    assert holds(target)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o604])
def test_no_one_reads_an_output_who_may_not_read_the_input(
    mode: int, kact: Kact, source: Path, tmp_path: Path
) -> None:
    source.chmod(mode)
    kact("apply", "relu", source, tmp_path / "out.npy")
    assert stat.S_IMODE((tmp_path / "out.npy").stat().st_mode) == mode | 0o200


OURS, OTHER = os.getegid(), 12345
GROUPS = [
    # The input's group, the directory's, the one it is mistaken for, what the group may do
    (OURS, OTHER, None, 0o600),
    (OTHER, OTHER, None, 0o640),
    (OTHER, OURS, None, 0o600),
    (OTHER, OURS, OTHER, 0o600),
]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other groups")
@pytest.mark.parametrize(("group", "directory", "mistaken", "mode"), GROUPS)
def test_nor_does_the_group_that_a_directory_gives_it(
    group: int,
    directory: int,
    mistaken: int | None,
    mode: int,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source.chmod(0o640)
    os.chown(source, -1, group)
    (tmp_path / "shared").mkdir()
    os.chown(tmp_path / "shared", -1, directory)
    (tmp_path / "shared").chmod(0o2775)
    if mistaken is not None:
        monkeypatch.setattr(module, "group_beside", lambda _: mistaken)
    convert("relu", source, tmp_path / "shared/out.npy")
    made = (tmp_path / "shared/out.npy").stat()
    assert (made.st_gid, stat.S_IMODE(made.st_mode)) == (directory, mode)


def test_nor_its_temporary_file(source: Path, tmp_path: Path) -> None:
    source.chmod(0o600)
    modes = []

    class Looking(Observer):
        def advance(self, count: int) -> None:
            modes.extend(stat.S_IMODE(path.stat().st_mode) for path in leftovers(tmp_path))

    convert("relu", source, tmp_path / "out.npy", observer=Looking())
    assert set(modes) == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o755, 0o666])
def test_mode_of_a_replaced_file_is_kept(
    mode: int, kact: Kact, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.npy"
    target.write_bytes(b"old")
    target.chmod(mode)
    kact("apply", "relu", source, target, "--overwrite", "--fsync")
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert holds(target)


def test_symlink_stays_and_its_file_is_replaced(kact: Kact, source: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "real.npy").write_bytes(b"old")
    (elsewhere / "next.npy").symlink_to("real.npy")
    link = tmp_path / "link.npy"
    link.symlink_to("elsewhere/next.npy")
    kact("apply", "relu", source, link, "--overwrite")
    assert link.is_symlink()
    assert (elsewhere / "next.npy").is_symlink()
    assert holds(elsewhere / "real.npy")
    assert names(elsewhere) == ["next.npy", "real.npy"]


def test_symlink_to_nothing_makes_its_file(kact: Kact, source: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.npy"
    link.symlink_to("new.npy")
    kact("apply", "relu", source, link)
    assert link.is_symlink()
    assert holds(tmp_path / "new.npy")


def test_symlinks_in_a_circle(refused: Kact, source: Path, tmp_path: Path) -> None:
    (tmp_path / "a.npy").symlink_to("b.npy")
    (tmp_path / "b.npy").symlink_to("a.npy")
    refused("apply", "relu", source, tmp_path / "a.npy")
    refused("apply", "relu", tmp_path / "a.npy", tmp_path / "c.npy")


@pytest.mark.parametrize("through", ["itself", "symlink", "hard link"])
@pytest.mark.parametrize("more", [(), ("--jobs", "2")])
def test_output_may_be_the_input(
    through: str, more: tuple[str, ...], kact: Kact, big: Path, tmp_path: Path
) -> None:
    target = tmp_path / "other.npy"
    if through == "symlink":
        target.symlink_to(big)
    elif through == "hard link":
        target.hardlink_to(big)
    else:
        target = big
    kact("chain", "softmax(axis=0)", big, target, "--overwrite", *more)
    e = np.exp(BIG.astype("f8"))
    np.testing.assert_allclose(np.load(target), e / e.sum(0), rtol=1e-6)
    if through == "hard link":
        assert holds(big, BIG)


ODD = [
    b"-x.npy",
    b"x[/].npy",
    b"x y.npy",
    b"a\x1b[31mb.npy",
    b"\xff.npy",
    b"a\nb.npy",
    b"*.npy",
    b"\xe2\x82\xac.npy",
    b"$(x).npy",
    b"n" * 251 + b".npy",
    b"{0}%s.npy",
    b"[bold].npy",
]


@pytest.mark.parametrize("name", ODD, ids=repr)
def test_odd_names(name: bytes, kact: Kact, refused: Kact, tmp_path: Path) -> None:
    directory = os.fsencode(tmp_path)
    if b"/" in name:
        os.mkdir(os.path.join(directory, os.path.dirname(name)))
    out = os.path.join(os.path.dirname(name), b"o" + os.path.basename(name)[1:-1] + b"y")
    with open(os.path.join(directory, name), "wb") as file:
        file.write(npy(X))
    kact("apply", "relu", "--", name, out, cwd=tmp_path)
    with open(os.path.join(directory, out), "rb") as file:
        assert np.array_equal(np.load(file), Y)
    for run in (("apply", "relu", "--", name, out), ("apply", "relu", "--", out, name)):
        refused(*run, code=2, cwd=tmp_path)
    refused("apply", "relu", "--", b"absent" + name[:9], out, "x", code=2, cwd=tmp_path)
    refused("apply", "relu", "--", b"absent" + name[:9].replace(b"/", b""), "x", cwd=tmp_path)
    refused("explain", "relu", name + b"/y", cwd=tmp_path, code=2 if name[:1] == b"-" else 1)


def test_relative_names(kact: Kact, source: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    kact("apply", "relu", "../in.npy", "out.npy", cwd=tmp_path / "sub")
    kact("apply", "relu", "in.npy", "sub/../out.npy", cwd=tmp_path)
    assert holds(tmp_path / "sub/out.npy")
    assert holds(tmp_path / "out.npy")

"""The output is whole or absent, wherever it goes: files, links, pipes, devices, full disks."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.tools.run import (
    Kact,
    command,
    environment,
    npy,
    start,
    wait_until,
)

X = np.array([[-1.5, 2.0], [0.0, -3.0]], "f4")
Y = np.maximum(X, 0)
BIG = np.random.default_rng(0).normal(size=(3, 700_001)).astype("f4")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.npy"
    np.save(path, X)
    return path


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.npy"
    np.save(path, BIG)
    return path


def holds(path: Path, wanted: np.ndarray = Y) -> bool:
    return np.array_equal(np.load(path), wanted)


def names(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


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


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """A line of bash in which `kact` is kact."""
    run = " ".join(map(str, command()))
    return subprocess.run(
        ["bash", "-c", f'kact() {{ {run} "$@"; }}; {line}'],
        cwd=cwd,
        capture_output=True,
        env=environment(),
        timeout=60,
    )


def test_redirected_output(source: Path, tmp_path: Path) -> None:
    done = shell("kact apply relu < in.npy > out.npy", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert holds(tmp_path / "out.npy")


def test_redirected_output_after_other_text(source: Path, tmp_path: Path) -> None:
    line = "{ printf before; kact apply relu in.npy - ; printf after; } > out"
    assert shell(line, tmp_path).returncode == 0
    assert (tmp_path / "out").read_bytes() == b"before" + npy(Y) + b"after"


@pytest.mark.parametrize("chain", ["relu", "softmax(axis=0)"])
@pytest.mark.parametrize("from_", ["< big.npy", "< <(cat big.npy)"])
def test_appended_output(chain: str, from_: str, big: Path, tmp_path: Path) -> None:
    line = f"printf before > out; kact chain '{chain}' {from_} >> out; echo after >> out"
    assert shell(line, tmp_path).returncode == 0
    whole = (tmp_path / "out").read_bytes()
    assert whole.startswith(b"before")
    assert whole.endswith(b"after\n")
    y = np.load(io.BytesIO(whole[6:]))
    e = np.exp(BIG.astype("f8"))
    wanted = np.maximum(BIG, 0) if chain == "relu" else e / e.sum(0)
    np.testing.assert_allclose(y, wanted, rtol=1e-6)


def test_input_that_the_shell_has_emptied(source: Path, tmp_path: Path) -> None:
    done = shell("kact apply relu < in.npy > in.npy", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("chain", ["relu", "softmax(axis=0)"])
def test_appending_to_the_input_is_refused(chain: str, source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    for line in (
        f"kact chain '{chain}' < in.npy >> in.npy",
        f"kact chain '{chain}' in.npy >> in.npy",
        f"kact chain '{chain}' in.npy /dev/stdout >> in.npy",
        f"kact chain '{chain}' < in.npy 1<> in.npy",
    ):
        done = shell(line, tmp_path)
        assert done.returncode == 1, line
        assert b"also the input" in done.stderr
        assert source.read_bytes() == before


def test_failure_leaves_a_redirected_file_empty(tmp_path: Path) -> None:
    (tmp_path / "short.npy").write_bytes(npy(BIG)[:-1])
    (tmp_path / "kept").write_bytes(b"kept")
    for run in ("relu short.npy", "relu - < short.npy", "'softmax(axis=0)' - < short.npy"):
        for pipe in ("", "cat short.npy | "):
            done = shell(
                f"{pipe}kact chain {run if not pipe else run.split(' -')[0]} > out.npy", tmp_path
            )
            assert done.returncode == 1
            assert done.stderr.count(b"\n") == 1
            assert (tmp_path / "out.npy").read_bytes() == b""
            assert shell(f"{pipe}kact chain {run} >> kept", tmp_path).returncode == 1
            assert (tmp_path / "kept").read_bytes() == b"kept"


@pytest.mark.parametrize("chain", ["relu", "softmax(axis=0)"])
def test_named_pipes(chain: str, kact: Kact, big: Path, tmp_path: Path) -> None:
    out, first = tmp_path / "out.fifo", tmp_path / "in.fifo"
    os.mkfifo(out)
    os.mkfifo(first)
    got: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: got.append(out.read_bytes())),
        threading.Thread(target=lambda: first.write_bytes(big.read_bytes())),
    ]
    for thread in threads:
        thread.start()
    kact("chain", chain, first, out)
    for thread in threads:
        thread.join()
    e = np.exp(BIG.astype("f8"))
    wanted = np.maximum(BIG, 0) if chain == "relu" else e / e.sum(0)
    np.testing.assert_allclose(np.load(io.BytesIO(got[0])), wanted, rtol=1e-6)
    assert stat.S_ISFIFO(out.stat().st_mode)


@pytest.mark.parametrize("device", ["null", "full", "zero"])
@pytest.mark.parametrize("more", [(), ("--overwrite",), ("--jobs", "2")])
def test_devices_are_written_to_and_stay(
    device: str, more: tuple[str, ...], kact: Kact, refused: Kact, big: Path
) -> None:
    path = Path("/dev") / device
    before = path.stat()
    for chain in ("relu", "softmax(axis=0)"):
        if device == "full":
            assert b"no space" in refused("chain", chain, big, path, *more).stderr
        else:
            kact("chain", chain, big, path, *more)
    after = path.stat()
    assert stat.S_ISCHR(after.st_mode)
    assert (after.st_rdev, after.st_mode, after.st_ino) == (
        before.st_rdev,
        before.st_mode,
        before.st_ino,
    )


def test_names_of_standard_output(kact: Kact, source: Path, tmp_path: Path) -> None:
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        assert kact("apply", "relu", source, name).stdout == npy(Y)
        with (tmp_path / "out").open("wb") as file:
            kact("apply", "relu", source, name, stdout=file)
        assert holds(tmp_path / "out")
    for name in ("-", "/dev/stdin", "/dev/fd/0"):
        assert kact("apply", "relu", name, stdin=npy(X)).stdout == npy(Y)
    done = shell("kact apply relu in.npy /dev/fd/7 7> seven", tmp_path)
    assert done.returncode == 0
    assert holds(tmp_path / "seven")
    assert shell("kact apply relu /dev/fd/8 - 8< in.npy", tmp_path).stdout == npy(Y)
    assert shell("kact apply relu /dev/fd/9 -", tmp_path).returncode == 1
    assert shell("kact apply relu in.npy /dev/fd/9", tmp_path).returncode == 1


def test_symlink_to_standard_output(kact: Kact, source: Path, tmp_path: Path) -> None:
    (tmp_path / "link.npy").symlink_to("/dev/stdout")
    assert kact("apply", "relu", source, tmp_path / "link.npy").stdout == npy(Y)
    assert (tmp_path / "link.npy").is_symlink()
    with (tmp_path / "out").open("wb") as file:
        kact("apply", "relu", source, tmp_path / "link.npy", stdout=file)
    assert holds(tmp_path / "out")


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

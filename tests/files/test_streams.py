"""Output into pipes, devices, descriptors and files that the shell has opened."""

from __future__ import annotations

import io
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.tools.run import Kact, shell
from tests.tools.tensors import BIG, X, Y, holds, npy


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

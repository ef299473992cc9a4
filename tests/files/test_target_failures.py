"""Where the output cannot be written: one line, the right exit code, the target as it was."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.run import Kact, drop_privileges, environment, limit, names, shell
from tests.tools.tensors import BIG, X, holds, npy


def test_where_nothing_can_be_written(refused: Kact, source: Path, tmp_path: Path) -> None:
    closed, kept = tmp_path / "closed", tmp_path / "kept.npy"
    closed.mkdir()
    kept.write_bytes(b"kept")
    kept.chmod(0o444)
    closed.chmod(0o555)
    try:
        for target in (closed / "out.npy", kept):
            done = refused("apply", "relu", source, target, "--overwrite", prepare=drop_privileges)
            assert b"permission denied" in done.stderr
            assert bytes(target) in done.stderr
        source.chmod(0)
        done = refused("apply", "relu", source, tmp_path / "new.npy", prepare=drop_privileges)
        assert b"in.npy: permission denied" in done.stderr
    finally:
        closed.chmod(0o755)
    assert kept.read_bytes() == b"kept"
    assert names(closed) == []
    assert names(tmp_path) == ["closed", "in.npy", "kept.npy"]


def test_where_nothing_can_be(refused: Kact, source: Path, tmp_path: Path) -> None:
    for flag in ((), ("--overwrite",)):
        assert b"is a directory" in refused("apply", "relu", source, tmp_path, *flag).stderr
        assert (
            b"there is no directory"
            in refused("apply", "relu", source, tmp_path / "a/b", *flag).stderr
        )
        refused("apply", "relu", source, source / "b.npy", *flag)
        refused("apply", "relu", source, "", *flag)
        refused("apply", "relu", source, tmp_path / ("n" * 256), *flag)
        refused("apply", "relu", source, f"{tmp_path}/new.npy/", *flag)
    assert b"is a directory" in refused("apply", "relu", tmp_path, "-").stderr
    refused("apply", "relu", "", "-")
    assert names(tmp_path) == ["in.npy"]


@pytest.mark.parametrize("more", [(), ("--jobs", "2"), ("--jobs", "1")])
@pytest.mark.parametrize("chain", ["relu", "softmax(axis=0)"])
def test_file_size_limit(
    chain: str, more: tuple[str, ...], refused: Kact, big: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.npy"
    target.write_bytes(b"old")
    small = limit(resource.RLIMIT_FSIZE, 1 << 20)
    run = ("chain", chain, "--overwrite", *more)
    done = refused(*run, big, target, prepare=small)
    assert b"out.npy: file too large" in done.stderr
    done = refused(*run, "-", target, stdin=npy(BIG), prepare=small)
    assert b"too large" in done.stderr
    with (tmp_path / "redirected").open("wb") as file:
        refused(*run, big, "-", stdout=file, prepare=small)
    assert (tmp_path / "redirected").read_bytes() == b""
    with (tmp_path / "redirected").open("ab") as file:
        refused(*run, big, "-", stdout=file, prepare=small)
    assert (tmp_path / "redirected").read_bytes() == b""
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["big.npy", "out.npy", "redirected"]


def test_file_size_limit_on_what_is_spooled(refused: Kact, big: Path, tmp_path: Path) -> None:
    spools = tmp_path / "spools"
    spools.mkdir()
    for args, stdin in ((("-", "-"), npy(BIG)), ((str(big), "-"), b"")):
        done = refused(
            "chain",
            "softmax(axis=0)",
            "--chunk-size",
            "4KiB",
            *args,
            stdin=stdin,
            prepare=limit(resource.RLIMIT_FSIZE, 1 << 20),
            TMPDIR=str(spools),
        )
        assert done.stdout == b""
        assert b"temporary file" in done.stderr
        assert names(spools) == []


def test_no_place_for_what_is_spooled(refused: Kact, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    code = f"import kact_cli.cleanup; kact_cli.cleanup.PLACES = [{str(tmp_path)!r}];"
    run = [
        sys.executable,
        "-c",
        f"{code} from kact_cli.cli import main; main()",
        "chain",
        "softmax(axis=0)",
        "--chunk-size",
        "16",
    ]
    done = subprocess.run(
        run,
        input=npy(X.repeat(9, 0)),
        capture_output=True,
        preexec_fn=drop_privileges,
        env=environment(TMPDIR="", TEMP="", TMP=""),
    )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"temporary" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    run = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.geteuid():
        pytest.skip("only root can mount a small file system")
    done = subprocess.run(run, capture_output=True)
    if done.returncode:  # as in a container without the right to
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("more", [(), ("--jobs", "2")])
def test_full_disk(more: tuple[str, ...], refused: Kact, big: Path, small_disk: Path) -> None:
    (small_disk / "old.npy").write_bytes(b"old")
    for chain in ("relu", "softmax(axis=0)"):
        for target in ("old.npy", "new.npy"):
            run = ("chain", chain, *more, "--overwrite")
            done = refused(*run, big, small_disk / target)
            assert b"no space left" in done.stderr
            assert b"8,400,140 bytes needed" in done.stderr
            refused(*run, "-", small_disk / target, stdin=npy(BIG))
        with (small_disk / "redirected").open("wb") as file:
            refused(*run, big, "-", stdout=file)
        assert (small_disk / "redirected").stat().st_size == 0
        with (small_disk / "redirected").open("ab") as file:
            refused(*run, big, "-", stdout=file)
        assert (small_disk / "redirected").stat().st_size == 0
    assert names(small_disk) == ["old.npy", "redirected"]
    assert (small_disk / "old.npy").read_bytes() == b"old"


def test_closed_standard_output(source: Path, tmp_path: Path) -> None:
    for line in (
        "kact apply relu in.npy >&-",
        "kact chain softmax < in.npy >&-",
        "kact list >&-",
        "kact >&-",
        "kact --help >&-",
        "kact --version >&-",
        "kact explain relu in.npy >&-",
        "kact apply relu in.npy > /dev/full",
        "kact list > /dev/full",
        "kact --help > /dev/full",
    ):
        done = shell(line, tmp_path)
        assert done.returncode == 1, line
        assert done.stderr.count(b"\n") == 1, (line, done.stderr)
    assert shell("kact apply relu in.npy new.npy >&- 2>&- <&-", tmp_path).returncode == 0
    assert holds(tmp_path / "new.npy")
    assert shell("kact apply relu <&- > x", tmp_path).returncode == 1


@pytest.mark.parametrize("chain", ["relu", "softmax(axis=0)"])
def test_reader_that_goes_away(chain: str, big: Path, tmp_path: Path) -> None:
    for more in ("", "--jobs 2"):
        for from_ in ("big.npy -", "< <(cat big.npy 2>/dev/null)"):
            line = f"kact chain '{chain}' {more} {from_} | head -c 10 | wc -c"
            done = shell(f"{line}; echo ${{PIPESTATUS[0]}}", tmp_path)
            assert done.stdout.split() == [b"10", b"141"]
            assert done.stderr == b""
    assert shell("kact list | true; echo ${PIPESTATUS[0]}", tmp_path).stdout in (b"141\n", b"0\n")


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_lost_standard_error_fails_nothing(stderr: str, source: Path, tmp_path: Path) -> None:
    source.write_bytes(npy(X) + b"trailing")
    assert shell(f"kact apply relu in.npy a.npy --verbose {stderr}", tmp_path).returncode == 0
    assert holds(tmp_path / "a.npy")
    assert shell(f"kact apply relu none.npy b.npy {stderr}", tmp_path).returncode == 1
    assert shell(f"kact apply rely none.npy b.npy {stderr}", tmp_path).returncode == 2


def test_unlimited_descriptors_are_not_needed(kact: Kact, big: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    kact("chain", "softmax(axis=0)", big, out, prepare=limit(resource.RLIMIT_NOFILE, 24))
    assert out.stat().st_size == big.stat().st_size

"""What fails is named, whichever file it is, and leaves nothing: `tests.trust` tries every call."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kact_cli.errors import reason
from tests.tools.run import names, run_here
from tests.trust.inputs import files

SOURCES = ("c.npy", "f.npy", "s.npz", "m.safetensors", "t.csv", "t.csv.gz", "t.parquet")
READS, CLOSES = ("read", "readv", "pread", "preadv"), ("close",)
FAULT = OSError(errno.EIO, "Input/output error")


def fail(monkeypatch: pytest.MonkeyPatch, calls: tuple[str, ...], part: str) -> list[str]:
    """Have calls on descriptors of files whose paths hold `part` fail; returns what they meet."""
    met: list[str] = []

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(fd: int, *args: Any) -> Any:
            path = os.readlink(f"/proc/self/fd/{fd}")
            if part not in path:
                return real(fd, *args)
            met.append(path)
            if calls == CLOSES:
                real(fd)
            raise FAULT

        return call

    for name in calls:
        monkeypatch.setattr(os, name, failing(getattr(os, name)))
    return met


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / str(request.param)
    path.write_bytes(files(0)[path.name])
    return path


def run(source: Path, chain: str = "relu") -> tuple[int, str]:
    return run_here("chain", chain, source, source.with_name("out" + "".join(source.suffixes)))


def check_refused(ended: tuple[int, str], what: str, source: Path) -> None:
    """The fault is told of the file that met it, and nothing is left beside the input."""
    code, said = ended
    assert code == 1
    assert said.startswith(f"kact: error: {what}")
    assert said.lower().endswith("input/output error\n")
    assert names(source.parent) == [source.name]


@pytest.mark.parametrize("chain", ["relu", "relu,softmax(axis=0)"])
def test_an_input_that_cannot_be_read(
    source: Path, chain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = fail(monkeypatch, READS, source.name)
    check_refused(run(source, chain), f"{source}: ", source)
    assert met


def test_an_output_that_cannot_be_closed_is_told_and_not_there(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = fail(monkeypatch, CLOSES, ".kact-")
    check_refused(run(source), str(source.with_name("out")), source)
    assert met


def test_an_input_that_cannot_be_closed_has_been_read(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(source) == (0, "")
    target = source.with_name("out" + "".join(source.suffixes))
    expected = target.read_bytes()
    target.unlink()
    met = fail(monkeypatch, CLOSES, source.name)
    assert run(source) == (0, "")
    assert met
    assert target.read_bytes() == expected


def test_a_descriptor_has_no_directory() -> None:
    with pytest.raises(OSError, match="Bad file descriptor") as fault:
        os.stat(10**6)
    assert reason(fault.value) == "bad file descriptor"

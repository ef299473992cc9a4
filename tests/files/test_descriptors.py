"""What names a descriptor, and room that is reserved before it is needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kact_cli.errors import DataError
from kact_cli.files.descriptors import descriptor, reserve
from tests.tools.run import Kact, names
from tests.tools.tensors import X, npy

DESCRIPTORS = [
    ("-", 1),
    ("/dev/stdin", 0),
    ("/dev/fd/7", 7),
    ("/proc/self/fd/999999999", 999_999_999),
    ("/dev/fd/9999999999", None),
    ("/proc/self/fd/99999999999", None),
    ("/dev/fd/\N{ARABIC-INDIC DIGIT ONE}", None),
    ("/dev/fd/", None),
    ("./-", None),
]


@pytest.mark.parametrize(("path", "number"), DESCRIPTORS)
def test_descriptors_have_names(path: str, number: int | None) -> None:
    assert descriptor(path, standard=1) == number


@pytest.mark.parametrize("path", ["/dev/fd/99999999999", "/proc/self/fd/99999999999"])
def test_one_that_cannot_be_is_no_file(path: str, refused: Kact, tmp_path: Path) -> None:
    (tmp_path / "in.npy").write_bytes(npy(X))
    for args in ((path, tmp_path / "out.npy"), (tmp_path / "in.npy", path)):
        said = refused("apply", "relu", *args).stderr.decode()
        assert said == f"kact: error: {path}: no such file or directory\n"
    assert names(tmp_path) == ["in.npy"]


class Disk:
    """What a file system says of itself."""

    def __init__(self, blocks: int) -> None:
        self.f_blocks, self.f_bavail, self.f_frsize = blocks, 0, 4096


@pytest.mark.parametrize("blocks", [0, 100])
def test_only_a_file_system_that_tells_its_room_is_full(
    blocks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fstatvfs", lambda _: Disk(blocks))
    with (tmp_path / "out").open("wb") as file:
        if blocks:
            with pytest.raises(DataError, match="no space left"):
                reserve(file.fileno(), 1000)
        else:
            reserve(file.fileno(), 1000)
    assert (tmp_path / "out").stat().st_size == (0 if blocks else 1000)

"""Stores whose objects are seen while they are written: a temporary one is renamed at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow.fs import LocalFileSystem

from kact_cli.errors import DataError
from kact_cli.files import object_store as remote
from kact_cli.files.object_store import Uri

SERVERS = [Uri("hdfs", "host", "d/e"), Uri("abfs", "c@a.dfs.core.windows.net", "d/e")]


class Flat:
    """An Azure account without a hierarchical namespace, as Arrow gives it: a local file system."""

    def __init__(self) -> None:
        self._real = LocalFileSystem()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def move(self, *_: str) -> None:
        raise pa.ArrowNotImplementedError("FileSystem::Move() is not implemented for Azure")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a store holds, whatever its name is; Azure has every directory."""
    monkeypatch.setattr(remote, "_file_system", lambda *_: (LocalFileSystem(), str(tmp_path)))
    (tmp_path / "d/e").mkdir(parents=True)
    return tmp_path / "d/e"


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "a").write_bytes(b"x" * 10)
    return str(tmp_path / "a")


def content(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


def test_directories_are_made(place: Path, source: str) -> None:
    uri = Uri("hdfs", "host", "new/e")
    assert remote.put(source, uri / "b") == 10
    assert [found[:2] for found in remote.listing(Uri("hdfs", "host", "new"))] == [("e/b", 10)]


@pytest.mark.parametrize("uri", SERVERS, ids=lambda uri: uri.scheme)
def test_what_fails_leaves_all_as_it_was(
    uri: Uri, place: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remote.put(source, uri / "b") == 10

    def failing(_: Any, write: Any, **__: Any) -> None:
        write(b"y" * 5)
        raise OSError("the disk is broken")

    monkeypatch.setattr(remote, "copy", failing)
    for name in ("b", "c"):
        with pytest.raises(DataError, match=f"/d/e/{name}: the disk is broken$"):
            remote.put(source, uri / name)
    assert content(place) == {"b": b"x" * 10}


def test_an_account_that_cannot_rename_keeps_what_it_has(
    place: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "b").write_bytes(b"old")
    monkeypatch.setattr(remote, "_file_system", lambda *_: (Flat(), str(place.parent.parent)))
    for name in ("b", "c"):
        with pytest.raises(DataError, match=f"/d/e/{name}: .* write to a file, and upload that$"):
            remote.put(source, SERVERS[1] / name)
    assert content(place) == {"b": b"old"}

"""Broken and hostile .npz: one line each, and nothing written."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kact_cli.errors import KactError
from kact_cli.formats.npz import reader
from tests.tools.archives import npz, read_npz, safetensors
from tests.tools.tables import convert
from tests.tools.tensors import npy

X = np.linspace(-3, 3, 30, dtype="f4").reshape(5, 6)
TWO = npz({"a": X, "b": X})
ONE = npz({"a": X})
PACKED = npz({"a": X}, deflate=True)


def written(fill: Callable[[zipfile.ZipFile], None]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        fill(archive)
    return file.getvalue()


def twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("a.npy", npy(X))
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.npy", npy(X + 1))


def listed(data: bytes, number: int, at: int, value: bytes) -> bytes:
    """The archive with some bytes of an entry of its list replaced."""
    start = -1
    for _ in range(number + 1):
        start = data.index(b"PK\1\2", start + 1)
    return data[: start + at] + value + data[start + at + len(value) :]


def local(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def ended(data: bytes, at: int, value: bytes) -> bytes:
    """The archive with some bytes of the record at its end replaced."""
    return local(data, len(data) - 22 + at, value)


def size(count: int) -> bytes:
    return struct.pack("<L", count)


OBJECTS = npy(np.array([None, 1]))
NASTY: dict[str, tuple[bytes, str]] = {
    "two members of one name": (written(twice), "'a.npy' is there twice"),
    "a path that leads out": (npz({"../a": X}), "leads out of the archive"),
    "a path from the root": (npz({"/a": X}), "leads out of the archive"),
    "a name with .npy and without": (npz({"a": npy(X), "a.npy": npy(X)}), "or without .npy"),
    "a path of Windows that leads out": (npz({"..\\a": X}), "leads out of the archive"),
    "a name that is not UTF-8": (npz({"ü": X}).replace(b"\xc3\xbc", b"\xff\xfe"), "no sound"),
    "a patch": (listed(TWO, 0, 8, b"\x20\0"), "is a patch of another file"),
    "an encrypted member": (listed(TWO, 0, 8, b"\1\0"), "is encrypted"),
    "overlapping members": (listed(TWO, 1, 42, size(0)), "no sound zip archive"),
    "a member longer than the file": (listed(TWO, 1, 20, size(1 << 30)), "does not end before"),
    "a member that reaches into the next": (listed(TWO, 0, 20, size(400)), "overlaps the one"),
    "a place behind the end": (listed(TWO, 1, 42, size(1 << 30)), "no sound zip archive"),
    "a list beyond the end": (ended(ONE, 16, size(1 << 30)), "not where it should be"),
    "a list longer than the file": (ended(ONE, 12, size(1 << 30)), "no sound zip archive"),
    "an end of 64 bits that is not there": (
        ONE[:-22] + b"PK\6\7" + struct.pack("<LQL", 0, 1 << 50, 1) + ONE[-22:],
        "no sound zip archive",
    ),
    "a zip64 field that is not there": (listed(ONE, 0, 24, b"\xff" * 4), "two sizes"),
    "two sizes of a stored member": (listed(ONE, 0, 24, size(7)), "has two sizes"),
    "an unknown compression": (listed(ONE, 0, 10, b"\x63\0"), "compressed by method 99"),
    "a compression that few have": (
        written(lambda archive: archive.writestr("a.npy", npy(X), zipfile.ZIP_BZIP2)),
        "compressed by bzip2; stored and deflated are known",
    ),
    "a size that no header says": (
        listed(PACKED, 0, 24, size(1 << 30)),
        "has 1,073,741,824 bytes, and its .npy header says 248",
    ),
    "a size that cuts off the data": (listed(PACKED, 0, 24, size(130)), "is broken: Bad CRC-32"),
    "data moved by its local header": (local(TWO, 28, b"\1\0"), "overlaps the one before it"),
    "a local header of 64 KiB": (local(ONE, 28, b"\xff\xff"), "does not end before"),
    "an end behind the end": (TWO + b"PK\5\6", "no sound zip archive"),
    "no local header": (local(TWO, 0, b"PK\3\3"), "no sound zip archive"),
    "another name in the local header": (local(TWO, 30, b"c"), "no sound zip archive"),
    "cut off": (TWO[:-30], "no sound zip archive"),
    "cut off in the data": (TWO[:200], "no sound zip archive"),
    "bytes that do not inflate": (local(PACKED, 60, b"\xff" * 60), "is broken: Error -3"),
    "another checksum": (listed(PACKED, 0, 16, size(1)), "is broken: Bad CRC-32"),
    "a .npy with bytes behind it": (npz({"a.npy": npy(X) + b"!"}), "its .npy header says"),
    "a .npy cut off": (npz({"a.npy": npy(X)[:-1]}), "its .npy header says"),
    "a .npy without a header": (npz({"a.npy": b"no"}), "is not a .npy file"),
    "a .npy with a header of 1 GiB": (
        npz({"a.npy": b"\x93NUMPY\2\0" + size(1 << 30)}),
        "claims a .npy header of 1,073,741,824 bytes",
    ),
    "objects": (npz({"a.npy": OBJECTS}), "pickled Python objects"),
    "nothing": (npz({}), "no member left"),
    "text alone": (npz({"notes.txt": b"-1"}), "there are: notes.txt"),
}


def assert_refused(path: Path, words: str, **options: object) -> None:
    with pytest.raises(KactError) as refusal:
        convert("softmax", path, path.with_name("out.npz"), **options)
    said = str(refusal.value)
    assert words in said
    assert said.isprintable()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", NASTY)
def test_what_is_broken_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    data, words = NASTY[name]
    path = tmp_path / "in.npz"
    path.write_bytes(data)
    assert_refused(path, words)


class _Unseekable(io.BytesIO):
    """Where `zipfile` puts sizes and checksums after the data."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError


def described(method: int) -> bytes:
    file = _Unseekable()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name in ("a.npy", "b.npy"):
            archive.writestr(name, npy(X))
    return file.getvalue()


def renamed(archive: zipfile.ZipFile) -> None:
    """With a field that gives the member another name, in UTF-8, for who looks at it."""
    info, name = zipfile.ZipInfo("a.npy"), b"../../a.npy"
    info.extra = struct.pack("<2HBL", 0x7075, 5 + len(name), 1, zlib.crc32(b"a.npy")) + name
    archive.writestr(info, npy(X))


ODD: dict[str, tuple[bytes, list[str]]] = {
    "bytes in front": (b"#!/bin/sh\nexit\n" + TWO, ["a", "b"]),
    "bytes behind": (TWO + b"behind", ["a", "b"]),
    "sizes behind the data": (described(zipfile.ZIP_STORED), ["a", "b"]),
    "sizes behind deflated data": (described(zipfile.ZIP_DEFLATED), ["a", "b"]),
    "names that differ in case": (npz({"a": X, "A": X}), ["a", "A"]),
    "names with odd parts": (npz({"./a": X, "a//b": X, "c.npy": X}), ["./a", "a//b", "c.npy"]),
    "no name": (npz({".npy": npy(X)}), [""]),
    "control characters in names": (npz({"a\n\x1b": X}), ["a\n\x1b"]),
    "another name for who asks": (written(renamed), ["a"]),
    "a count of members that is wrong": (ended(ONE, 8, b"\xff\xfe" * 2), ["a"]),
    "several disks": (ended(ONE, 4, b"\1\0\1\0"), ["a"]),
    "another checksum in the local header": (local(ONE, 14, size(9)), ["a"]),
    "another size in the local header": (local(ONE, 18, size(9)), ["a"]),
    "no date": (local(listed(ONE, 0, 12, bytes(4)), 10, bytes(4)), ["a"]),
    "no such date": (listed(ONE, 0, 12, b"\xff" * 4), ["a"]),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_read_as_zipfile_reads_it(tmp_path: Path, name: str) -> None:
    data, names = ODD[name]
    path = tmp_path / "in.npz"
    path.write_bytes(data)
    target = convert("relu", path, tmp_path / "out.npz")
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
    found = read_npz(target)
    assert list(found) == names
    assert all(np.array_equal(x, np.maximum(X, 0)) for x in found.values())


UNUSABLE = {
    "objects": ({"a": np.array([None, 1]), "b": X}, "pickled Python objects"),
    "no array": ({"a": b"-1", "b": X}, "is no .npy"),
}


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "a\\..\\..\\b", "long" * 20_000])
def test_a_name_that_cannot_be_is_not_written(tmp_path: Path, name: str) -> None:
    source = tmp_path / "in.safetensors"
    source.write_bytes(safetensors({"x": X, name: X}))
    with pytest.raises(KactError, match=r"would lead out of|too long a name"):
        convert("relu", source, tmp_path / "out.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["in.safetensors"]


def test_zip64_fields_that_nothing_needs_are_read(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("a.npy", "b.npy"):
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(npy(X))
    (tmp_path / "in.npz").write_bytes(file.getvalue())
    found = read_npz(convert("relu", tmp_path / "in.npz", tmp_path / "o.npz", columns=("a",)))
    assert np.array_equal(found["a"], np.maximum(X, 0))
    assert np.array_equal(found["b"], X)


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_member_that_is_named_has_to_be_a_tensor(tmp_path: Path, name: str) -> None:
    members, words = UNUSABLE[name]
    path = tmp_path / "in.npz"
    path.write_bytes(npz(members))
    assert_refused(path, words, columns=("a",))
    convert("softmax", path, tmp_path / "out.npz")


def test_a_list_of_members_that_takes_too_much_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LIST_LIMIT", 1000)
    path = tmp_path / "in.npz"
    path.write_bytes(npz({f"a{i}": X for i in range(100)}))
    assert_refused(path, "1,000 bytes is the limit")


def test_what_grows_beyond_reason_is_not_inflated(tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    path.write_bytes(npz({"a": np.zeros(1 << 20, "f4")}, deflate=True))
    assert_refused(path, "takes 4 MiB in memory, more than 1 MiB; --max-unit", max_unit=1 << 20)
    convert("relu", path, tmp_path / "out.npz", max_unit=4 << 20 | 128)

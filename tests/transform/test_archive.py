"""Archives: each member as its own .npy would be, all else untouched, whatever the ends are."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli.errors import DataError, KactError, UsageError
from tests.tools.archives import npz, read_npz, read_safetensors, safetensors
from tests.tools.tables import convert
from tests.tools.tensors import npy

RANDOM = np.random.default_rng(16)
X = RANDOM.standard_normal((120, 50)).astype("f4")
WIDE = RANDOM.standard_normal((7, 11, 30))
WHOLE = np.arange(12, dtype="i8")
CHAINS = ["relu", "softmax", "softmax(axis=0),elu", "softmax(axis=0),softmax(axis=-1)"]
MAKERS = {
    "stored.npz": npz,
    "deflated.npz": lambda arrays: npz(arrays, deflate=True),
    "x.safetensors": safetensors,
}
SMALL: dict[str, Any] = {"chunk_bytes": 4096}
"""So that a reduction does not fit in a chunk."""


def alone(chain: str, x: np.ndarray, directory: Path, **options: Any) -> np.ndarray:
    """What the chain makes of a .npy of the array."""
    source, target = directory / "alone.npy", directory / "alone-out.npy"
    np.save(source, x)
    convert(chain, source, target, overwrite=True, **options)
    return np.load(target)


def tensors_of(path: Path) -> dict[str, bytes]:
    """The tensors of an archive of either format, as bytes."""
    if path.suffix == ".npz":
        return {name: array.tobytes() for name, array in read_npz(path).items()}
    return {name: data for name, (_, _, data) in read_safetensors(path)[0].items()}


def assert_computed(path: Path, chain: str, directory: Path, **options: Any) -> None:
    want = {"a": alone(chain, X, directory, **options), "n": WHOLE}
    want["w"] = alone(chain, WIDE, directory, **options)
    assert tensors_of(path) == {name: array.tobytes() for name, array in want.items()}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("name", MAKERS)
def test_a_member_is_what_its_own_npy_would_be(tmp_path: Path, name: str, chain: str) -> None:
    source = tmp_path / name
    source.write_bytes(MAKERS[name]({"a": X, "n": WHOLE, "w": WIDE}))
    once = convert(chain, source, tmp_path / f"1-{name}", **SMALL)
    assert_computed(once, chain, tmp_path, **SMALL)
    for jobs in (1, 2):
        again = convert(
            chain, source, tmp_path / f"again-{name}", overwrite=True, jobs=jobs, **SMALL
        )
        assert again.read_bytes() == once.read_bytes()


@pytest.mark.parametrize("name", MAKERS)
def test_pipes_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    import os

    source, pipe_in, pipe_out = tmp_path / name, tmp_path / "in", tmp_path / "out"
    source.write_bytes(MAKERS[name]({"a": X, "n": WHOLE, "w": WIDE}))
    want = convert("softmax(axis=0)", source, tmp_path / f"out-{name}").read_bytes()
    os.mkfifo(pipe_in)
    os.mkfifo(pipe_out)
    got: list[bytes] = []
    ends = [
        threading.Thread(target=lambda: pipe_in.write_bytes(source.read_bytes())),
        threading.Thread(target=lambda: got.append(pipe_out.read_bytes())),
    ]
    for end in ends:
        end.start()
    convert("softmax(axis=0)", pipe_in, pipe_out)
    for end in ends:
        end.join()
    assert got == [want]


def test_zip_members_that_are_not_selected_are_kept_as_they_are(tmp_path: Path) -> None:
    objects = np.array([None, {"a": 1}])
    source, out = tmp_path / "in.npz", tmp_path / "out.npz"
    with zipfile.ZipFile(source, "w") as archive:
        for i, (name, data) in enumerate(
            [("ü.txt", b"text"), ("o.npy", npy(objects)), ("x.npy", npy(X)), ("y.npy", npy(X))]
        ):
            info = zipfile.ZipInfo(name, (1999 + i, 2, 3, 4, 5, 6))
            info.compress_type = zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED
            info.comment, info.external_attr, info.create_system = b"said", 0o640 << 16, 3
            info.extra = b"\xca\xfe\4\0four"
            archive.writestr(info, data)
        archive.comment = b"of the whole"
    convert("relu", source, out, columns=("x",))
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(out) as after:
        assert after.testzip() is None
        assert after.comment == before.comment
        fields = ("filename", "date_time", "compress_type", "comment", "external_attr", "extra")
        kept = [[getattr(info, f) for f in fields] for info in before.infolist()]
        assert [[getattr(info, f) for f in fields] for info in after.infolist()] == kept
        for name in ("ü.txt", "o.npy", "y.npy"):
            assert after.read(name) == before.read(name)
            assert after.getinfo(name).compress_size == before.getinfo(name).compress_size
    assert np.array_equal(np.load(out)["x"], np.maximum(X, 0))


def test_metadata_of_safetensors_is_kept(tmp_path: Path) -> None:
    source, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    source.write_bytes(safetensors({"ä": X}, {"format": "pt", "é": "\n"}))
    convert("relu", source, out)
    assert read_safetensors(out) == (
        {"ä": ("F32", [120, 50], np.maximum(X, 0).tobytes())},
        {"format": "pt", "é": "\n"},
    )
    assert int.from_bytes(out.read_bytes()[:8], "little") % 8 == 0


CONVERSIONS = [
    ("in.npz", "out.safetensors"),
    ("in.safetensors", "out.npz"),
    ("deflated.npz", "out.safetensors"),
]


@pytest.mark.parametrize(("name", "other"), CONVERSIONS)
def test_one_archive_becomes_another(tmp_path: Path, name: str, other: str) -> None:
    source = tmp_path / name
    make = MAKERS.get(name, MAKERS["x.safetensors"] if "safe" in name else npz)
    source.write_bytes(make({"a": X, "n": WHOLE, "w": WIDE}))
    out = convert("softmax(axis=0)", source, tmp_path / other)
    assert_computed(out, "softmax(axis=0)", tmp_path)


@pytest.mark.parametrize("name", MAKERS)
def test_one_member_becomes_a_npy_and_a_npy_one_member(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    source.write_bytes(MAKERS[name]({"a": X, "n": WHOLE}))
    want = alone("softmax", X, tmp_path)
    assert np.array_equal(np.load(convert("softmax", source, tmp_path / "out.npy")), want)
    back = convert("relu", tmp_path / "out.npy", tmp_path / f"back-{name}")
    assert tensors_of(back) == {"arr_0": want.tobytes()}


SELECTIONS = {
    "l*": ["logits", "left"],
    "logits,left": ["logits", "left"],
    "right": ["right"],
    "n": ["n"],
}


@pytest.mark.parametrize("columns", SELECTIONS)
def test_members_are_chosen_by_name_and_glob(tmp_path: Path, columns: str) -> None:
    source, out = tmp_path / "in.npz", tmp_path / "out.npz"
    before = {"logits": X, "left": X, "right": X, "n": WHOLE}
    source.write_bytes(npz(before))
    convert("sigmoid", source, out, columns=(columns,))
    after = read_npz(out)
    assert list(after) == list(before)
    changed = [name for name in before if after[name].tobytes() != before[name].tobytes()]
    assert changed == SELECTIONS[columns]


REFUSED: dict[str, tuple[dict[str, Any], str, str, type[KactError], str]] = {
    "an unknown member": ({"a": X}, "out.npz", "b", UsageError, "no member 'b'"),
    "two for one .npy": ({"a": X, "b": X}, "out.npy", "", UsageError, "--columns chooses: a, b"),
    "an archive as a table": ({"a": X}, "out.csv", "", UsageError, "a table"),
    "Fortran order": ({"a": X.copy("F")}, "out.safetensors", "", DataError, "Fortran order"),
    "big-endian": ({"a": X.astype(">f4")}, "out.safetensors", "", DataError, ">f4"),
    "bytes": ({"a": X, "t": b"text"}, "out.safetensors", "", DataError, "'t' is no .npy"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    members, out, columns, error, words = REFUSED[name]
    source = tmp_path / "in.npz"
    source.write_bytes(npz(members))
    with pytest.raises(error, match=words):
        convert("softmax", source, tmp_path / out, columns=(columns,) if columns else ())
    assert [p.name for p in tmp_path.iterdir()] == ["in.npz"]


@pytest.mark.parametrize("deflate", [False, True])
def test_a_checksum_that_is_wrong_is_an_error_and_leaves_nothing(
    tmp_path: Path, deflate: bool
) -> None:
    source = tmp_path / "in.npz"
    data = bytearray(npz({"a": np.zeros((4, 100), "f4"), "b": X}, deflate=deflate))
    entry = data.index(b"PK\1\2")
    data[entry + 16] ^= 1
    source.write_bytes(data)
    with pytest.raises(DataError, match="member 'a'"):
        convert("softmax", source, tmp_path / "out.npz")
    convert("softmax", source, tmp_path / "b.npz", columns=("b",))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.npz", "in.npz"]

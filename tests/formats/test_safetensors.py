"""Broken and hostile safetensors files: one line each, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli.errors import KactError
from kact_cli.formats.archive import LIST_LIMIT
from tests.tools.archives import framed, read_safetensors, safetensors
from tests.tools.tables import convert

X = np.linspace(-3, 3, 6, dtype="f4").reshape(2, 3)
WHOLE = safetensors({"a": X})


def entry(offsets: Any = (0, 24), dtype: Any = "F32", shape: Any = (2, 3)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def one(*args: Any, data: bytes = X.tobytes(), **more: Any) -> bytes:
    return framed(json.dumps({"a": entry(*args, **more)}).encode(), data)


def two(first: Any, second: Any) -> bytes:
    """Two tensors of six values at these offsets, in 48 bytes of data."""
    header = {"a": entry(first), "b": entry(second)}
    return framed(json.dumps(header).encode(), bytes(48))


NASTY: dict[str, tuple[bytes, str]] = {
    "a length beyond the file": (framed(b"{}", length=1 << 20), "ends within its header"),
    "a header of 100 MB": (framed(b'{"', length=100_000_000), "16 MiB is the limit"),
    "a header that is no JSON": (framed(b'{"a":'), "broken safetensors header"),
    "a header nested deeply": (framed(b'{"a":' + b"[" * 100_000), "broken safetensors header"),
    "a header that is not UTF-8": (framed(b'{"\xff":1}'), "broken safetensors header"),
    "a header in UTF-16": (framed(json.dumps({"a": 1}).encode("utf-16")), "broken safetensors"),
    "a header after a BOM": (framed(b"\xef\xbb\xbf{}"), "broken safetensors header"),
    "bytes behind the header's end": (framed(b"{}\0\0"), "broken safetensors header"),
    "a header that is a list": (framed(b"[]"), "header that is no object"),
    "half a character in a name": (framed(b'{"\\ud800":1}'), "broken safetensors header"),
    "half a character in metadata": (
        framed(b'{"__metadata__":{"a":"\\ud800"}}'),
        "broken safetensors header",
    ),
    "metadata that are no texts": (framed(b'{"__metadata__":{"a":1}}'), "that are not texts"),
    "metadata twice": (framed(b'{"__metadata__":{},"__metadata__":{}}'), "is there twice"),
    "one name of metadata twice": (framed(b'{"__metadata__":{"a":"","a":""}}'), "is there twice"),
    "one field twice": (framed(b'{"a":{"dtype":"F32","dtype":"F32"}}'), "is there twice"),
    "one name twice": (framed(b'{"a":1,"a":2}'), "'a' is there twice"),
    "an entry that is no object": (framed(b'{"a":1}'), "'a' has a broken entry"),
    "an entry with one field more": (
        framed(json.dumps({"a": {**entry(), "x": 1}}).encode(), X.tobytes()),
        "'a' has a broken entry",
    ),
    "offsets that are no integers": (one((0.0, 24)), "'a' has a broken entry"),
    "offsets that are texts": (one(("0", "24")), "'a' has a broken entry"),
    "offsets that are truth values": (one((False, 24)), "'a' has a broken entry"),
    "offsets beyond 64 bits": (one((0, 10**30)), "'a' has a broken entry"),
    "offsets of 5000 digits": (
        framed(b'{"a":{"data_offsets":[0,%b]}}' % (b"9" * 5000)),
        "broken safetensors header",
    ),
    "a shape of NaN": (one(shape=(float("nan"), 6)), "'a' has a broken entry"),
    "65 axes": (one((0, 4), shape=(1,) * 65, data=bytes(4)), "'a' has 65 axes; 64 is the limit"),
    "negative offsets": (one((-24, 0)), "'a' has a broken entry"),
    "offsets that go back": (one((24, 0)), "'a' has a broken entry"),
    "one offset": (one((24,)), "'a' has a broken entry"),
    "a shape that is no list": (one(shape=6), "'a' has a broken entry"),
    "a negative shape": (one(shape=(-2, -3)), "'a' has a broken entry"),
    "a dtype that is no text": (one(dtype=4), "'a' has a broken entry"),
    "another size": (one(shape=(2, 4)), "'a' has 24 bytes, and its dtype and shape say 32"),
    "a shape that overflows": (one(shape=(1 << 62, 4)), "its dtype and shape say"),
    "a hole": (two((0, 24), (25, 49)), "'b' has a hole before it"),
    "a hole at the start": (one((8, 32), data=bytes(32)), "'a' has a hole before it"),
    "overlapping tensors": (two((0, 24), (0, 24)), "'b' overlaps the one before it"),
    "a tensor beyond the end": (two((24, 48), (0, 24))[:-1], "is truncated"),
    "bytes behind the last": (WHOLE + b"!", "has bytes after its last tensor"),
    "nothing but a dtype that kact does not compute": (
        safetensors({"a": ("F8_E4M3", (2,), b"ab")}),
        "F8_E4M3, which kact does not compute",
    ),
    "nothing": (safetensors({}), "no member left"),
}


def assert_refused(path: Path, words: str, **options: object) -> None:
    before = sorted(path.parent.iterdir())
    with pytest.raises(KactError) as refusal:
        convert("softmax", path, path.with_name("new.safetensors"), **options)
    said = str(refusal.value)
    assert words in said
    assert said.isprintable()
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize("name", NASTY)
def test_what_is_broken_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    data, words = NASTY[name]
    path = tmp_path / "in.safetensors"
    path.write_bytes(data)
    assert_refused(path, words)


def test_the_limit_of_a_header_is_what_a_file_can_have() -> None:
    assert LIST_LIMIT == 16 << 20


# Bytes and scalars beside: what they are stays, wherever it lies
SMALL = {"u": ("U8", (1,), b"x"), "s": ("F32", (), X[1, 2:].tobytes())}
ODD: dict[str, tuple[bytes, list[str]]] = {
    "spaces around the header": (
        framed(b"  %b   " % json.dumps({"a": entry()}).encode(), X.tobytes()),
        ["a"],
    ),
    "no metadata": (
        framed(json.dumps({"__metadata__": None, "a": entry()}).encode(), X.tobytes()),
        ["a"],
    ),
    "data at an odd place": (safetensors({**SMALL, "a": X}), ["u", "s", "a"]),
    "nothing between": (safetensors({"a": X, "z": ("F32", (3, 0), b""), "b": X}), ["a", "z", "b"]),
    "dtypes of the future": (
        safetensors(
            {"q": ("F4", (6,), b"abc"), "a": X, "c": ("C64", (0,), b""), "t": ("T", (), b"")}
        ),
        ["q", "a", "c", "t"],
    ),
    "integers of 65 axes": (safetensors({"i": ("I8", (1,) * 65, b"i"), "a": X}), ["i", "a"]),
    "truths that are 2": (safetensors({"t": ("BOOL", (2,), b"\2\3"), "a": X}), ["t", "a"]),
    "names of any kind": (safetensors({"": X, "a\n\x1b": X, "../a": X}), ["", "a\n\x1b", "../a"]),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_right(tmp_path: Path, name: str) -> None:
    data, names = ODD[name]
    path, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    path.write_bytes(data)
    before, _ = read_safetensors(path)
    found, _ = read_safetensors(convert("relu", path, out))
    assert list(found) == names
    for key, (dtype, shape, values) in before.items():
        if dtype == "F32":
            values = np.maximum(np.frombuffer(values, "f4"), 0).tobytes()
        assert found[key] == (dtype, shape, values)


def test_a_dtype_that_kact_does_not_compute_is_copied(tmp_path: Path) -> None:
    path, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    path.write_bytes(safetensors({"q": ("F8_E5M2", (3,), b"abc"), "a": X, "z": ("?", (), b"")}))
    assert_refused(path, "member 'q' has dtype F8_E5M2", columns=("a,q",))
    convert("relu", path, out)
    found, _ = read_safetensors(out)
    assert list(found) == ["q", "a", "z"]
    assert found["q"] == ("F8_E5M2", [3], b"abc")
    assert found["a"] == ("F32", [2, 3], np.maximum(X, 0).tobytes())


def test_data_keeps_its_order_where_it_is_not_that_of_the_header(tmp_path: Path) -> None:
    path, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    path.write_bytes(two((24, 48), (0, 24)))
    convert("sigmoid", path, out, dtype=np.dtype("f8"), columns=("a",))
    header = json.loads(out.read_bytes()[8:].partition(b"}}")[0] + b"}}")
    assert list(header) == ["a", "b"]
    assert header["a"]["data_offsets"] == [24, 72]
    assert header["b"]["data_offsets"] == [0, 24]

"""The checksums of an .npz's members, whichever way a member is read and written."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli.engine import plan
from kact_cli.errors import DataError
from tests.tools.archives import npz, read_npz
from tests.tools.run import Kact
from tests.tools.tables import convert
from tests.tools.tensors import normal, npy

# Shapes and chains whose chunks are in order, in strips, read twice, or handed on by a stage
WAYS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "in order": (normal(700, 1000), "relu", {}),
    "small": (normal(3, 4), "softmax", {}),
    "nothing": (np.zeros((0, 5), "f4"), "tanh", {}),
    "other dtype": (normal(700, 1000), "tanh", {"dtype": np.dtype("f8")}),
    "down": (normal(70_000, 10), "softmax(axis=0)", {"chunk_bytes": 1 << 16}),
    "strips": (normal(3, 700, 300), "softmax(axis=1)", {"chunk_bytes": 1 << 14}),
    "everywhere": (normal(700, 1000), "softmax(axis=none)", {"chunk_bytes": 1 << 16}),
    "two stages": (normal(300, 2000), "softmax(axis=0),softmax", {"chunk_bytes": 1 << 14}),
    "Fortran order": (np.asfortranarray(normal(900, 800)), "softmax", {"chunk_bytes": 1 << 16}),
    "processes": (normal(700, 1000), "softmax,relu", {"jobs": 2}),
}


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a member is several units of work."""
    monkeypatch.setattr(plan, "UNIT_BYTES", 1 << 18)


@pytest.mark.parametrize("way", WAYS)
def test_sums_are_right_and_wrong_ones_found(way: str, tmp_path: Path) -> None:
    array, chain, options = WAYS[way]
    data = npz({"a": array, "b": array[:1]})
    (tmp_path / "in.npz").write_bytes(data)
    (tmp_path / "in.npy").write_bytes(npy(array))
    target = convert(chain, tmp_path / "in.npz", tmp_path / "o.npz", **options)
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
    alone = np.load(convert(chain, tmp_path / "in.npy", tmp_path / "o.npy", **options))
    assert read_npz(target)["a"].tobytes() == alone.tobytes()
    name = re.escape(f"{tmp_path}/broken.npz, member 'a' is broken: Bad CRC-32")
    header = data.index(b"NUMPY") + 110  # among the spaces that fill it up
    for at, value in ((header, b"\t"), (len(data) // 3, b"!")) if array.size else ():
        assert data[at : at + 1] != value
        (tmp_path / "broken.npz").write_bytes(data[:at] + value + data[at + 1 :])
        with pytest.raises(DataError, match=f"^{name}$"):
            convert(chain, tmp_path / "broken.npz", tmp_path / "x.npz", **options)
        assert not (tmp_path / "x.npz").exists()


def test_a_pipe_gets_nothing_of_a_broken_member(kact: Kact, tmp_path: Path) -> None:
    data = bytearray(npz({"a": normal(700, 1000)}))
    data[-2000] ^= 1
    (tmp_path / "in.npz").write_bytes(data)
    done = kact("apply", "relu", tmp_path / "in.npz", "-", "--to", "npy", code=1)
    assert done.stdout == b""
    assert b"Bad CRC-32" in done.stderr

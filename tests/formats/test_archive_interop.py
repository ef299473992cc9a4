"""Archives and bfloat16 as their reference readers have them: safetensors, ml_dtypes, numpy.load.

Run in an environment with kact-cli[interop]: pytest -m interop
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli import apply
from tests.tools.tables import convert

ml_dtypes = pytest.importorskip("ml_dtypes", reason="needs kact-cli[interop]")
reference = pytest.importorskip("safetensors.numpy", reason="needs kact-cli[interop]")
opened = pytest.importorskip("safetensors", reason="needs kact-cli[interop]").safe_open

pytestmark = pytest.mark.interop

BF16 = np.dtype(ml_dtypes.bfloat16)
RNG = np.random.default_rng(0)
X = RNG.normal(0, 3, (40, 50))
TENSORS: dict[str, Any] = {
    "layer.weight": X.astype("f4"),
    "double": X.astype("f8"),
    "half": X.astype("f2"),
    "brain": X.astype(BF16),
    "empty": np.zeros((0, 3), "f4"),
    "scalar": np.array(-1.5, "f4"),
    "ids": np.arange(6, dtype="i8"),
    "flags": np.array([True, False]),
}
FLOATS = ("layer.weight", "double", "half", "brain", "empty", "scalar")


def expected(chain: str, x: Any) -> Any:
    """bfloat16 is computed in float32 and rounded once, to the nearest even."""
    if x.dtype == BF16:
        return np.asarray(apply(chain, x.astype("f4"))).astype(BF16)
    return np.asarray(apply(chain, x))


def same(got: Any, wanted: Any) -> bool:
    return (got.dtype, got.shape) == (wanted.dtype, wanted.shape) and (
        got.tobytes() == wanted.tobytes()
    )


@pytest.mark.parametrize("chain", ["relu", "tanh", "sigmoid,elu"])
def test_safetensors(chain: str, tmp_path: Path) -> None:
    source = tmp_path / "in.safetensors"
    reference.save_file(TENSORS, source, metadata={"format": "np", "of": "a test"})
    target = convert(chain, source, tmp_path / "out.safetensors")
    found = reference.load_file(target)
    assert found.keys() == TENSORS.keys()
    for name, x in TENSORS.items():
        assert same(found[name], expected(chain, x) if name in FLOATS else x), name
    with opened(target, "np") as file:
        assert file.metadata() == {"format": "np", "of": "a test"}
        assert same(file.get_slice("layer.weight")[3:7, 1:], found["layer.weight"][3:7, 1:])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=lambda f: f.__name__)
def test_npz(save: Any, tmp_path: Path) -> None:
    plain = {name: x for name, x in TENSORS.items() if x.dtype != BF16}
    save(tmp_path / "in.npz", **plain)
    with np.load(convert("tanh", tmp_path / "in.npz", tmp_path / "out.npz")) as found:
        assert found.files == list(plain)
        for name, x in plain.items():
            assert same(found[name], apply("tanh", x) if name in FLOATS else x), name


def test_every_bfloat16_of_a_npy(tmp_path: Path) -> None:
    every = np.arange(1 << 16, dtype="u2").view(BF16)
    np.save(tmp_path / "in.npy", every)
    np.save(tmp_path / "bits.npy", every.view("u2"))
    with np.errstate(all="ignore"):
        wanted = expected("sigmoid", every)
    wide = {"source_dtype": np.dtype("V2")}
    for name, options in (("in.npy", {}), ("bits.npy", wide)):
        found = np.load(convert("sigmoid", tmp_path / name, tmp_path / f"o{name}", **options))
        got = found.view(BF16)
        nan = np.isnan(wanted.astype("f4"))
        assert np.array_equal(np.isnan(got.astype("f4")), nan)
        assert np.array_equal(got.view("u2")[~nan], wanted.view("u2")[~nan])


@pytest.mark.parametrize("to", ["npy", "safetensors"])
def test_bfloat16_as_output(to: str, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", X.astype("f4"))
    made = convert("tanh", tmp_path / "in.npy", tmp_path / f"o.{to}", dtype=np.dtype("V2"))
    (found,) = [np.load(made).view(BF16)] if to == "npy" else reference.load_file(made).values()
    assert same(found, apply("tanh", X.astype("f4")).astype(BF16))


def test_from_one_archive_to_the_other(tmp_path: Path) -> None:
    plain = {name: x for name, x in TENSORS.items() if x.dtype != BF16}
    reference.save_file(plain, tmp_path / "in.safetensors")
    packed = convert("relu", tmp_path / "in.safetensors", tmp_path / "o.npz")
    back = reference.load_file(convert("relu", packed, tmp_path / "o.safetensors"))
    with np.load(packed) as found:
        assert set(found.files) == back.keys() == plain.keys()
        for name, x in plain.items():
            assert same(found[name], np.maximum(x, 0) if name in FLOATS else x)
            assert same(back[name], found[name])

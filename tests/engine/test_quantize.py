"""Quantised tensors: dequantise, compute exactly, round, saturate, whatever way it is done."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli import apply
from kact_cli.engine.quantize import Affine, dequantized, quantize
from kact_cli.errors import DataError
from kact_cli.formats.quantization import parse_quantization
from kact_cli.types import Array, Quantization
from tests.tools.run import Kact

CHAINS = ["sigmoid", "tanh", "relu(alpha=0.1,max_value=6)", "elu,softplus", "selu", "softmax"]
DTYPES = ["int8", "uint8", "int16", "uint16"]


def given(text: str) -> Quantization:
    return parse_quantization(text, "--quantize-in")


def every(dtype: str) -> Array:
    info = np.iinfo(dtype)
    return np.arange(info.min, info.max + 1).astype(dtype)


def half_even(x: float) -> int:
    return round(Fraction(x))


def half_away(x: float) -> int:
    whole = int(abs(Fraction(x)) + Fraction(1, 2))
    return whole if x >= 0 else -whole


def by_hand(chain: str, q: Array, i: Quantization, o: Quantization, rounding: Any) -> Array:
    """The rule, value by value: float32 between the operators, integers in the end."""
    x = np.array([np.float32(int(v) - i.zero_point[0]) * np.float32(i.scale[0]) for v in q])
    y = apply(chain, x, exact=True) / np.float32(o.scale[0])
    limits = np.iinfo(o.dtype or q.dtype)
    rounded = [rounding(v) + o.zero_point[0] for v in y.tolist()]
    return np.clip(rounded, limits.min, limits.max).astype(o.dtype or q.dtype)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("away", [False, True])
def test_the_rule(chain: str, dtype: str, away: bool) -> None:
    rng = np.random.default_rng(0)
    q = every(dtype)
    q = q if q.itemsize == 1 else rng.choice(q, 300)
    middle = int(np.iinfo(dtype).max) // 3
    i, o = (
        given(f"{12 / 2 ** (8 * q.itemsize)},{middle}"),
        given(f"{(0.05 if chain == 'softmax' else 2.2) / 256},7,uint8"),
    )
    o = replace(o, half_away=away)
    got = apply(chain, q, quantize_in=i, quantize_out=o)
    assert got.dtype == np.uint8
    expected = by_hand(chain, q, i, o, half_away if away else half_even)
    assert np.array_equal(got, expected)
    assert len(np.unique(got)) > 20


TIES = [(-2.5, -2, -3), (-1.5, -2, -2), (-0.5, 0, -1), (0.5, 0, 1), (1.5, 2, 2), (2.5, 2, 3)]
TIES += [(0.49999997, 0, 0), (-0.49999997, 0, 0), (8388609.0, 127, 127), (np.inf, 127, 127)]


def test_what_is_half_way_and_what_is_too_large() -> None:
    x = np.array([t[0] for t in TIES], "f4")
    out = np.empty(len(x), np.int8)
    one = Affine(np.ones(1, "f4"), np.zeros(1, "f4"))
    for column, away in ((1, False), (2, True)):
        quantize(x.copy(), one, out, half_away=away)
        assert out.tolist() == [t[column] for t in TIES]
    with pytest.raises(DataError, match="NaN"):
        quantize(np.array([1, np.nan], "f4"), one, np.empty(2, np.int8), half_away=False)


@pytest.mark.parametrize("dtype", ["|i1", "<i2", ">i2", ">u2"])
@pytest.mark.parametrize("chain", ["sigmoid", "tanh,relu"])
def test_a_table_gives_what_the_arithmetic_gives(chain: str, dtype: str) -> None:
    q = np.random.default_rng(1).permutation(every(np.dtype(dtype).name)).astype(dtype)
    i, o = given("0.001,5"), given("0.004,1,int8")
    whole = apply(chain, np.tile(q, 3), quantize_in=i, quantize_out=o)
    parts = [apply(chain, q[a : a + 64], quantize_in=i, quantize_out=o) for a in (0, 64, 128)]
    assert np.array_equal(whole[:192], np.concatenate(parts))
    floats = apply(chain, q, quantize_in=i)
    assert np.array_equal(floats, apply(chain, dequantized(q, i), exact=True))
    assert floats.dtype == np.dtype("f4").newbyteorder(q.dtype.byteorder)


# What LiteRT 2.3 computes, by its own kernels and by its reference: the results' digests. Its rule
# fixes the result's scale and zero point.
LITERT_OUT = {"sigmoid": "0.00390625,-128", "tanh": "0.0078125,0", "softmax": "0.00390625,-128"}
LITERT = [
    ("sigmoid", "0.0235,-128", "11477433afd48c24"),
    ("sigmoid", "0.047,3", "b5890b8b8967572b"),
    ("sigmoid", "0.1,40", "12e74ee6830dd889"),
    ("tanh", "0.0235,-128", "6817662e411bd51c"),
    ("tanh", "0.047,3", "5c43061e773289ea"),
    ("tanh", "0.1,40", "7a712682b1fbcde9"),
    ("softmax", "0.0235,-128", "416dee72fca604a2"),
    ("softmax", "0.047,3", "a96701278a960767"),
    ("softmax", "0.1,40", "014c061dce334011"),
]


@pytest.mark.parametrize(("chain", "text", "digest"), LITERT)
def test_tflite(chain: str, text: str, digest: str) -> None:
    x = every("int8").reshape(8, 32)
    if chain == "softmax":
        x = (np.arange(128 * 32) * 37 % 256 - 128).astype("i1").reshape(128, 32)
    out = replace(given(LITERT_OUT[chain]), half_away=True)
    got = apply(chain, x, quantize_in=given(text), quantize_out=out)
    assert hashlib.sha256(got.tobytes()).hexdigest()[:16] == digest


SHAPES = [((6, 5), 0), ((6, 5), -1), ((3, 4, 5), 1), ((3, 4, 5), -1), ((2, 3, 4, 5), 1), ((7,), 0)]


@pytest.mark.parametrize("chain", ["tanh", "softmax", "softmax(axis=0)", "elu,softmax(axis=none)"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
@pytest.mark.parametrize("order", "CF")
def test_a_scale_for_each_index(
    kact: Kact, tmp_path: Path, chain: str, shape: tuple[int, ...], axis: int, order: str
) -> None:
    rng = np.random.default_rng(2)
    q = np.asarray(rng.integers(-128, 128, shape, np.int8), order=order)
    count = shape[axis]
    scales, zeros = rng.uniform(0.01, 0.1, count).astype("f4"), rng.integers(-9, 9, count)
    along = [-1 if d == axis % len(shape) else 1 for d in range(len(shape))]
    wide = (q - zeros.reshape(along)).astype("f4") * scales.reshape(along)
    y = apply(chain, wide, exact=True) / scales.reshape(along)
    expected = np.clip(np.rint(y) + zeros.reshape(along), -128, 127)
    for name, array in (("q", q), ("s", scales), ("z", zeros)):
        np.save(tmp_path / f"{name}.npy", array)
    one = f"{tmp_path}/s.npy,{tmp_path}/z.npy,axis={axis}"
    args = ("chain", chain, "--quantize-in", one, "--quantize-out", one, "-q")
    kact(*args, "--chunk-size", 7, tmp_path / "q.npy", tmp_path / "out.npy")
    got = np.load(tmp_path / "out.npy")
    assert got.dtype == np.int8
    assert np.array_equal(got, expected)
    assert got.flags.f_contiguous == q.flags.f_contiguous
    if order == "C" and len(shape) == 3:
        piped = kact(*args, stdin=(tmp_path / "q.npy").read_bytes()).stdout
        assert piped == (tmp_path / "out.npy").read_bytes()


def test_a_softmax_larger_than_a_chunk(kact: Kact, tmp_path: Path) -> None:
    q = np.random.default_rng(3).integers(-128, 128, (3, 50_000), np.int8)
    np.save(tmp_path / "q.npy", q)
    one = ("--quantize-in", "0.1,4", "--quantize-out", "0.0000001,-128")
    for name, more in (("a", ("--chunk-size", "4KiB")), ("b", ("-j", "2")), ("c", ())):
        kact("apply", "softmax", *one, *more, tmp_path / "q.npy", tmp_path / f"{name}.npy")
    a, b, c = ((tmp_path / f"{name}.npy").read_bytes() for name in "abc")
    assert a == b == c
    y = apply("softmax", (q - np.float32(4)) * np.float32(0.1), exact=True) / np.float32(1e-7)
    expected = np.clip(np.rint(y) - 128, -128, 127)
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected)


def test_archives_batches_and_previews(kact: Kact, tmp_path: Path) -> None:
    q = every("int8").reshape(16, 16)
    np.savez(tmp_path / "q.npz", a=q, b=q.T.copy())
    one = ("--quantize-in", "0.05,3", "--quantize-out", "0.004,-128")
    expected = apply("sigmoid", q, quantize_in=given("0.05,3"), quantize_out=given("0.004,-128"))
    kact("apply", "sigmoid", *one, "-q", tmp_path / "q.npz", tmp_path / "out.npz")
    found = np.load(tmp_path / "out.npz")
    assert np.array_equal(found["a"], expected)
    assert np.array_equal(found["b"], expected.T)
    np.save(tmp_path / "q.npy", q)
    kact("batch", "sigmoid", *one, tmp_path / "q.npy", "-o", tmp_path / "many")
    assert np.array_equal(np.load(tmp_path / "many" / "q.npy"), expected)
    shown = kact("apply", "sigmoid", *one, "--preview", "result", tmp_path / "q.npy").stdout
    assert b"int8, shape (16, 16)" in shown
    said = kact("explain", "sigmoid", *one, tmp_path / "q.npy").stdout.decode()
    assert re.search("dequantised from +int8, scale 0.05, zero point 3\n", said)
    assert re.search("quantised to +int8, scale 0.004, zero point -128\n", said)


WRONG = [
    (("--quantize-in", "0.1,3,uint8"), "q.npy: holds int8, and --quantize-in says uint8"),
    (("--quantize-in", "0.1,300"), "q.npy: --quantize-in: zero point 300 is no int8"),
    (("--quantize-out", "0.1,3"), "holds int8, and --quantize-out is for floats"),
    (("--quantize-in", "0.1,3", "--rounding", "half-away"), "--rounding is for --quantize-out"),
    (("--quantize-in", "0.1,3", "--compute-dtype", "float32"), "q.npy: --quantize-in computes in"),
    (("--quantize-in", "0.1,3", "--quantize-out", "1,2", "--dtype", "float16"), "which says it"),
    (("--quantize-in", "s.npy,3"), "q.npy: has the shape (4,), and --quantize-in 3 scales"),
    (("--quantize-in", "s.npy,3,axis=2"), "3 scales for axis 2"),
    (("--quantize-in", "none.npy,3"), "none.npy: no such file"),
    (("--quantize-in", "q2.npy,3"), "a vector of numbers is needed"),
]


@pytest.mark.parametrize(("args", "words"), WRONG, ids=lambda x: " ".join(x))
def test_what_is_refused(refused: Kact, tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    np.save(tmp_path / "q.npy", np.zeros(4, np.int8))
    np.save(tmp_path / "q2.npy", np.ones((2, 2)))
    np.save(tmp_path / "s.npy", np.ones(3))
    code = 1 if "none.npy" in args[1] else 2
    done = refused("apply", "tanh", *args, "q.npy", "out.npy", cwd=tmp_path, code=code)
    assert words in done.stderr.decode()


def test_floats_and_tables_are_told_apart(refused: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(4, "f4"))
    said = refused("apply", "tanh", "--quantize-in", "1,0", tmp_path / "x.npy", code=2).stderr
    assert b"holds float32, and --quantize-in is for int8" in said
    said = refused("apply", "tanh", "--quantize-out", "1,0", tmp_path / "x.npy", code=2).stderr
    assert b"needs a dtype in --quantize-out" in said
    (tmp_path / "t.csv").write_text("a\n1.5\n")
    args = ("apply", "tanh", "--quantize-out", "1,0,int8")
    said = refused(*args, tmp_path / "t.csv", code=2).stderr
    assert b"no effect from csv" in said
    said = refused(*args, tmp_path / "x.npy", tmp_path / "x.csv", code=2).stderr
    assert b"csv holds a table" in said

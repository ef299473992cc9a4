"""`kact values`: nothing is left out, nothing comes twice, and the same command gives the same."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli import apply
from kact_cli.chain import Chain
from kact_cli.errors import UsageError
from kact_cli.formats.npy import NpyTensor
from kact_cli.golden.edges import thresholds, ties
from kact_cli.golden.every import patterns
from kact_cli.golden.floats import Numbering
from kact_cli.golden.sample import stratified
from kact_cli.golden.vectors import Vectors, write
from kact_cli.options import Options
from kact_cli.reports.numbers import OpenArchive, open_numbers
from kact_cli.types import BFLOAT16, Array, dtype_named
from tests.tools.run import Kact

SMALL = ["float16", "bfloat16", "int8", "uint8", "int16", "uint16"]


def made(tmp_path: Path, dtype: str, suffix: str = "npy", **more: Any) -> Array:
    """The values that are written, read back."""
    path = str(tmp_path / f"made.{suffix}")
    write(Vectors(dtype_named(dtype), **more), path, Options(overwrite=True))
    with open_numbers(path) as numbers:
        tensor = numbers.only(Options()) if isinstance(numbers, OpenArchive) else numbers
        assert isinstance(tensor, NpyTensor)
        return tensor.read(0, tensor.header.size)


def numbers(x: Array) -> Array:
    return Numbering(x.dtype).numbers(x)


@pytest.mark.parametrize("dtype", SMALL)
def test_every_finite_value_once_and_rising(tmp_path: Path, dtype: str) -> None:
    x = made(tmp_path, dtype)
    wide = Numbering(x.dtype).wide(x)
    assert np.isfinite(wide).all()
    assert (np.diff(wide) >= 0).all()
    assert (np.diff(numbers(x)) == 1).all()
    bits = np.arange(1 << (8 * x.itemsize)).astype(f"u{x.itemsize}").view(x.dtype)
    every = Numbering(x.dtype).wide(bits)
    assert len(x) == np.isfinite(every).sum()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_specials_come_first(tmp_path: Path, dtype: str) -> None:
    n = Numbering(dtype_named(dtype))
    x = n.wide(made(tmp_path, dtype, specials=True))
    assert np.isnan(x[0])
    assert x[1:5].tolist() == [np.inf, -np.inf, 0, 0]
    assert np.signbit(x[3:5]).tolist() == [False, True]
    smallest, normal = n.wide(n.values(np.array([1, 1 << n.mantissa])))
    assert x[5:7].tolist() == [smallest, -smallest]
    subnormal = np.abs(x[5:]) < normal
    if n.bits == 16:
        first = 2 * ((1 << n.mantissa) - 1)
        assert subnormal[:first].all()
        assert not subnormal[first:].any()
    assert len(np.unique(x.view(np.int64))) == len(x)


@pytest.mark.parametrize("dtype", SMALL)
def test_all_is_the_bits_in_order(tmp_path: Path, dtype: str) -> None:
    x = made(tmp_path, dtype, every=True)
    assert np.array_equal(x.view(f"u{x.itemsize}"), np.arange(1 << (8 * x.itemsize)))


def test_all_of_float32_comes_in_blocks_that_follow_one_another() -> None:
    start = 0
    for number, block in enumerate(patterns(Numbering(np.dtype("f4")))):
        bits = block.view(np.uint32)
        assert (int(bits[0]), int(bits[-1])) == (start, start + len(bits) - 1)
        start += len(bits)
        if number == 40:
            break


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sample_has_every_exponent_and_sign(tmp_path: Path, dtype: str) -> None:
    x = made(tmp_path, dtype, count=20_000)
    n = Numbering(x.dtype)
    assert len(np.unique(numbers(x))) == len(x) == 20_000
    sets = numbers(np.abs(x)) >> n.mantissa, np.signbit(x)
    found = np.unique(np.stack([sets[0], sets[1]]), axis=1)
    assert found.shape[1] == 2 * (n.infinity >> n.mantissa)
    largest = n.values(np.array([n.most, n.least]))
    assert np.isin(largest, x).all()
    with pytest.raises(UsageError, match="too few"):
        stratified(n, 100, 0)


RANGES = [
    ("float16", 1, 2, None, 1025),
    ("float16", 0, 0, None, 2),  # of both signs
    ("bfloat16", -1, 1, None, 2 * (127 << 7) + 2),
    ("int8", -3.5, 3, None, 7),
    ("float32", -4, 4, 9, 9),
    ("float64", 0, 1, 101, 101),
    ("uint8", 0, 255, 18, 18),
]


@pytest.mark.parametrize(("dtype", "first", "last", "count", "values"), RANGES)
def test_ranges(
    tmp_path: Path, dtype: str, first: float, last: float, count: int | None, values: int
) -> None:
    x = made(tmp_path, dtype, first=first, last=last, count=count)
    wide = Numbering(x.dtype).wide(x)
    assert len(x) == values
    assert first <= wide.min()
    assert wide.max() <= last
    if count:
        assert np.array_equal(wide, np.linspace(first, last, count).astype(x.dtype))


def test_every_float32_of_a_range(tmp_path: Path) -> None:
    x = made(tmp_path, "float32", every=True, first=1, last=1.0625)
    assert np.array_equal(x.view(np.int32), np.arange(0x3F800000, 0x3F880001))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("chain", "bends"),
    [
        ("relu(max_value=6,threshold=0.3)", [0.3, 6]),
        ("tanh,relu(threshold=0.5)", [np.arctanh(0.5)]),
        ("softplus,relu(max_value=2)", [np.log(np.expm1(2))]),
        ("relu6", [6]),
        ("hard_sigmoid", [-2.5, 2.5]),
    ],
)
def test_thresholds_are_found_through_the_steps_before(
    dtype: str, chain: str, bends: list[float]
) -> None:
    n = Numbering(np.dtype(dtype))
    sample = np.unique(stratified(n, 5000, 0))
    found = n.values(thresholds(Chain.parse(chain), n, sample))
    for bend in bends:
        near = np.sort(np.abs(numbers(found) - numbers(np.array([bend], dtype))))
        assert near[0] <= 2
        assert near[2] <= 4
    overflow = n.values(thresholds(Chain.parse("exponential"), n, sample))
    y = apply("exponential", overflow, exact=True)
    last = overflow[np.isfinite(y)].max()
    assert np.isinf(apply("exponential", np.nextafter(last, n.dtype.type(np.inf)), exact=True))


def test_ties_are_the_hardest_of_the_candidates() -> None:
    n, chain = Numbering(np.dtype("f4")), Chain.parse("sigmoid")
    candidates = numbers(np.linspace(-8, 8, 50_001).astype("f4"))
    x = n.values(ties(chain, n, candidates))

    def off(values: Array) -> Array:
        exact = apply(chain, values, dtype=np.dtype("f8"), exact=True)
        nearest = exact.astype("f4")
        error: Array = np.abs(exact - nearest) / np.spacing(nearest)
        return error

    assert len(x) == 1024
    others = off(np.setdiff1d(n.values(candidates), x))
    assert off(x).min() >= others.max() > 0.4


def test_the_same_bytes_from_the_same_seed(kact: Kact, tmp_path: Path) -> None:
    given = ("values", "float32", "--count", 1000, "--chain", "sigmoid")
    files = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for path, seed in zip(files, (0, 0, 1), strict=True):
        kact(*given, "--seed", seed, path)
    first, again, other = (path.read_bytes() for path in files)
    assert first == again != other
    assert b'"kact.values.seed":"1"' in other
    assert b'"kact.values.chain":"sigmoid"' in other
    drawn = stratified(Numbering(np.dtype("f4")), 600, 7)
    assert hashlib.sha256(drawn.tobytes()).hexdigest()[:16] == SAMPLE_DIGEST
    piped = kact("values", "bfloat16").stdout
    kact("values", "bfloat16", tmp_path / "b.npy")
    assert piped == (tmp_path / "b.npy").read_bytes()
    assert made(tmp_path, "bfloat16").dtype == BFLOAT16


SAMPLE_DIGEST = "64dc4640870fefbe"

REFUSED = [
    (("float64", "--all"), "more than any disk holds"),
    (("float16", "--count", "5"), "comes whole"),
    (("float32", "--from", "0"), "give both"),
    (("float32", "--from", "1", "--to", "0", "--count", "3"), "no range"),
    (("float32", "--from", "0", "--to", "1"), "give --count, or --all"),
    (("int8", "--from", "0.2", "--to", "0.8"), "no int8 is between"),
    (("float16", "--chain", "sigmoid"), "a sample of float32 or float64"),
    (("float16", "--seed", "5"), "--seed is for a sample of float32 or float64"),
    (("float32", "--all", "--seed", "0"), "--seed is for a sample of float32 or float64"),
    (("float32", "--chain", "softmax"), "so no value has an edge by itself"),
    (("float32", "--all", "--specials"), "leave out --specials"),
    (("float8",), "is none of"),
    (("float16", "out.parquet"), "written as .npy or .safetensors"),
]


@pytest.mark.parametrize(("args", "words"), REFUSED, ids=lambda x: " ".join(x))
def test_what_is_refused(refused: Kact, tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    said = refused("values", *args, code=2, cwd=tmp_path).stderr.decode()
    assert words in said
    assert list(tmp_path.iterdir()) == []

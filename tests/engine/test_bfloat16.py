"""bfloat16 to and from wider floats against arithmetic on all of its values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kact_cli import apply
from kact_cli.engine.bfloat16 import as_bfloat16, as_floats
from kact_cli.engine.engine import TILE_BYTES
from kact_cli.engine.lookup import LookupTable
from kact_cli.types import BFLOAT16, dtype_name, dtype_named

BITS = np.arange(1 << 16, dtype=np.uint16)
EVERY = BITS.view(BFLOAT16)
FLOATS = (BITS.astype(np.uint32) << 16).view(np.float32)
POSITIVE = FLOATS[:0x7F81].astype("f8")
"""Every value from 0 to infinity, in rising order: a value's number is its bits."""
POSITIVE[-1] = 2.0**128  # what follows the largest finite one, as far as rounding goes


def nearest(x: NDArray[Any]) -> NDArray[np.uint16]:
    """The bits of the bfloat16 nearest to each float, ties to even; NaN is nearest to nothing."""
    magnitude = np.minimum(np.abs(x.astype("f8")), 2.0**128)
    above = np.clip(np.searchsorted(POSITIVE, magnitude), 1, len(POSITIVE) - 1)
    down, up = magnitude - POSITIVE[above - 1], POSITIVE[above] - magnitude
    bits = above - ((down < up) | ((down == up) & (above % 2 == 1)))
    return (bits | np.signbit(x).astype(int) << 15).astype(np.uint16)


def assert_nearest(x: NDArray[Any]) -> None:
    before = x.copy()
    with np.errstate(all="ignore"):
        got, nan = as_bfloat16(x).view(np.uint16), np.isnan(x)
    assert np.array_equal(got[~nan], nearest(x[~nan]))
    assert np.isnan(as_floats(got.view(BFLOAT16))[nan]).all()
    assert np.array_equal(x, before, equal_nan=True)


def test_every_bfloat16_is_widened_to_the_float32_with_its_bits() -> None:
    assert np.array_equal(as_floats(EVERY).view(np.uint32), FLOATS.view(np.uint32))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_bfloat16_is_narrowed_to_itself(dtype: str) -> None:
    with np.errstate(invalid="ignore"):  # a signalling NaN is among them
        wide = FLOATS.astype(dtype)
    assert_nearest(wide)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_halfway_goes_to_the_even_one_and_is_rounded_once(dtype: str, step: int) -> None:
    halfway = ((POSITIVE[:-1] + POSITIVE[1:]) / 2).astype(dtype)
    near = (halfway.view(f"i{halfway.itemsize}") + step * (halfway != 0)).view(dtype)
    assert_nearest(np.concatenate([near, -near]))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_of_every_exponent_go_to_the_nearest(dtype: str) -> None:
    kind = np.dtype(dtype.replace("f", "u"))
    bits = np.random.default_rng(7).integers(0, np.iinfo(kind).max, 1 << 18, kind, endpoint=True)
    assert_nearest(bits.view(dtype))
    with np.errstate(over="ignore", under="ignore"):
        assert_nearest(np.ldexp(np.dtype(dtype).type(1.7), bits.astype(int) % 300 - 150))


def test_integers_are_rounded() -> None:
    whole = np.array([0, 1, -1, 257, 259, 1 << 20, -(1 << 40) - 1, 2**62])
    assert np.array_equal(as_bfloat16(whole).view(np.uint16), nearest(whole.astype("f8")))


@pytest.mark.parametrize("name", ["relu", "sigmoid", "selu", "softplus", "softmax"])
@pytest.mark.parametrize("large", [False, True])
def test_a_chain_computes_in_float32_and_rounds_once(name: str, large: bool) -> None:
    """Large blocks go by a table, small ones do not."""
    size = TILE_BYTES if large else 1000
    x = as_bfloat16(np.random.default_rng(3).standard_normal(size * 2, "f4")).reshape(
        -1, 20 if large is False else 8
    )
    want = as_bfloat16(apply(name, as_floats(x)))
    assert np.array_equal(apply(name, x).view("u2"), want.view("u2"))
    wide = apply(name, as_floats(x), compute_dtype=np.dtype("f8"), dtype=np.dtype("f8"))
    got = apply(name, x, compute_dtype=np.dtype("f8"))
    assert np.array_equal(got.view("u2"), as_bfloat16(wide).view("u2"))


@pytest.mark.parametrize("name", ["sigmoid", "elu", "tanh,sigmoid"])
def test_an_exact_result_is_the_nearest_to_that_of_float64(name: str) -> None:
    finite = EVERY[np.isfinite(FLOATS)]
    wide = apply(name, as_floats(finite), exact=True, dtype=np.dtype("f8"))
    got = apply(name, finite, exact=True).view(np.uint16)
    assert np.count_nonzero(got != nearest(wide)) < 3  # where float64 lies on the other side
    assert (apply(name, EVERY[np.isnan(FLOATS)], exact=True).view(np.uint16) == 0x7FC0).all()


def test_relu_by_its_sign_bit_keeps_nan() -> None:
    def relu(x: NDArray[Any], out: NDArray[Any]) -> None:
        out[:] = apply("relu", x)

    table = LookupTable.of(BFLOAT16, BFLOAT16, relu)
    assert table.rectifies
    out = np.empty_like(EVERY)
    table.look_up(EVERY, out, np.empty(EVERY.size, np.intp))
    got = as_floats(out)
    assert np.array_equal(got, np.maximum(FLOATS, 0), equal_nan=True)
    table.look_up(EVERY[:0xFF81], out[:0xFF81], np.empty(EVERY.size, np.intp))
    assert np.array_equal(as_floats(out), got, equal_nan=True)


def test_an_integer_tensor_that_stays_one_is_rounded_at_the_end() -> None:
    got = apply("relu", np.array([-3, 257, 259], "i4"), dtype=BFLOAT16)
    assert np.array_equal(as_floats(got), [0, 256, 260])


def test_the_name() -> None:
    assert dtype_name(BFLOAT16) == "bfloat16"
    assert dtype_named("bfloat16") == BFLOAT16
    assert dtype_named("float32") == np.float32

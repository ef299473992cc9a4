"""Conversions between float16 and float32 against NumPy's own casts, bit for bit."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kact_cli.engine import float16
from kact_cli.engine.lookup import LookupTable
from tests.tools.numbers import apply

HALF = np.dtype(np.float16)
EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


def assert_same_bits(got: NDArray[Any], want: NDArray[Any]) -> None:
    nan = np.isnan(want)
    assert np.array_equal(np.isnan(got), nan)
    unsigned = f"u{want.itemsize}"
    assert np.array_equal(got.view(unsigned)[~nan], want.view(unsigned)[~nan])


def narrowed(x: NDArray[Any]) -> NDArray[Any]:
    out = np.empty(x.shape, np.float16)
    with np.errstate(all="ignore"):
        float16.narrow(x.copy(), np.full_like(x, np.nan), out)
    return out


def cast(x: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(all="ignore"):
        return x.astype(np.float16)


def test_every_float16_is_widened() -> None:
    out = np.empty(EVERY.shape, np.float32)
    float16.widen(EVERY, out)
    with np.errstate(invalid="ignore"):
        assert_same_bits(out, EVERY.astype(np.float32))


def test_every_float16_is_narrowed_to_itself() -> None:
    with np.errstate(invalid="ignore"):
        assert_same_bits(narrowed(EVERY.astype(np.float32)), EVERY)


@pytest.mark.parametrize("step", [-2, -1, 0, 1, 2])
def test_halfway_between_two_float16_goes_to_the_even_one(step: int) -> None:
    values = np.sort(EVERY[np.isfinite(EVERY)].astype(np.float32))
    halfway = np.concatenate(
        [(values[:-1] + values[1:]) / 2, np.array([65520, -65520], np.float32)]
    )
    bits = halfway.view(np.int32) + step * (halfway != 0)
    assert_same_bits(narrowed(bits.view(np.float32)), cast(bits.view(np.float32)))


def test_two_million_float32_of_every_exponent_are_narrowed_as_a_cast_does() -> None:
    exponents = np.repeat(np.arange(1 << 9, dtype=np.uint32) << 23, 1 << 12)
    mantissas = np.random.default_rng(0).integers(0, 1 << 23, exponents.size, dtype=np.uint32)
    mantissas[::64] = 0
    x = (exponents | mantissas).view(np.float32)
    assert_same_bits(narrowed(x), cast(x))


def looked_up(table: LookupTable, x: NDArray[Any]) -> NDArray[Any]:
    out = np.empty_like(x)
    table.look_up(x, out, np.empty(x.size, np.intp))
    return out


def relu(x: NDArray[Any], out: NDArray[Any], **values: float) -> None:
    with np.errstate(all="ignore"):
        out[:] = apply("relu", x, **values)


def test_a_table_holds_what_the_function_gives_each_float16() -> None:
    def negated(x: NDArray[Any], out: NDArray[Any]) -> None:
        np.negative(x, out=out)

    table = LookupTable.of(HALF, HALF, negated)
    assert not table.rectifies
    assert_same_bits(looked_up(table, EVERY[::-1].copy()), -EVERY[::-1])


@pytest.mark.parametrize("last", [None, -1023])
def test_relu_takes_the_sign_bit_for_it_but_not_that_of_nan(last: int | None) -> None:
    table = LookupTable.of(HALF, HALF, relu)
    assert table.rectifies
    x = EVERY[:last]  # the last 1,023 are NaN with a minus
    assert_same_bits(looked_up(table, x), table.values[:last])


def test_relu_that_drops_nan_is_looked_up() -> None:
    def drops(x: NDArray[Any], out: NDArray[Any]) -> None:
        out[:] = np.where(x > 0, x, 0)

    assert not LookupTable.of(HALF, HALF, drops).rectifies


@pytest.mark.parametrize("parameters", [{"alpha": 0.1}, {"max_value": 6.0}, {"threshold": 1.0}])
def test_relu_with_parameters_is_looked_up(parameters: dict[str, float]) -> None:
    assert not LookupTable.of(HALF, HALF, partial(relu, **parameters)).rectifies


@pytest.mark.parametrize("odd", [[], [np.inf], [-np.inf], [np.nan], [-np.nan]])
def test_widening_notices_infinities_and_nan(odd: list[float]) -> None:
    finite = EVERY[np.isfinite(EVERY)]
    x = np.concatenate([finite, np.array(odd, np.float16)])
    out = np.empty(x.shape, np.float32)
    float16.widen(x, out)
    assert_same_bits(out, x.astype(np.float32))


@pytest.mark.parametrize("odd", [[], [-0.0], [65519.0], [65520.0], [1e9], [np.inf], [np.nan], [-1]])
def test_narrowing_notices_signs_and_what_is_too_large(odd: list[float]) -> None:
    x = np.concatenate([np.geomspace(1e-9, 65504, 10_001), odd]).astype(np.float32)
    assert_same_bits(narrowed(x), cast(x))

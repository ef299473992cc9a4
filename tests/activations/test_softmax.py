"""Softmax: its error bound at every width and shape, NaN and infinities, and groups in parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kact_cli.activations import ACTIVATIONS, arithmetic
from tests.tools.numbers import Array, apply, run_kernel

INF, NAN = math.inf, math.nan
FLOATS = [np.float32, np.float64]
SOFTMAX = ACTIVATIONS["softmax"]

# Every way through the kernel: narrow and wide rows, ends of blocks, short and long inner axes.
SHAPES = [
    (70, 1, 1), (500, 10, 1), (90, 127, 1), (90, 128, 1), (40, 300, 1), (8, 1000, 1),
    (1, 50_000, 1),
    (30, 10, 2), (9, 130, 15), (1, 4001, 3), (30, 10, 16), (4, 33, 40), (1, 1000, 16), (1, 7, 3000),
]  # fmt: skip


def exact(x: Array) -> tuple[Array, Array]:
    """The result along axis 1 in a wider dtype, and the bound on its relative error.

    Float64 has more room: its sums cannot run any wider.
    """
    wide = x.astype(np.longdouble)
    below = wide - wide.max(axis=1, keepdims=True)
    e = np.exp(below)
    base = 4 if x.dtype == np.float32 else 16
    bound = (base + np.abs(np.maximum(below, -1e9)) / 2) * float(np.finfo(x.dtype).eps)
    return e / e.sum(axis=1, keepdims=True), bound


def assert_within_bound(got: Array, x: Array) -> None:
    want, bound = exact(x)
    smallest = float(np.finfo(x.dtype).smallest_subnormal)
    normal = want >= float(np.finfo(x.dtype).smallest_normal)
    error = np.abs(got.astype(np.longdouble) - want)
    assert np.all(error <= bound * want + np.where(normal, 0, 2 * smallest))


def streamed(x: Array, cuts: list[int]) -> Array:
    """The two passes over the parts of axis 1 that `cuts` make."""
    assert SOFTMAX.streamed is not None
    m = arithmetic(x.dtype, x.dtype)
    parts = [part for part in np.split(x, sorted(cuts), axis=1) if part.shape[1]]
    with np.errstate(all="ignore"):
        merged: tuple[Array, ...] | None = None
        for part in parts:
            tile = np.ascontiguousarray(part).copy()
            mine = SOFTMAX.streamed.collect(tile, np.full_like(tile, NAN), m, ())
            assert [s.shape for s in mine] == [(x.shape[0], x.shape[2])] * 3
            assert [s.dtype for s in mine] == [x.dtype, np.float64, np.float64]
            merged = mine if merged is None else SOFTMAX.streamed.merge(merged, mine)
        results = []
        for part in parts:
            tile = np.ascontiguousarray(part).copy()
            SOFTMAX.streamed.finish(tile, np.full_like(tile, NAN), m, merged or ())
            results.append(tile)
    return np.concatenate(results, axis=1)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("scale", [0.01, 1, 20, 300, 1e5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_error_is_within_the_bound(shape: tuple[int, int, int], scale: float, dtype: Any) -> None:
    x = (np.random.default_rng(0).standard_normal(shape) * scale).astype(dtype)
    assert_within_bound(run_kernel(SOFTMAX, x), x)
    assert_within_bound(streamed(x, [1, x.shape[1] // 3, x.shape[1] // 2 + 1]), x)


@pytest.mark.parametrize("shift", [0, -3.3, -40, -60, 80, -120, 1e4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equal_terms_do_not_add_up_their_rounding(
    shape: tuple[int, int, int], shift: float
) -> None:
    for below in (0.0, 0.1, 1.7, 3.3, 9.9, 13.13):
        x = np.full(shape, shift - below, np.float32)
        x[:, 0] = shift
        assert_within_bound(run_kernel(SOFTMAX, x), x)


@pytest.mark.parametrize(
    ("length", "first", "others"),
    [(63, 1.6441061, 1.6255499), (64, 0.80525565, 0.8034137), (128, -0.34358025, -0.3468041)],
)
def test_blocks_of_equal_terms_are_added_in_few_steps(
    length: int, first: float, others: float
) -> None:
    x = np.full((8, length, 1), others, np.float32)
    x[:, 0] = first
    assert_within_bound(run_kernel(SOFTMAX, x), x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("length", [3, 17, 50, 64, 100, 127, 1000])
def test_equal_rows_have_equal_results(length: int, dtype: Any) -> None:
    x = np.random.default_rng(5).standard_normal((1, length, 1)).astype(dtype)
    got = run_kernel(SOFTMAX, np.repeat(x, 7, axis=0))
    assert (got == got[0]).all()
    np.testing.assert_array_equal(run_kernel(SOFTMAX, x)[0], got[0])


def test_a_long_group_of_float64_is_within_the_bound() -> None:
    x = np.full((2, 3_000_320, 1), 0.2)
    assert_within_bound(run_kernel(SOFTMAX, x), x)


@pytest.mark.parametrize("inner", [1, 3, 20])
def test_a_group_of_five_million_is_within_the_bound(inner: int) -> None:
    x = np.random.default_rng(2).standard_normal((1, 5_000_000 // inner, inner), np.float32)
    assert_within_bound(run_kernel(SOFTMAX, x), x)


@given(x=hnp.arrays(np.float32, (3, 5, 1), elements=st.floats(-200, 200, width=32)))
def test_any_row_is_within_the_bound(x: Array) -> None:
    assert_within_bound(run_kernel(SOFTMAX, x), x)


@pytest.mark.parametrize("dtype", [np.float16, *FLOATS])
def test_a_hundred_thousand_zeros(dtype: Any) -> None:
    got = apply("softmax", np.zeros(100_000, dtype))
    np.testing.assert_array_equal(got, np.full(100_000, 1e-5, dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_group_of_one_is_exactly_one(dtype: Any) -> None:
    x = np.linspace(-80, 80, 999, dtype=dtype)[:, None]
    np.testing.assert_array_equal(apply("softmax", x), np.ones_like(x))


# What stands in a group of otherwise ordinary numbers, and whether all of it becomes NaN.
SPOILT = {"nan": ([NAN], True), "inf": ([INF, -INF], True), "one -inf": ([-INF], False)}


@pytest.mark.parametrize("scale", [1, 1000])
@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("shape", [(4, 6, 1), (4, 300, 1), (4, 6, 3), (4, 70, 17)], ids=str)
def test_nan_and_infinities_spoil_their_own_group_alone(
    shape: tuple[int, int, int], spoilt: str, scale: float
) -> None:
    values, all_nan = SPOILT[spoilt]
    x = (np.random.default_rng(3).standard_normal(shape) * scale).astype(np.float32)
    clean = x.copy()
    x[1, 1 : 1 + len(values), 0] = values
    for got in (run_kernel(SOFTMAX, x), streamed(x, [2, 4]), streamed(x, [1, 2])):
        group = got[1, :, 0]
        assert np.isnan(group).all() if all_nan else group[1] == 0
        if not all_nan:
            assert math.isclose(group.sum(), 1, rel_tol=1e-5)
        got[1, :, 0] = x[1, :, 0] = clean[1, :, 0] = 0
        want, bound = exact(clean)
        others = np.ones(shape, bool)
        others[1, :, 0] = False
        assert np.all((np.abs(got - want) <= bound * want + 3e-45)[others])


@pytest.mark.parametrize("shape", [(2, 6, 1), (2, 200, 1), (2, 6, 3), (2, 6, 20)], ids=str)
def test_a_group_of_nothing_but_minus_inf_is_nan(shape: tuple[int, int, int]) -> None:
    x = np.zeros(shape, np.float32)
    x[0] = -INF
    for got in (run_kernel(SOFTMAX, x), streamed(x, [1, 4])):
        assert np.isnan(got[0]).all()
        np.testing.assert_allclose(got[1], 1 / shape[1], rtol=1e-6)


def test_a_part_of_minus_inf_adds_nothing_to_the_others() -> None:
    x = np.full((1, 9, 2), -INF, np.float32)
    x[:, 4:6] = 5
    for cuts in ([3, 6], [4, 5], [1, 2, 3, 4, 5, 6, 7, 8]):
        got = streamed(x, cuts)
        assert got[0, :, 0].tolist() == [0, 0, 0, 0, 0.5, 0.5, 0, 0, 0]


@given(
    x=hnp.arrays(
        st.sampled_from(FLOATS),
        st.tuples(st.integers(1, 3), st.integers(1, 40), st.sampled_from([1, 2, 17])),
        elements=st.floats(-100, 100, width=32) | st.just(-INF),
    ),
    cuts=st.lists(st.integers(0, 40), max_size=6),
)
def test_parts_give_what_the_whole_gives(x: Array, cuts: list[int]) -> None:
    x[:, 0] = np.maximum(x[:, 0], -100)  # not -inf throughout: that is NaN
    assert_within_bound(streamed(x, cuts), x)
    assert_within_bound(run_kernel(SOFTMAX, x), x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rising", [0, 1e-2])
def test_a_group_in_thousands_of_parts_is_within_the_bound(rising: float, dtype: Any) -> None:
    count = 9**5 // 8
    x = np.random.default_rng(6).standard_normal((1, count, 1)) + 900 * (rising > 0)
    x[0, :, 0] += np.arange(count) * rising
    x = x.astype(dtype)
    assert_within_bound(streamed(x, list(range(1, count))), x)


@pytest.mark.parametrize("shape", [(0, 3, 1), (3, 0, 1), (2, 0, 5), (2, 3, 0), (0, 0, 0)])
def test_an_empty_tile_is_left_as_it_is(shape: tuple[int, int, int]) -> None:
    assert run_kernel(SOFTMAX, np.zeros(shape, np.float32)).shape == shape


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (1, -1), (0, 1, 2), None])
def test_along_any_axes_the_results_sum_to_one(axis: Any) -> None:
    x = np.random.default_rng(4).standard_normal((4, 5, 18))
    np.testing.assert_allclose(apply("softmax", x, axis=axis).sum(axis=axis), 1, rtol=1e-14)

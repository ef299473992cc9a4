"""Distances in units in the last place, against what the floats themselves say."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kact_cli.reports.errors import Errors, Given, Tolerance
from kact_cli.reports.errors import errors as errors_of
from kact_cli.reports.ulp import distance
from kact_cli.types import Array


def errors(
    a: Array, b: Array, tolerance: Tolerance, nulls: tuple[Array | None, ...] = (None, None)
) -> Errors:
    return errors_of(Given(a, b, nulls), tolerance)


FLOATS = ["f2", "f4", "f8"]


@pytest.mark.parametrize("dtype", FLOATS)
def test_neighbours_are_one_apart_everywhere(dtype: str) -> None:
    info = np.finfo(dtype)
    tiny = info.smallest_subnormal
    starts = [0, tiny, info.tiny, 1, 2, 0.5, info.max, -1, -tiny, -info.tiny, -2]
    x = np.array(starts, dtype)
    with np.errstate(over="ignore"):
        up = np.nextafter(x, np.array(np.inf, dtype))
    assert distance(x, up).tolist() == [1] * len(x)
    assert distance(up, x).tolist() == [1] * len(x)


@pytest.mark.parametrize("dtype", FLOATS)
def test_across_zero_and_to_infinity(dtype: str) -> None:
    info = np.finfo(dtype)
    tiny, inf = info.smallest_subnormal, np.inf
    a = np.array([0.0, -tiny, -inf, info.max, inf], dtype)
    b = np.array([-0.0, tiny, inf, inf, inf], dtype)
    every = 2 * ((info.maxexp - info.minexp + 1) << info.nmant)
    assert distance(a, b).tolist() == [0, 2, every, 1, 0]


def test_half_precision_counts_every_step_between() -> None:
    bits = np.arange(2**16, dtype=np.uint16)
    x = bits.view(np.float16)
    x = np.unique(x[~np.isnan(x)])  # one zero
    assert distance(x[:-1], x[1:]).max() == 1
    assert distance(x[:1], x[-1:])[0] == len(x) - 1


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1))
def test_signed_and_unsigned_integers(i: int, u: int) -> None:
    a, b = np.array([i], np.int64), np.array([u], np.uint64)
    expected = min(abs(i - u), 2**64 - 1)
    assert distance(a, b).tolist() == distance(b, a).tolist() == [expected]


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_integers_of_64_bits(i: int, j: int) -> None:
    a, b = np.array([i], np.int64), np.array([j], np.int64)
    assert distance(a, b).tolist() == [abs(i - j)]


def test_the_narrower_dtype_counts() -> None:
    exact = np.array([1 + 2**-30, 1 + 2**-22])
    assert distance(exact, np.ones(2, np.float32)).tolist() == [0, 2]
    found = errors(exact, np.ones(2, np.float32), Tolerance())
    assert found.differ == 1
    assert found.absolute is not None
    assert found.absolute.error == 2**-22


def test_nan_and_null_are_no_errors_but_mismatches() -> None:
    nan = math.nan
    a = np.array([nan, nan, 1, 2, 3, 4, nan])
    b = np.array([nan, 1, 1, 2, nan, 5, 9])
    mine = np.array([0, 0, 0, 1, 0, 0, 1], bool)
    its = np.array([0, 0, 0, 1, 0, 0, 0], bool)
    found = errors(a, b, Tolerance(), (mine, its))
    assert (found.pairs, found.compared, found.nan, found.null) == (7, 2, 2, 1)
    assert (found.first_nan, found.first_null) == ((1,), (6,))
    assert found.differ == 1
    assert found.beyond == 4
    assert found.absolute is not None
    assert found.absolute.at == (5,)


def test_infinities_and_zeros() -> None:
    a = np.array([np.inf, -np.inf, np.inf, 0.0, -0.0])
    b = np.array([np.inf, -np.inf, 1.0, -0.0, -0.0])
    found = errors(a, b, Tolerance())
    assert (found.differ, found.beyond, found.zero_signs) == (1, 1, 1)
    assert found.absolute is not None
    assert found.absolute.error == math.inf
    assert found.mean_absolute == 0  # of the pairs that are a finite distance apart


def test_each_tolerance_passes_by_itself() -> None:
    a, b = np.array([1.0, 100.0, 0.0]), np.array([1 + 2**-52, 101.0, 1e-9])
    assert errors(a, b, Tolerance()).beyond == 3
    assert errors(a, b, Tolerance(max_ulp=1)).beyond == 2
    assert errors(a, b, Tolerance(max_ulp=0, rtol=0.01)).beyond == 1
    assert errors(a, b, Tolerance(rtol=0.0099)).beyond == 2
    assert errors(a, b, Tolerance(atol=1e-9)).beyond == 1
    assert errors(a, b, Tolerance(max_ulp=1, rtol=0.01, atol=1e-9)).beyond == 0


NUMBERS = hnp.arrays(np.float32, 12, elements=st.floats(width=32))


@given(NUMBERS, NUMBERS, st.integers(0, 12))
def test_parts_merge_to_the_whole(a: np.ndarray, b: np.ndarray, cut: int) -> None:
    whole = errors(a, b, Tolerance(max_ulp=5))
    first, second = (errors(a[s], b[s], Tolerance(max_ulp=5)) for s in (np.s_[:cut], np.s_[cut:]))
    merged = Errors().merge(first).merge(second.placed(lambda i: (i + cut,)))
    assert merged.absolute_sum == pytest.approx(whole.absolute_sum, nan_ok=True)
    for name in ("ulp", "absolute", "differ", "beyond", "nan", "first_nan", "ulp_sum", "pairs"):
        assert getattr(merged, name) == getattr(whole, name), name


def test_sums_of_distances_do_not_overflow() -> None:
    a = np.full(100, -np.inf)
    found = errors(a, -a, Tolerance())
    assert found.ulp is not None
    assert found.ulp_sum == 100 * found.ulp.error > 2**64
    assert Fraction(found.mean_ulp or 0) == Fraction(float(found.ulp.error))

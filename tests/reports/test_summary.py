"""Statistics of a stream are those of the whole, however it is cut."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kact_cli.reports.summary import BINS, Summary

LENGTH = st.integers(1, 60)
ORDINARY = st.floats(-1e6, 1e6)
VALUES = hnp.arrays(np.float64, LENGTH, elements=st.one_of(ORDINARY, st.just(0.5)))
ANY = hnp.arrays(np.float64, LENGTH, elements=st.floats())


def in_parts(values: np.ndarray, parts: int) -> Summary:
    return reduce(Summary.merge, map(Summary.of, np.array_split(values, parts)), Summary())


@given(VALUES, st.integers(1, 9))
def test_mean_and_deviation(values: np.ndarray, parts: int) -> None:
    found = in_parts(values, parts)
    scale = float(np.abs(values).max())
    assert found.mean == pytest.approx(values.mean(), rel=1e-13, abs=1e-13 * scale)
    assert found.std == pytest.approx(values.std(), rel=1e-12, abs=1e-13 * scale)


@given(ANY, st.integers(1, 9))
def test_counts_extremes_and_histogram(values: np.ndarray, parts: int) -> None:
    found, whole = in_parts(values, parts), Summary.of(values)
    finite = values[np.isfinite(values)]
    assert found.histogram == whole.histogram
    assert (found.nan, found.finite) == (np.isnan(values).sum(), len(finite))
    assert found.positive_inf == (values == np.inf).sum()
    assert found.negative_inf == (values == -np.inf).sum()
    if len(finite):
        assert (found.least, found.most) == (finite.min(), finite.max())
        assert found.histogram is not None
        assert sum(found.histogram.counts) == len(finite)
        assert len(found.histogram.counts) <= BINS
        assert found.histogram.start <= finite.min()
        assert found.histogram.counts[0] > 0 < found.histogram.counts[-1]


def test_a_large_mean_costs_no_digits() -> None:
    values = 1e9 + np.random.default_rng(0).normal(0, 1, 100_000)
    assert in_parts(values, 37).std == pytest.approx(values.std(), rel=1e-12)


def test_half_precision_does_not_overflow() -> None:
    found = in_parts(np.full(100_000, 60_000, np.float16), 10)
    assert (found.mean, found.std) == (60_000, 0)


def test_the_largest_numbers_have_a_mean() -> None:
    assert in_parts(np.array([1.7e308] * 6), 3).mean == pytest.approx(1.7e308)


def test_bins_hold_what_they_say() -> None:
    values = np.random.default_rng(1).normal(3, 2, 5000)
    histogram = in_parts(values, 11).histogram
    assert histogram is not None
    edges = histogram.start + histogram.width * np.arange(len(histogram.counts) + 1)
    assert list(histogram.counts) == np.histogram(values, edges)[0].tolist()
    assert len(histogram.counts) > BINS // 2


def test_nulls_are_counted_and_nothing_else() -> None:
    found = Summary.of(np.array([1.0, math.nan, 3.0]), np.array([False, True, False]))
    assert (found.count, found.nulls, found.nan, found.mean) == (3, 1, 0, 2)
    nothing = Summary.of(np.zeros(0)).merge(Summary.of(np.array([math.nan])))
    assert (nothing.mean, nothing.std, nothing.least, nothing.count) == (None, None, None, 1)

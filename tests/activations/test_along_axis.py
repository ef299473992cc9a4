"""Log-softmax and sparsemax: their errors, odd groups, and groups larger than a chunk or memory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kact_cli import apply
from kact_cli.activations import ACTIVATIONS, arithmetic
from kact_cli.chain import Chain
from kact_cli.engine.plan import RESIDENT_BYTES, plan_tensor
from kact_cli.errors import UsageError
from tests.conftest import Kact
from tests.tools.numbers import Array, run_kernel
from tests.tools.tables import write

INF, NAN = math.inf, math.nan
FLOATS = [np.float32, np.float64]
LOG_SOFTMAX, SPARSEMAX = ACTIVATIONS["log_softmax"], ACTIVATIONS["sparsemax"]
SHAPES = [
    (70, 1, 1), (500, 10, 1), (90, 128, 1), (8, 1000, 1), (1, 50_000, 1),
    (30, 10, 2), (9, 130, 15), (1, 4001, 3), (30, 10, 16), (4, 33, 40),
]  # fmt: skip


def log_softmax(x: Array) -> Array:
    """In a wider dtype, along axis 1."""
    wide = x.astype(np.longdouble)
    below = wide - wide.max(axis=1, keepdims=True)
    e = np.exp(below)
    # The sum of the others by itself: it may be much smaller than 1
    first = np.argmax(below, axis=1, keepdims=True)
    np.put_along_axis(e, first, 0, axis=1)
    return below - np.log1p(e.sum(axis=1, keepdims=True))


def assert_close(got: Array, x: Array) -> None:
    """Three roundings, and the error of the sum, which is that of softmax."""
    want = log_softmax(x)
    base = 4 if x.dtype == np.float32 else 16
    limit = (base + 1.5 * np.abs(want)) * float(np.finfo(x.dtype).eps)
    assert np.all(np.abs(got - want) <= limit), np.max(np.abs(got - want) / limit)


def in_parts(x: Array, cuts: list[int], exact: bool) -> Array:
    """The passes over the parts of axis 1 that `cuts` make."""
    m = arithmetic(x.dtype, x.dtype, exact=exact)
    streamed = LOG_SOFTMAX.reduction(exact)
    assert streamed is not None
    parts = [part for part in np.split(x, sorted(cuts), axis=1) if part.size]
    known: tuple[Array, ...] = ()
    with np.errstate(all="ignore"):
        for _ in range(streamed.rounds):
            merged: tuple[Array, ...] = ()
            for part in parts:
                tile = np.ascontiguousarray(part).copy()
                state = streamed.collect(tile, np.full_like(tile, NAN), m, known)
                merged = streamed.merge(merged, state) if merged else state
            known = merged
        results = [np.ascontiguousarray(part).copy() for part in parts]
        for tile in results:
            streamed.finish(tile, np.full_like(tile, NAN), m, known)
    return np.concatenate(results, axis=1)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("scale", [0.01, 1, 20, 300, 1e5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_log_softmax_is_within_the_bound(shape: Any, scale: float, dtype: Any) -> None:
    x = (np.random.default_rng(0).standard_normal(shape) * scale).astype(dtype)
    cuts = [1, shape[1] // 3, shape[1] // 2 + 1]
    assert_close(run_kernel(LOG_SOFTMAX, x), x)
    assert_close(in_parts(x, cuts, exact=False), x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("scale", [0.1, 1, 9, 60])
def test_log_softmax_is_exact(scale: float, dtype: Any) -> None:
    x = (np.random.default_rng(3).standard_normal((40, 30, 3)) * scale).astype(dtype)
    want = log_softmax(x)
    got = apply("log_softmax(axis=1)", x, exact=True)
    ulp = np.spacing(np.abs(want).astype(dtype)).astype(np.longdouble)
    clear = np.abs(want) > 2.0**-40  # below, what counts is the last digit of the sum
    assert float((np.abs(got - want) / ulp)[clear].max()) <= (0.51 if dtype == np.float32 else 2)
    assert float(np.abs(got - want)[~clear].max(initial=0)) < 2.0**-64


@given(
    x=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(1, 40), st.sampled_from([1, 2, 17])),
        elements=st.floats(-100, 100, width=32) | st.just(-INF),
    ),
    cuts=st.lists(st.integers(0, 40), max_size=5),
)
def test_no_cut_changes_a_bit_of_an_exact_log_softmax(x: Array, cuts: list[int]) -> None:
    whole = apply("log_softmax(axis=1)", x, exact=True)
    np.testing.assert_array_equal(in_parts(x, cuts, exact=True), whole)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("group", "log_want", "want"),
    [
        ([0, NAN, 1], [NAN] * 3, [NAN] * 3),
        ([0, INF, -INF], [NAN] * 3, [NAN] * 3),
        ([-INF, -INF], [NAN] * 2, [NAN] * 2),
        ([0, -INF, 0], [-math.log(2), -INF, -math.log(2)], [0.5, 0, 0.5]),
        ([7], [0], [1]),
        ([1e38, -1e38], [0, -2e38], [1, 0]),
    ],
)
def test_odd_groups(group: Any, log_want: Any, want: Any, exact: bool) -> None:
    x = np.array(group, np.float32)
    np.testing.assert_allclose(apply("log_softmax", x, exact=exact), log_want, rtol=1e-7)
    np.testing.assert_allclose(apply("sparsemax", x, exact=exact), want, rtol=1e-7)


def projected(z: Array) -> Array:
    """Sparsemax of one group by halving an interval that tau lies in."""
    low, high = z.max() - 1, z.max()
    for _ in range(100):
        tau = (low + high) / 2
        low, high = (tau, high) if np.maximum(z - tau, 0).sum() > 1 else (low, tau)
    return np.maximum(z - low, 0)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, *FLOATS])
@pytest.mark.parametrize("scale", [0.01, 0.3, 2, 50])
def test_sparsemax_is_the_projection(scale: float, dtype: Any, exact: bool) -> None:
    x = (np.random.default_rng(7).standard_normal((20, 30)) * scale).astype(dtype)
    got = apply("sparsemax", x, exact=exact)
    want = np.array([projected(row.astype(np.float64)) for row in x])
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(got, want, rtol=eps, atol=1e-13 * max(1, scale))


@pytest.mark.parametrize("name", ["log_softmax", "sparsemax"])
@pytest.mark.parametrize("axis", [0, -1, (0, 2), None])
def test_along_any_axes(name: str, axis: Any) -> None:
    x = np.random.default_rng(4).standard_normal((4, 5, 6))
    got = apply(Chain.parse(f"{name}(axis={str(axis).lower()})"), x)
    total = (np.exp(got) if name == "log_softmax" else got).sum(axis=axis)
    np.testing.assert_allclose(total, 1, rtol=1e-13)


@pytest.mark.parametrize("options", [(), ("--exact",)])
@pytest.mark.parametrize("chain", ["log_softmax:axis=0", "sparsemax:axis=0", "elu,sparsemax,tanh"])
def test_files_whose_groups_are_larger_than_a_chunk(
    chain: str, options: tuple[str, ...], kact: Kact, tmp_path: Path
) -> None:
    x = np.random.default_rng(5).standard_normal((3000, 7)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    kact("chain", chain, "--chunk-size", "4KiB", *options, tmp_path / "x.npy", tmp_path / "y.npy")
    want = apply(chain, x, exact=bool(options))
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), want, rtol=2e-6, atol=1e-7)


def test_sparsemax_of_more_than_fits_in_memory_is_refused() -> None:
    count = RESIDENT_BYTES // 4
    chain, dtype = Chain.parse("tanh,sparsemax,softmax"), np.dtype(np.float32)
    assert plan_tensor(chain, (3, count), dtype).stages
    with pytest.raises(UsageError, match=r"along 16,777,217 values: .* up to 64 MiB"):
        plan_tensor(chain, (3, count + 1), dtype)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_sparsemax_down_the_rows_of_a_table_is_refused(
    suffix: str, kact: Kact, tmp_path: Path
) -> None:
    import pyarrow as pa

    path = tmp_path / f"t.{suffix}"
    write(pa.table({"a": [0.5, 1.5], "b": [1.0, 2.25]}), path)
    done = kact("apply", "sparsemax", "--axis", "0", path, tmp_path / f"o.{suffix}", code=2)
    assert b"the rows of a table do not pass together" in done.stderr
    kact("apply", "sparsemax", path, tmp_path / f"o.{suffix}")

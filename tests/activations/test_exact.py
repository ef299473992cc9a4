"""`exact=True`: the nearest number, and the same bytes however it is computed."""

from __future__ import annotations

import hashlib
import math
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli import apply
from kact_cli.activations import ACTIVATIONS, arithmetic
from kact_cli.chain import Chain
from kact_cli.engine.rounding import recompute
from kact_cli.errors import UsageError
from tests.activations.exhaustive import HALF, check, float32_blocks, total
from tests.activations.test_accuracy import float64_sample
from tests.tools.numbers import ELEMENTWISE, Array, ulp_error, ulp_in_decimal
from tests.tools.run import command, environment

SOFTMAX = ACTIVATIONS["softmax"]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_float16_result_is_the_nearest(name: str) -> None:
    assert check(name, HALF).wrong == ()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_float32_results_are_the_nearest_and_the_default_is_within_4_ulp(name: str) -> None:
    found = total(name, float32_blocks(ELEMENTWISE.index(name), 4001))
    assert found.wrong == ()
    assert found.error <= 4


@pytest.mark.parametrize("alpha", [0.1, 0.75, 1.5, -0.3, 1 / 3])
@pytest.mark.parametrize("name", ["relu", "elu"])
def test_with_parameters_results_are_the_nearest(name: str, alpha: float) -> None:
    x = np.random.default_rng(0).standard_normal(400).astype(np.float32)
    x[:100] *= np.float32(1e-42)
    chain = Chain.parse(f"{name}(alpha={alpha!r})")
    got = apply(chain, x, exact=True)
    for value, exact in zip(got, recompute(x, chain.steps, np.dtype(np.float32)), strict=True):
        error = abs(float(value) - float(exact))
        for neighbour in (-np.inf, np.inf):
            other = np.nextafter(value, np.float32(neighbour))
            assert error <= abs(float(other) - float(exact))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_float64_results_are_within_2_ulp(name: str) -> None:
    x = float64_sample(1200)
    pairs = zip(x.tolist(), apply(name, x, exact=True).tolist(), strict=True)
    assert max(ulp_in_decimal(name, *pair) for pair in pairs) < 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "chain", ["selu,softmax", "softmax,elu", "softplus,tanh,softmax(0),relu(alpha=0.1)"]
)
def test_a_chain_is_rounded_once(chain: str, dtype: Any) -> None:
    x = (np.random.default_rng(2).standard_normal((50, 40)) * 5).astype(dtype)
    got = apply(chain, x, exact=True)
    assert ulp_error(got, apply(chain, x.astype(np.float64))).max() <= 0.51


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(300, 10, 1), (40, 3, 7), (1, 5000, 3), (2, 20_000, 1)], ids=str)
def test_softmax_is_exact(shape: tuple[int, ...], dtype: Any) -> None:
    x = (np.random.default_rng(3).standard_normal(shape) * 9).astype(dtype)
    wide = np.exp(x.astype(np.longdouble) - x.max(axis=1, keepdims=True))
    want = wide / wide.sum(axis=1, keepdims=True)
    got = apply("softmax(axis=1)", x, exact=True)
    ulp = np.spacing(want.astype(dtype)).astype(np.longdouble)
    limit = 0.51 if dtype == np.float32 else 2
    assert float((np.abs(got - want) / ulp).max()) <= limit


def collected(x: Array, cuts: list[int], dtype: Any) -> list[Array]:
    """The state of (1, length, 1) in parts, merged from the last to the first."""
    m = arithmetic(np.dtype(dtype), np.dtype(np.float64), exact=True)
    assert SOFTMAX.exactly is not None
    known: tuple[Array, ...] = ()
    with np.errstate(all="ignore"):
        for _ in range(SOFTMAX.exactly.rounds):
            merged: tuple[Array, ...] = ()
            for part in reversed(np.split(x, cuts, axis=1)):
                if part.size:
                    tile = part.astype(np.float64)
                    state = SOFTMAX.exactly.collect(tile, np.empty_like(tile), m, known)
                    merged = SOFTMAX.exactly.merge(merged, state) if merged else state
            known = merged
        result = x.astype(np.float64)
        SOFTMAX.exactly.finish(result, np.empty_like(result), m, known)
    return [result]


@given(
    x=st.lists(st.floats(-1e3, 1e3, width=32) | st.just(-math.inf), min_size=1, max_size=50),
    cuts=st.lists(st.integers(0, 50), max_size=5),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_no_cut_changes_a_bit_of_softmax(x: list[float], cuts: list[int], dtype: Any) -> None:
    tensor = np.array(x, dtype).reshape(1, -1, 1)
    whole = apply("softmax(axis=1)", tensor, exact=True)
    for result in collected(tensor, sorted(cuts), dtype):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(result.astype(dtype), whole)


def test_nan_has_one_bit_pattern() -> None:
    x = np.array([np.nan, -np.nan, np.inf, -np.inf], np.float32)
    for chain in ("tanh", "softsign", "softmax", "relu(alpha=0.1)"):
        y = apply(chain, x, exact=True)
        assert set(y[np.isnan(y)].view(np.uint32).tolist()) == {0x7FC00000}


def test_a_dtype_to_compute_in_is_refused() -> None:
    with pytest.raises(UsageError, match="--compute-dtype"):
        apply("tanh", [1.0], exact=True, compute_dtype=np.dtype(np.float64))


CHAINS = [
    "softplus,gelu,softmax(axis=0)",
    "sigmoid,elu(alpha=0.3),selu,tanh,gelu(true),mish,silu(1.7),tanh_shrink,log_softmax",
]
BASELINE = "X86_V3 X86_V4 AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_bytes_are_the_same_on_every_processor_for_any_jobs_and_chunk_size(
    dtype: Any, tmp_path: Path
) -> None:
    x = (np.random.default_rng(4).standard_normal((60, 130)) * 4).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    runs = [
        ("", "1", "2MiB"),
        ("", "2", "3000"),
        (BASELINE, "1", "800"),
        (BASELINE, "2", "64KiB"),
    ]
    for number, chain in enumerate(CHAINS):
        digests = set()
        for run, (disabled, jobs, size) in enumerate(runs):
            target = tmp_path / f"{number}-{run}.npy"
            options = ("--exact", "--jobs", jobs, "--chunk-size", size)
            subprocess.run(
                command("chain", chain, *options, tmp_path / "x.npy", target),
                env=environment(NPY_DISABLE_CPU_FEATURES=disabled, PYTHONWARNINGS="ignore"),
                check=True,
            )
            digests.add(hashlib.sha256(target.read_bytes()).hexdigest())
        assert len(digests) == 1, chain

"""A chain over a table agrees with float64 NumPy, whatever the cut, and nulls take no part.

Softmax's error is at most (4 + abs(x - max)/2) * 2**-23 of the result in float32, as documented.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.chain import Chain
from kact_cli.errors import UsageError
from tests.tools.job import columns_of, data, expected, job_of, numbers, run, softmax, softmax_error

F16, F32, F64 = pa.float16(), pa.float32(), pa.float64()
NAN, INF = float("nan"), float("inf")
ACROSS, DOWN, BOTH = "softmax", "softmax(axis=0)", "softmax(axis=none)"
TYPES = {
    "float32": [F32] * 5,
    "float64": [F64] * 5,
    "mixed": [F32, F16, F64, F32, F16],
    "float16": [F16] * 5,
    "with_integers": [F32, pa.int8(), F64, pa.int64(), pa.uint32()],
}


@pytest.mark.parametrize("axis", [-1, 1, 0, None, (0, 1)])
@pytest.mark.parametrize("kinds", TYPES)
@given(st.integers(0, 99), st.lists(st.integers(0, 40), max_size=4))
def test_softmax_over_columns_is_within_its_bound(
    axis: Any, kinds: str, seed: int, cuts: list[int]
) -> None:
    types = TYPES[kinds]
    x, absent = data(seed, 40, 5)
    if kinds == "with_integers":
        x = np.abs(np.round(x))
    table = columns_of(x, absent, types)
    chain = f"softmax(axis={'none' if axis is None else axis})"
    done = run(chain, table, cuts, columns=("x*",))
    found, nulls = numbers(done, 5)
    assert (nulls == absent).all()
    exact = softmax(x, absent, axis)
    bound = softmax_error(x, absent, axis)
    for n, type_ in enumerate(types):
        assert done.schema.field(n + 1).type == (type_ if pa.types.is_floating(type_) else
                                                 F32 if type_ == pa.int8() else F64)  # fmt: skip
        allowed = bound[:, n] * exact[:, n]
        if type_ == F16:
            allowed += np.abs(exact[:, n]) * 2.0**-11 + 2.0**-25
        off = np.abs(found[:, n] - exact[:, n])
        assert (off <= allowed)[~absent[:, n]].all()
    assert done.select(["id", "text"]).equals(table.select(["id", "text"]))


@pytest.mark.parametrize("chain", [ACROSS, DOWN, BOTH])
def test_float64_is_exact_to_float64(chain: str) -> None:
    x, absent = data(3, 60, 4)
    found, _ = numbers(run(chain, columns_of(x, absent, [F64] * 4), [7, 33]), 4)
    axis = Chain.parse(chain).steps[0].axis
    exact = softmax(x, absent, axis)
    allowed = softmax_error(x, absent, axis, bits=52) * exact
    assert (np.abs(found - exact) <= allowed)[~absent].all()


CHAINS = [
    "relu,softmax",
    "elu,softmax(axis=0)",
    "softmax(axis=0),relu,softmax(axis=0)",
    "softplus,softmax,softmax(axis=0),tanh",
    "softmax(axis=0),softmax(axis=none),exponential,softmax",
    "sigmoid,softmax(axis=none),selu,softmax(axis=(0,1)),softsign",
]


@pytest.mark.parametrize("types", [[F32] * 3, [F64, F32, F64]], ids=["same", "mixed"])
@pytest.mark.parametrize("chain", CHAINS)
@given(st.integers(0, 99), st.lists(st.integers(0, 30), max_size=3))
def test_chains_agree_with_float64(
    chain: str, types: list[pa.DataType], seed: int, cuts: list[int]
) -> None:
    x, absent = data(seed, 30, 3)
    done = run(chain, columns_of(x, absent, types), cuts)
    found, nulls = numbers(done, 3)
    assert (nulls == absent).all()
    exact = expected(chain, x, absent)
    np.testing.assert_allclose(found[~absent], exact[~absent], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("chain", ["relu", "softmax", "softmax(axis=0)"])
def test_dtype_of_the_result_and_of_the_computation(chain: str) -> None:
    x, absent = data(5, 20, 3)
    table = columns_of(x, absent, [F32, F64, F16])
    done = run(chain, table, [3], dtype="f2")
    assert [done.schema.field(f"x{n}").type for n in range(3)] == [F16] * 3
    assert (numbers(done, 3)[1] == absent).all()
    exact = expected(chain, x, absent)
    narrow = run(chain, table, [3], compute_dtype="f8")
    assert narrow.schema == table.schema
    found, _ = numbers(narrow, 3)
    for n, t in enumerate((np.float32, np.float64, np.float16)):
        kept = ~absent[:, n]
        ulp = np.spacing(np.abs(exact[kept, n]).astype(t)).astype(np.float64)
        slack = 8 if t is np.float64 else 0.51
        assert (np.abs(found[kept, n] - exact[kept, n]) <= slack * ulp).all()


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ("softmax(axis=2)", "axis 2 is out of range: a tensor (rows, columns) has axes -2 to 1"),
        ("softmax(axis=(1,-1))", "names the same axis twice"),
    ],
)
def test_axes_that_columns_have_not(chain: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(").replace(")", r"\)")):
        job_of(chain, pa.schema([("a", F32), ("b", F32)]))


def test_thousands_of_columns() -> None:
    x = np.random.default_rng(2).normal(size=(7, 3000))
    table = pa.table({f"x{n}": pa.array(x[:, n]) for n in range(3000)})
    found, _ = numbers(run("softmax", table, [3]), 3000)
    np.testing.assert_allclose(found, softmax(x, np.zeros(x.shape, bool), 1), rtol=1e-12)


def test_ones_down_many_rows_sum_to_one() -> None:
    """A float32 running sum sticks at 16,777,216 and float16's at 2048."""
    half = pa.table({"h": pa.array(np.zeros(100_000, np.float16))})
    assert set(run("softmax(axis=0)", half, [9])["h"].to_pylist()) == {float(np.float16(1e-5))}
    rng = np.random.default_rng(3)
    x = rng.normal(0, 2, (500_000, 1)).astype(np.float32)
    done = run("softmax(axis=0)", pa.table({"x0": x[:, 0]}), range(0, 500_000, 30_011))
    found, _ = numbers(done, 1)
    exact = softmax(x.astype(float), np.zeros(x.shape, bool), 0)
    bound = softmax_error(x.astype(float), np.zeros(x.shape, bool), 0)
    assert (np.abs(found - exact) <= bound * exact).all()

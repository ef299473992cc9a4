"""Lists and tensors in a column: each is a tensor of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.errors import UsageError
from tests.tools.job import assert_close, job_of, lists, run, softmax

F16, F32, F64 = pa.float16(), pa.float32(), pa.float64()


@pytest.mark.parametrize("type_", [pa.list_(F32), pa.large_list(F64), pa.list_(F16)], ids=str)
@given(st.integers(0, 99), st.lists(st.integers(0, 40), max_size=3))
def test_softmax_runs_within_each_list(type_: pa.DataType, seed: int, cuts: list[int]) -> None:
    before, after = lists(seed)
    table = pa.table({"v": pa.array(before, type_), "id": range(40)})
    done = run("relu,softmax", table, cuts)
    assert done.schema == table.schema
    assert_close(done["v"].to_pylist(), after, 2e-3 if type_ == pa.list_(F16) else 1e-6)
    assert done["id"].equals(table["id"])


def test_nested_lists_of_every_kind() -> None:
    a, b = [1.0, 2.0, None], [3.0, None, 3.0]
    sa = [*np.exp([1, 2]) / np.exp([1, 2]).sum(), None]
    sb = [0.5, None, 0.5]
    ragged = [[a, b, [], None], [], None, [[7.0]]]
    results = [[sa, sb, [], None], [], None, [[1.0]]]
    for type_ in (pa.list_(pa.list_(F32)), pa.large_list(pa.list_(F64))):
        done = run("softmax", pa.table({"v": pa.array(ragged, type_)}), [1])
        assert_close(done["v"].to_pylist(), results)
    threes, done_threes = [[a, None, b], [], None, [b]], [[sa, None, sb], [], None, [sb]]
    done = run("softmax", pa.table({"v": pa.array(threes, pa.list_(pa.list_(F32, 3)))}), [1])
    assert_close(done["v"].to_pylist(), done_threes)
    pairs_, done_pairs = [[a, [7.0]], None, [[], None]], [[sa, [1.0]], None, [[], None]]
    done = run("softmax", pa.table({"v": pa.array(pairs_, pa.list_(pa.list_(F32), 2))}), [1])
    assert_close(done["v"].to_pylist(), done_pairs)


@pytest.mark.parametrize(
    ("axis", "numpy_axis"),
    [(-1, 3), (1, 1), (2, 2), (0, 0), ((1, 3), (1, 3)), ("none", None), ((0, 2), (0, 2))],
)
@pytest.mark.parametrize("permutation", [None, (2, 0, 1), (1, 0, 2)])
def test_tensors_have_the_axes_of_their_shape(
    axis: Any, numpy_axis: Any, permutation: tuple[int, ...] | None
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, (11, 24)).astype(np.float32)
    nulls = pa.array([n == 4 for n in range(11)])
    storage = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), 24, mask=nulls)
    type_ = pa.fixed_shape_tensor(F32, (2, 3, 4), permutation=permutation)
    column = pa.ExtensionArray.from_storage(type_, storage)
    done = run(f"softmax(axis={axis})", pa.table({"t": column}), [2, 5])
    order = permutation or (0, 1, 2)
    cube = x.astype(np.float64).reshape(-1, 2, 3, 4).transpose(0, *(1 + p for p in order))
    absent = np.zeros(cube.shape, bool)
    absent[4] = True
    exact = softmax(cube, absent, numpy_axis)
    found = done["t"].combine_chunks().storage
    assert found.is_null().equals(nulls)
    flat = found.values.to_numpy(zero_copy_only=False).reshape(-1, 2, 3, 4)
    turned = flat.transpose(0, *(1 + p for p in order))
    rows = np.arange(11) != 4
    np.testing.assert_allclose(turned[rows], exact[rows], rtol=3e-6)


def test_fixed_size_lists_are_tensors_too() -> None:
    x = np.random.default_rng(1).normal(0, 3, (9, 4)).astype(np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(x.reshape(-1)), 4)
    for axis in (0, 1, "none"):
        done = run(f"softmax(axis={axis})", pa.table({"v": column}), [4])
        exact = softmax(x.astype(float), np.zeros(x.shape, bool), None if axis == "none" else axis)
        found = np.array(done["v"].to_pylist())
        np.testing.assert_allclose(found, exact, rtol=3e-6)


def test_scalars_and_lists_in_one_table_are_tensors_of_their_own() -> None:
    before, after = lists(8, 3)
    x = pa.table({"a": [1.0, 2.0, 3.0], "v": pa.array(before, pa.list_(F64)), "b": [1.0, 1.0, 1.0]})
    done = run("relu,softmax", x)
    assert_close(done["v"].to_pylist(), after)
    np.testing.assert_allclose(done["a"].to_numpy() + done["b"].to_numpy(), 1)
    assert job_of("relu,softmax", x.schema).across
    assert not job_of("softmax(axis=0)", x.schema, exclude=("v",)).across


@pytest.mark.parametrize(
    ("type_", "chain", "message"),
    [
        (pa.list_(F32), "softmax(axis=0)", "'v' holds lists of different .*--exclude leaves it"),
        (pa.list_(F32), "softmax(axis=none)", "'v' holds lists of different lengths"),
        (pa.list_(pa.list_(F32)), "softmax(axis=1)", "'v' holds lists of different lengths"),
        (pa.list_(F32), "softmax(axis=3)", r"column 'v', a tensor \(rows, any\), has axes -2 to 1"),
        (pa.list_(F32, 4), "softmax(axis=2)", r"column 'v', a tensor \(rows, 4\), has axes -2 to"),
    ],
)
def test_axes_that_a_list_column_has_not(type_: pa.DataType, chain: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        job_of(chain, pa.schema([("v", type_)]))


def test_fixed_size_lists_of_nothing() -> None:
    table = pa.table({"f": pa.array([[], None, []], pa.list_(F32, 0))})
    for chain in ("softmax", "softmax(axis=0)", "relu"):
        assert run(chain, table, [1]).equals(table)

"""Nulls, types, names and metadata of a table come through a chain."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from tests.tools.job import columns_of, data, numbers, run
from tests.tools.numbers import ELEMENTWISE, exactly

F16, F32, F64 = pa.float16(), pa.float32(), pa.float64()
NAN, INF = float("nan"), float("inf")
CHAINS = [
    "relu,softmax",
    "elu,softmax(axis=0)",
    "softmax(axis=0),relu,softmax(axis=0)",
    "softplus,softmax,softmax(axis=0),tanh",
    "softmax(axis=0),softmax(axis=none),exponential,softmax",
    "sigmoid,softmax(axis=none),selu,softmax(axis=(0,1)),softsign",
]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_keeps_every_dtype_and_every_null(name: str) -> None:
    x, absent = data(1, 50, 4)
    types = [F16, F32, F64, F32]
    table = columns_of(x, absent, types)
    done = run(name, table, [13])
    assert done.schema == table.schema
    found, nulls = numbers(done, 4)
    assert (nulls == absent).all()
    exact = exactly(name, x)
    for n, digits in enumerate((2.0**-10, 2.0**-21, 2.0**-50, 2.0**-21)):
        np.testing.assert_allclose(
            found[:, n][~absent[:, n]], exact[:, n][~absent[:, n]], rtol=digits, atol=2.0**-24
        )


def test_a_null_is_not_zero_after_an_activation_and_nan_is_no_null() -> None:
    table = pa.table(
        {
            "a": pa.array([None, 0.0, NAN, None], F32),
            "b": pa.array([0.0, None, 1.0, None], F32),
            "c": pa.array([0.0, 0.0, None, None], F32),
        }
    )
    for prefix in ("", "relu,", "elu,", "selu,", "softsign,"):
        done = run(f"{prefix}softmax", table)
        assert done["a"].to_pylist()[:2] == [None, 0.5]
        assert done["b"].to_pylist()[:2] == [0.5, None]
        assert np.isnan(done["a"][2].as_py())
        assert np.isnan(done["b"][2].as_py())
        assert done["c"].to_pylist() == [0.5, 0.5, None, None]
        down = run(f"{prefix}softmax(axis=0)", table, [2])
        assert down["c"].to_pylist() == [0.5, 0.5, None, None]
        assert down["a"][0].as_py() is None
        assert np.isnan(down["a"][1].as_py())


@pytest.mark.parametrize("chain", ["softmax(axis=0)", "softmax", "softmax(axis=none)", "relu"])
def test_infinities_nan_and_nothing_but_nulls(chain: str) -> None:
    table = pa.table({"a": pa.nulls(3, F32), "b": pa.array([-INF, -INF, 1.0], F32)})
    done = run(chain, table, [1])
    assert done["a"].null_count == 3
    assert done["b"].null_count == 0
    infinite = run(chain, pa.table({"a": pa.array([INF, 1.0]), "b": pa.array([0.0, 1.0])}), [1])
    if chain == "softmax(axis=0)":
        assert done["b"].to_pylist() == [0.0, 0.0, 1.0]
        assert np.isnan(infinite["a"].to_pylist()).all()
        assert not np.isnan(infinite["b"].to_pylist()).any()


@pytest.mark.parametrize("garbage", [NAN, INF, 1e30])
@pytest.mark.parametrize("chain", ["softmax", "softmax(axis=0)", "relu,softmax(axis=none)"])
def test_what_lies_under_a_null_does_not_matter(chain: str, garbage: float) -> None:
    def table(under: float) -> pa.Table:
        valid = pa.py_buffer(b"\x05")
        numbers = pa.py_buffer(np.array([1, under, 2], np.float32))
        column = pa.Array.from_buffers(F32, 3, [valid, numbers])
        return pa.table({"a": column, "b": pa.array([1, 2, 3], F32)})

    assert run(chain, table(garbage)).equals(run(chain, table(0)))


def test_columns_next_to_each_other_overflow_to_inf_as_by_themselves() -> None:
    table = pa.table({"h": pa.array(np.ones(2, np.float16)), "f": pa.array([1.0, 2.0], F32)})
    done = run("softmax,relu(alpha=1e8,threshold=1)", table)
    assert done["h"].to_pylist() == [-INF, -INF]
    assert not np.isinf(done["f"].to_pylist()).any()


def test_numbers_of_other_kinds_take_part_when_named() -> None:
    table = pa.table(
        {
            "b": [True, None, False],
            "d": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(9, 2)),
            "i": pa.array([-3, None, 2**62 + 1], pa.int64()),
            "x": pa.array([1.0, 2.0, 3.0], F32),
        }
    )
    done = run("relu", table, columns=("b,d,i",))
    assert done.to_pydict() == {
        "b": [1.0, None, 0.0],
        "d": [1.5, None, 0.0],
        "i": [0, None, 2**62 + 1],
        "x": [1.0, 2.0, 3.0],
    }
    assert done.schema.types == [F32, F64, pa.int64(), F32]
    across = run("softmax", table, columns=("b,d,x",))
    exact = np.exp([1, 1.5, 1]) / np.exp([1, 1.5, 1]).sum()
    found = [across[n][0].as_py() for n in "bdx"]
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    assert across.schema.types == [F32, F64, pa.int64(), F32]


@pytest.mark.parametrize("chain", ["relu", *CHAINS])
def test_a_table_without_rows(chain: str) -> None:
    schema = pa.schema([("x0", F32), ("x1", F64), ("t", pa.string())])
    done = run(chain, schema.empty_table())
    assert done.schema == schema
    assert done.num_rows == 0
    empty_lists = pa.schema([("v", pa.list_(F32)), ("f", pa.list_(F32, 0))]).empty_table()
    assert run("softmax", empty_lists).num_rows == 0


def test_columns_of_the_same_name_each_come_out() -> None:
    columns = [pa.array([-1.0, 2.0]), pa.array(["a", "b"]), pa.array([3.0, -4.0], F32)]
    table = pa.Table.from_arrays(columns, ["x", "x", "x"])
    done = run("relu", table)
    assert [c.to_pylist() for c in done.columns] == [[0.0, 2.0], ["a", "b"], [3.0, 0.0]]
    assert run("softmax", table).column(1).equals(table.column(1))


def test_field_and_schema_metadata_stay_where_types_change() -> None:
    field = pa.field("x", F32, nullable=False, metadata={"unit": "logit"})
    schema = pa.schema([field, ("t", pa.string())], {"origin": "test"})
    table = pa.Table.from_arrays([pa.array([1.0], F32), pa.array(["a"])], schema=schema)
    done = run("relu", table, dtype="f8")
    assert done.schema.equals(schema.set(0, field.with_type(F64)), check_metadata=True)

"""A chain over a table agrees with float64 NumPy, whatever the cut, and nulls take no part.

Softmax's error is at most (4 + |x - max|/2) * 2**-23 of the result in float32, as documented.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.chain import Chain
from kact_cli.errors import UsageError
from kact_cli.options import Options
from kact_cli.tables.arrays import numpy_dtype
from kact_cli.tables.job import TableJob, TableRun
from tests.tools.numbers import EXACT, Array

F16, F32, F64 = pa.float16(), pa.float32(), pa.float64()
NAN, INF = float("nan"), float("inf")
ACROSS, DOWN, BOTH = "softmax", "softmax(axis=0)", "softmax(axis=none)"


def job_of(chain: str, schema: pa.Schema, **options: Any) -> TableJob:
    for name in ("dtype", "compute_dtype"):
        if name in options:
            options[name] = np.dtype(options[name])
    return TableJob.make(Chain.parse(chain), schema, Options(**options))


def run(chain: str, table: pa.Table, cuts: Sequence[int] = (), **options: Any) -> pa.Table:
    """The chain over the table, in batches that end at the rows `cuts` (slices of one another)."""
    work = TableRun(job_of(chain, table.schema, **options))
    job = work.job
    (whole,) = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
    ends = [0, *sorted(cuts), whole.num_rows]
    batches = [whole.slice(a, b - a) for a, b in pairwise(ends)]
    for passed in range(job.passes - 1):
        streamed = ([b.column(i) for i in job.streamed_columns] for b in batches)
        work.collect(passed, streamed)
    done = pa.Table.from_batches([work.batch(b) for b in batches], job.result)
    done.validate(full=True)
    return done


def softmax(x: Array, absent: Array, axis: Any) -> Array:
    """Softmax in float64 over what is there."""
    with np.errstate(all="ignore"):
        x = np.where(absent, -np.inf, x)
        e = np.exp(x - x.max(axis=axis, keepdims=True, initial=-np.inf))
        return e / e.sum(axis=axis, keepdims=True)


def expected(chain: str, x: Array, absent: Array) -> Array:
    """The chain of (rows, columns) in float64; parameters are the defaults."""
    for step in Chain.parse(chain).steps:
        if step.name == "softmax":
            x = softmax(x, absent, step.axis)
        else:
            with np.errstate(all="ignore"):
                x = EXACT[step.name](x)
    return x


def columns_of(x: Array, absent: Array, types: Sequence[pa.DataType]) -> pa.Table:
    """A table of the columns of `x`, null where `absent`, between others that pass through."""
    arrays = {
        f"x{n}": pa.array(x[:, n].astype(numpy_dtype(t)), t, mask=absent[:, n])
        for n, t in enumerate(types)
    }
    rows = pa.array(range(len(x)))
    return pa.table({"id": rows, **arrays, "text": rows.cast(pa.string())})


def numbers(table: pa.Table, count: int) -> tuple[Array, Array]:
    """The columns x0, x1, ... as float64, and where they are null."""
    found = [table[f"x{n}"].combine_chunks() for n in range(count)]
    values = [c.cast(F64).fill_null(0).to_numpy(zero_copy_only=False) for c in found]
    masks = [c.is_null().to_numpy(zero_copy_only=False) for c in found]
    return np.stack(values, 1), np.stack(masks, 1)


def data(seed: int, rows: int, width: int, nulls: float = 0.2) -> tuple[Array, Array]:
    """Normal numbers that are the same in every dtype, and where they are null."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 4, (rows, width)).astype(np.float16).astype(np.float64)
    return x, rng.random((rows, width)) < nulls


def softmax_error(x: Array, absent: Array, axis: Any, bits: int = 23) -> Array:
    """The most that a softmax may be off, as a share of the result."""
    shown = np.where(absent, -np.inf, x)
    peak = shown.max(axis=axis, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        return (4 + np.abs(x - peak) / 2) * 2.0**-bits


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


@pytest.mark.parametrize("name", sorted(EXACT))
def test_elementwise_keeps_every_dtype_and_every_null(name: str) -> None:
    x, absent = data(1, 50, 4)
    types = [F16, F32, F64, F32]
    table = columns_of(x, absent, types)
    done = run(name, table, [13])
    assert done.schema == table.schema
    found, nulls = numbers(done, 4)
    assert (nulls == absent).all()
    exact = EXACT[name](x)
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


def lists(seed: int, rows: int = 40) -> tuple[list[Any], list[Any]]:
    """Lists with nulls, empty and null lists; and how softmax(relu) comes out, in float64."""
    rng = np.random.default_rng(seed)
    before: list[Any] = []
    after: list[Any] = []
    for _ in range(rows):
        if rng.random() < 0.15:
            before.append(None)
            after.append(None)
            continue
        x = rng.normal(0, 3, rng.integers(0, 6)).astype(np.float16).astype(np.float64)
        absent = rng.random(len(x)) < 0.2
        done = softmax(np.maximum(x, 0), absent, -1) if len(x) else x
        for found, given_ in ((before, x), (after, done)):
            found.append([None if n else v for v, n in zip(given_.tolist(), absent, strict=True)])
    return before, after


def pairs(found: Any, exact: Any) -> Iterator[tuple[float, float]]:
    """The numbers of two nested lists side by side; nulls and lengths have to be the same."""
    assert (found is None) == (exact is None)
    if isinstance(exact, list):
        assert len(found) == len(exact)
        for a, b in zip(found, exact, strict=True):
            yield from pairs(a, b)
    elif exact is not None:
        yield found, exact


def assert_close(found: Any, exact: Any, rtol: float = 1e-6) -> None:
    both = np.array(list(pairs(found, exact))).reshape(-1, 2)
    np.testing.assert_allclose(both[:, 0], both[:, 1], rtol=rtol)


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
    ("chain", "message"),
    [
        ("softmax(axis=2)", "axis 2 is out of range: a tensor (rows, columns) has axes -2 to 1"),
        ("softmax(axis=(1,-1))", "names the same axis twice"),
    ],
)
def test_axes_that_columns_have_not(chain: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(").replace(")", r"\)")):
        job_of(chain, pa.schema([("a", F32), ("b", F32)]))


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


@pytest.mark.parametrize("chain", ["relu", *CHAINS])
def test_a_table_without_rows(chain: str) -> None:
    schema = pa.schema([("x0", F32), ("x1", F64), ("t", pa.string())])
    done = run(chain, schema.empty_table())
    assert done.schema == schema
    assert done.num_rows == 0
    empty_lists = pa.schema([("v", pa.list_(F32)), ("f", pa.list_(F32, 0))]).empty_table()
    assert run("softmax", empty_lists).num_rows == 0


def test_fixed_size_lists_of_nothing() -> None:
    table = pa.table({"f": pa.array([[], None, []], pa.list_(F32, 0))})
    for chain in ("softmax", "softmax(axis=0)", "relu"):
        assert run(chain, table, [1]).equals(table)


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

"""Levels and values say the same as the arrays that they were made from, as pyarrow reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.formats.parquet.levels import Values, join, page_dtype, take_apart
from kact_cli.formats.parquet.metadata.schema import OPTIONAL, REPEATED, REQUIRED, Leaf
from kact_cli.tables.schema import numpy_dtype
from tests.tools.parquet import rewritten

LIST_LEAF = Leaf((b"v", b"list", b"element"), 4, 0, (OPTIONAL, REPEATED, OPTIONAL))


def kinds(depth: int) -> st.SearchStrategy[pa.DataType]:
    leaf = st.sampled_from([pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.uint32()])
    if depth == 0:
        return leaf
    element = st.builds(
        lambda kind, nullable: pa.field("element", kind, nullable), kinds(depth - 1), st.booleans()
    )
    return element.flatmap(
        lambda e: st.sampled_from([pa.list_(e), pa.large_list(e), pa.list_(e, 2)])
    )


def items(field: pa.Field) -> st.SearchStrategy[Any]:
    kind = field.type
    values: st.SearchStrategy[Any]
    if pa.types.is_fixed_size_list(kind):
        values = st.lists(items(kind.value_field), min_size=2, max_size=2)
    elif pa.types.is_nested(kind):
        values = st.lists(items(kind.value_field), max_size=4)
    elif pa.types.is_floating(kind):
        values = st.sampled_from([0.0, 1.5, -2.0, float("nan")]).map(numpy_dtype(kind).type)
    else:
        values = st.integers(0, 100)
    return st.none() | values if field.nullable else values


@given(st.data(), st.integers(0, 3), st.booleans())
def test_any_array_comes_back(
    tmp_path: Path, data: st.DataObject, depth: int, nullable: bool
) -> None:
    field = pa.field("v", data.draw(kinds(depth)), nullable)
    rows = data.draw(st.lists(items(field), min_size=1, max_size=30))
    before = pa.table([pa.array(rows, field.type)], pa.schema([field]))
    version = data.draw(st.sampled_from(["1.0", "2.0"]))
    pq.write_table(before, tmp_path / "in", row_group_size=20, data_page_version=version)
    target = rewritten(tmp_path / "in", tmp_path / "out", ["v"], compute=lambda b: b.columns)
    after = pq.read_table(target)
    assert after.schema == before.schema
    assert repr(after["v"].to_pylist()) == repr(before["v"].to_pylist())


def parts(array: pa.Array, page_bytes: int = 1 << 20) -> Values:
    return join(list(take_apart(array, LIST_LEAF, page_bytes)), LIST_LEAF)


@pytest.mark.parametrize("page_bytes", [1, 10, 1 << 20])
def test_levels_of_a_list(page_bytes: int) -> None:
    array = pa.array([[1, None], None, [], [2]], pa.list_(pa.float32()))
    values = parts(array, page_bytes)
    assert values.rows == 4
    assert values.slots == 5
    assert values.repetition is not None
    assert values.definition is not None
    assert values.repetition.tolist() == [0, 1, 0, 0, 0]
    assert values.definition.tolist() == [3, 2, 0, 1, 3]
    assert values.values.tolist() == [1, 2]


def test_what_lies_under_a_null_list_is_not_a_value() -> None:
    child = pa.array([1, 2, None, 4, 5], pa.float32())
    offsets = pa.array([0, 2, 4, 5], pa.int32())
    array = pa.ListArray.from_arrays(offsets, child, mask=pa.array([False, True, False]))
    assert parts(array).values.tolist() == [1, 2, 5]
    fixed = pa.FixedSizeListArray.from_arrays(child.slice(0, 4), 2, mask=pa.array([True, False]))
    values = parts(fixed)
    assert values.values.tolist() == [4]
    assert values.definition is not None
    assert values.definition.tolist() == [0, 2, 3]


def test_slices_are_taken_apart_as_what_they_show() -> None:
    rows = [[1.0, None], None, [], [2.0], [3.0, 4.0], None, [None]] * 5
    array = pa.array(rows, pa.list_(pa.float32()))
    for start in range(0, 20, 3):
        piece = array.slice(start, 11)
        fresh = pa.array(rows[start : start + 11], array.type)
        found, expected = vars(parts(piece)), vars(parts(fresh))
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])


def test_a_null_where_the_schema_allows_none_is_refused() -> None:
    leaf = Leaf((b"x",), 4, 0, (REQUIRED,))
    with pytest.raises(ValueError, match="a null where the schema allows none"):
        list(take_apart(pa.array([1.0, None], pa.float32()), leaf, 100))


@pytest.mark.parametrize(
    ("kind", "physical", "length", "dtype"),
    [
        (pa.float32(), 4, 0, "<f4"),
        (pa.float16(), 7, 2, "<f2"),
        (pa.float16(), 7, 4, None),
        (pa.int8(), 1, 0, "<i4"),
        (pa.uint32(), 2, 0, None),
        (pa.string(), 6, 0, None),
        (pa.decimal128(9, 2), 7, 4, None),
        (pa.list_(pa.float32()), 4, 0, None),
        (pa.bool_(), 0, 0, None),
        (pa.float32(), 5, 0, None),
    ],
)
def test_only_numbers_stored_as_expected_are_taken(
    kind: pa.DataType, physical: int, length: int, dtype: str | None
) -> None:
    found = page_dtype(kind, Leaf((b"x",), physical, length, (OPTIONAL,)))
    assert found == (None if dtype is None else np.dtype(dtype))

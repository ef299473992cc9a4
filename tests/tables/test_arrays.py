"""Arrow arrays to NumPy and back: slices, nulls with garbage under them, lists of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.tables.arrays import Leaves, arrow_array, null_mask, values
from kact_cli.tables.schema import leaf_type, numpy_dtype, result_type
from tests.tools.tables import F32, LISTS, TENSORS

SCALARS = [pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.uint16(), pa.int64(), pa.bool_()]


def cells(type_: pa.DataType) -> st.SearchStrategy[Any]:
    """Python values of an Arrow type, None included."""
    if isinstance(type_, pa.FixedShapeTensorType):
        type_ = type_.storage_type
    if pa.types.is_fixed_size_list(type_):
        size = type_.list_size
        item: Any = st.lists(cells(type_.value_type), min_size=size, max_size=size)
    elif pa.types.is_list(type_) or pa.types.is_large_list(type_):
        item = st.lists(cells(type_.value_type), max_size=3)
    elif pa.types.is_floating(type_):
        width = type_.bit_width
        item = st.floats(width=width, allow_nan=False)
        item = item.map(np.float16) if width == 16 else item
    elif pa.types.is_boolean(type_):
        item = st.booleans()
    else:
        info = np.iinfo(numpy_dtype(type_))
        item = st.integers(int(info.min), int(info.max))
    return st.none() | item


def made(data: st.DataObject, type_: pa.DataType, most: int = 20) -> pa.Array:
    """An array of `type_`, cut out of a longer one."""
    given_ = data.draw(st.lists(cells(type_), max_size=most))
    if isinstance(type_, pa.FixedShapeTensorType):
        array = pa.ExtensionArray.from_storage(type_, pa.array(given_, type_.storage_type))
    else:
        array = pa.array(given_, type_)
    start = data.draw(st.integers(0, len(given_)))
    return array.slice(start, data.draw(st.integers(0, len(given_) - start)))


def plain(array: pa.Array) -> list[Any]:
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    found: list[Any] = storage.to_pylist()
    return found


def flat(item: Any) -> list[Any]:
    """The innermost values of nested Python lists, without what a null list hides."""
    if isinstance(item, list):
        return [value for inner in item for value in flat(inner)]
    return [item]


@pytest.mark.parametrize("type_", SCALARS, ids=str)
@given(data=st.data())
def test_scalars_come_back_from_any_slice(type_: pa.DataType, data: st.DataObject) -> None:
    array = made(data, type_)
    found, nulls = values(array), null_mask(array)
    assert found.dtype == numpy_dtype(type_)
    assert len(found) == len(array)
    assert (nulls is None) == (array.null_count == 0)
    mask = np.zeros(len(array), bool) if nulls is None else nulls
    assert mask.tolist() == array.is_null().to_pylist()
    expected = array.drop_null().to_pylist()
    assert found[~mask].tolist() == expected
    if not pa.types.is_boolean(type_):
        again = arrow_array(found, nulls, type_)
        again.validate(full=True)
        assert again.equals(array)


@pytest.mark.parametrize("type_", LISTS + TENSORS, ids=str)
@given(data=st.data())
def test_lists_come_back_from_any_slice(type_: pa.DataType, data: st.DataObject) -> None:
    array = made(data, type_)
    leaves = Leaves.of(array)
    found = values(leaves.values)
    again = leaves.rebuild(found, type_)
    again.validate(full=True)
    assert again.type.equals(type_, check_metadata=True)
    assert plain(again) == plain(array)
    nulls = leaves.nulls()
    mask = np.zeros(len(found), bool) if nulls is None else nulls
    kept = [value for row in plain(array) for value in flat(row) if value is not None]
    assert found[~mask].tolist() == kept


@pytest.mark.parametrize("type_", [*LISTS, TENSORS[0]], ids=str)
@given(data=st.data())
def test_other_values_go_where_their_own_were(type_: pa.DataType, data: st.DataObject) -> None:
    array = made(data, type_)
    leaves = Leaves.of(array)
    new = np.arange(len(leaves.values), dtype=np.float64)
    wide = result_type(type_, np.dtype(np.float64))
    again = leaves.rebuild(new, wide)
    again.validate(full=True)
    assert leaf_type(wide) == pa.float64()

    def shape(item: Any) -> Any:
        return [shape(i) for i in item] if isinstance(item, list) else item is None

    assert [shape(row) for row in plain(again)] == [shape(row) for row in plain(array)]
    rising = [value for row in plain(again) for value in flat(row) if value is not None]
    assert rising == sorted(rising)


def garbage_under_nulls() -> pa.Array:
    """Lists of which the second is null, and hides two values."""
    inner = pa.array([1, 2, 3, 4, 5], F32)
    offsets = pa.py_buffer(np.array([0, 1, 3, 3, 5], np.int32))
    valid = pa.py_buffer(np.packbits([1, 0, 1, 1], bitorder="little"))
    return pa.Array.from_buffers(pa.list_(F32), 4, [valid, offsets], children=[inner])


@pytest.mark.parametrize(("start", "length"), [(0, 4), (1, 2), (1, 3), (2, 2), (1, 1), (3, 0)])
def test_what_lies_under_a_null_list_is_null(start: int, length: int) -> None:
    array = garbage_under_nulls().slice(start, length)
    leaves = Leaves.of(array)
    found, nulls = values(leaves.values), leaves.nulls()
    mask = np.zeros(len(found), bool) if nulls is None else nulls
    assert found[~mask].tolist() == [v for row in array.to_pylist() if row for v in row]
    assert leaves.rebuild(found, array.type).equals(array)


def test_garbage_under_null_numbers_is_not_seen() -> None:
    buffers = [pa.py_buffer(b"\x05"), pa.py_buffer(np.array([1, np.nan, 3], np.float32))]
    array = pa.Array.from_buffers(F32, 3, buffers)
    nulls = null_mask(array)
    assert nulls is not None
    assert nulls.tolist() == [False, True, False]
    assert arrow_array(values(array), nulls, F32).to_pylist() == [1, None, 3]


@pytest.mark.parametrize("type_", [*SCALARS, *LISTS, *TENSORS], ids=str)
def test_all_null_and_none_at_all(type_: pa.DataType) -> None:
    storage = type_.storage_type if isinstance(type_, pa.FixedShapeTensorType) else type_
    for count in (0, 3):
        array = pa.nulls(count, storage)
        if isinstance(type_, pa.FixedShapeTensorType):
            array = pa.ExtensionArray.from_storage(type_, array)
        if type_ in SCALARS:
            assert len(values(array)) == count
            continue
        leaves = Leaves.of(array)
        again = leaves.rebuild(values(leaves.values), type_)
        again.validate(full=True)
        assert again.null_count == count

"""What Arrow types come to: NumPy's dtypes, the shapes of rows, the types of results."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from kact_cli.tables.arrays import null_mask, values
from kact_cli.tables.columns import Kind
from kact_cli.tables.schema import describe, item_shape, leaf_type, numpy_dtype, result_type
from tests.tools.tables import F32, LISTS, TENSORS


@pytest.mark.parametrize(
    "type_",
    [
        pa.decimal32(7, 2),
        pa.decimal64(9, 2),
        pa.decimal128(20, 2),
        pa.decimal256(40, 2),
    ],
    ids=str,
)
def test_decimals_are_float64(type_: pa.DataType) -> None:
    array = pa.array([Decimal("9.99"), Decimal("1.10"), None, Decimal("-2.25")], type_)[1:]
    assert values(array)[[0, 2]].tolist() == [1.1, -2.25]
    assert null_mask(array) is not None
    assert numpy_dtype(type_) == np.float64
    assert result_type(type_, np.dtype(np.float64)) == pa.float64()


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        (pa.float16(), Kind.FLOAT),
        (pa.uint64(), Kind.INTEGER),
        (pa.bool_(), Kind.BOOLEAN),
        (pa.decimal128(9, 2), Kind.DECIMAL),
        (pa.list_(pa.list_(F32, 2)), Kind.LIST),
        (TENSORS[0], Kind.LIST),
        (pa.list_(pa.int64()), Kind.OTHER_LIST),
        (pa.list_(pa.bool_()), Kind.OTHER_LIST),
        (pa.list_(pa.decimal128(9, 2)), Kind.LIST),
        (pa.fixed_shape_tensor(pa.int8(), (2,)), Kind.OTHER_LIST),
        (pa.list_(pa.struct({"x": F32})), Kind.OTHER),
        (pa.struct({"x": F32}), Kind.OTHER),
        (pa.map_(pa.string(), F32), Kind.OTHER),
        (pa.dictionary(pa.int8(), F32), Kind.FLOAT),
        (pa.dictionary(pa.int8(), pa.int64()), Kind.INTEGER),
        (pa.dictionary(pa.int8(), pa.string()), Kind.OTHER),
        (pa.run_end_encoded(pa.int16(), F32), Kind.FLOAT),
        (pa.run_end_encoded(pa.int16(), pa.string()), Kind.OTHER),
        (pa.list_(pa.dictionary(pa.int8(), F32)), Kind.OTHER),
        (pa.list_view(F32), Kind.LIST),
        (pa.large_list_view(pa.list_view(pa.uint8())), Kind.OTHER_LIST),
        (pa.date32(), Kind.OTHER),
        (pa.timestamp("s"), Kind.OTHER),
        (pa.duration("s"), Kind.OTHER),
        (pa.null(), Kind.OTHER),
        (pa.binary(4), Kind.OTHER),
        (pa.uuid(), Kind.OTHER),
        (pa.bool8(), Kind.OTHER),
    ],
    ids=str,
)
def test_what_a_column_holds(type_: pa.DataType, kind: Kind) -> None:
    assert describe(pa.field("x", type_)).kind is kind


def test_shapes_of_rows() -> None:
    assert item_shape(LISTS[5]) == ((2, None), None)
    assert item_shape(LISTS[6]) == ((3, 2), None)
    assert item_shape(TENSORS[0]) == ((2, 3), None)
    assert item_shape(TENSORS[1]) == ((2, 3, 2), (2, 0, 1))


@pytest.mark.parametrize("kind", ["int", "uint", "float"])
def test_every_number_has_numpys_dtype_of_its_name(kind: str) -> None:
    for bits in (8, 16, 32, 64)[kind == "float" :]:
        name = f"{kind}{bits}"
        assert numpy_dtype(pa.list_(pa.type_for_alias(name))) == np.dtype(name)
    assert numpy_dtype(pa.bool_()) == np.dtype(bool)
    assert numpy_dtype(pa.decimal128(9, 2)) == np.dtype(np.float64)


@pytest.mark.parametrize("type_", [*LISTS, *TENSORS], ids=str)
def test_a_type_stays_where_the_dtype_does(type_: pa.DataType) -> None:
    same = numpy_dtype(type_)
    assert result_type(type_, same).equals(type_, check_metadata=True)
    other = np.dtype(np.float16 if same != np.float16 else np.float32)
    changed = result_type(type_, other)
    assert leaf_type(changed) == pa.from_numpy_dtype(other)
    assert item_shape(changed) == item_shape(type_)
    if isinstance(type_, pa.FixedShapeTensorType):
        assert changed.dim_names == type_.dim_names
    elif pa.types.is_list(type_):
        assert changed.value_field.name == type_.value_field.name
        assert changed.value_field.metadata == type_.value_field.metadata

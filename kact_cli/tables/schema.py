"""The types of Arrow's columns: which hold numbers, as what, and what types their results have."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa

from kact_cli.tables.columns import Column, Kind


def describe(field: pa.Field) -> Column:
    """What a column of an Arrow schema holds."""
    kind, fault = _kind(decoded_type(field.type)), "not numeric"
    if kind is Kind.OTHER and pa.types.is_struct(field.type):
        inside = field.type.field(0).name if field.type.num_fields else "FIELD"
        fault = f"whose fields are named one by one, as {field.name}.{inside}"
    elif kind is Kind.OTHER and _holds_numbers(field.type):
        fault = "whose numbers kact does not compute"
    return Column(field.name, kind, type_name(field.type), fault=fault)


def pandas_index(schema: pa.Schema) -> set[str]:
    """The columns that hold the index of a DataFrame.

    As its metadata say: https://pandas.pydata.org/docs/development/developer.html
    """
    written = (schema.metadata or {}).get(b"pandas", b"{}")
    try:
        index = json.loads(written)["index_columns"]
        return {name for name in index if isinstance(name, str)}  # else it is a range
    except (ValueError, KeyError, TypeError, RecursionError):
        return set()


def type_name(type_: pa.DataType) -> str:
    """An Arrow type with its floats spelled as NumPy and `--dtype` spell them: float64, not double.

    What stands before a colon is a field's name.
    """
    return re.sub(r"\b(halffloat|float|double)\b(?!:)", lambda m: _FLOATS[m[1]], str(type_))


_FLOATS = {"halffloat": "float16", "float": "float32", "double": "float64"}


def _kind(type_: pa.DataType) -> Kind:
    scalar, listed = _KINDS.get(_number(leaf_type(type_)), (Kind.OTHER, Kind.OTHER))
    return listed if is_list(storage_of(type_)) else scalar


_KINDS = {
    "f": (Kind.FLOAT, Kind.LIST),
    "d": (Kind.DECIMAL, Kind.LIST),
    "i": (Kind.INTEGER, Kind.OTHER_LIST),
    "u": (Kind.INTEGER, Kind.OTHER_LIST),
    "b": (Kind.BOOLEAN, Kind.OTHER_LIST),
}


def _number(type_: pa.DataType) -> str:
    """What kind of number a type is, by NumPy's letter or `d` of decimals; "" of what is none."""
    t = pa.types
    if t.is_decimal(type_):
        return "d"
    if t.is_boolean(type_):
        return "b"
    if t.is_integer(type_):
        return "i" if t.is_signed_integer(type_) else "u"
    return "f" if t.is_floating(type_) else ""


def _holds_numbers(type_: pa.DataType) -> bool:
    """Whether there are numbers anywhere in a type."""
    if isinstance(type_, pa.BaseExtensionType):
        return _holds_numbers(type_.storage_type)
    if _is_encoded(type_):
        return _holds_numbers(type_.value_type)
    inside = (type_.field(i).type for i in range(type_.num_fields))
    return bool(_number(type_)) or any(map(_holds_numbers, inside))


def _is_encoded(type_: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_))


def decoded_type(type_: pa.DataType) -> pa.DataType:
    """The type of the values of what is encoded as a dictionary or as runs; other types as they
    are."""
    return type_.value_type if _is_encoded(type_) and _number(type_.value_type) else type_


def is_list(type_: pa.DataType) -> bool:
    t = pa.types
    return bool(
        t.is_list(type_) or t.is_large_list(type_) or t.is_fixed_size_list(type_) or is_view(type_)
    )


def is_view(type_: pa.DataType) -> bool:
    """Whether lists lie anywhere in the values, and are told by where each starts and its size."""
    return bool(pa.types.is_list_view(type_) or pa.types.is_large_list_view(type_))


def is_large(type_: pa.DataType) -> bool:
    return bool(pa.types.is_large_list(type_) or pa.types.is_large_list_view(type_))


def storage_of(type_: pa.DataType) -> pa.DataType:
    """The lists that a tensor type is stored as; other types as they are."""
    return type_.storage_type if isinstance(type_, pa.FixedShapeTensorType) else type_


def leaf_type(type_: pa.DataType) -> pa.DataType:
    """The type of the values inside lists, of any depth; of other types, the type itself."""
    type_ = storage_of(decoded_type(type_))
    while is_list(type_):
        type_ = type_.value_type
    return type_


def item_shape(type_: pa.DataType) -> tuple[tuple[int | None, ...], tuple[int, ...] | None]:
    """The shape of a row of a list column, None where lengths vary, and a tensor's permutation."""
    if isinstance(type_, pa.FixedShapeTensorType):
        permutation = type_.permutation
        return tuple(type_.shape), tuple(permutation) if permutation else None
    shape: list[int | None] = []
    while is_list(type_):
        shape.append(type_.list_size if pa.types.is_fixed_size_list(type_) else None)
        type_ = type_.value_type
    return tuple(shape), None


def numpy_dtype(type_: pa.DataType) -> np.dtype[Any]:
    """The dtype of a column's values, those inside lists included; of decimals float64."""
    leaf = leaf_type(type_)
    kind = _number(leaf)
    if kind == "d":
        return np.dtype(np.float64)
    return np.dtype(np.bool_) if kind == "b" else np.dtype(f"{kind}{leaf.bit_width // 8}")


def arrow_type(dtype: np.dtype[Any]) -> pa.DataType:
    """The type of the values of a NumPy array, in whatever byte order they are."""
    return pa.from_numpy_dtype(dtype.newbyteorder("="))


def result_type(type_: pa.DataType, dtype: np.dtype[Any]) -> pa.DataType:
    """The type of a column of `type_` whose values come out as `dtype`: its own where it can be.

    What is encoded as a dictionary or as runs comes out as plain numbers, which repeat no more.
    """
    type_ = decoded_type(type_)
    leaf = leaf_type(type_)
    if not pa.types.is_decimal(leaf) and numpy_dtype(leaf) == dtype:
        return type_
    if isinstance(type_, pa.FixedShapeTensorType):
        return pa.fixed_shape_tensor(
            arrow_type(dtype), type_.shape, type_.dim_names, type_.permutation
        )
    if not is_list(type_):
        return arrow_type(dtype)
    return with_values(type_, type_.value_field.with_type(result_type(type_.value_type, dtype)))


def with_values(type_: pa.DataType, field: pa.Field) -> pa.DataType:
    """The type of lists like those of `type_`, of the values that `field` says."""
    if pa.types.is_fixed_size_list(type_):
        return pa.list_(field, type_.list_size)
    if is_view(type_):
        return pa.large_list_view(field) if is_large(type_) else pa.list_view(field)
    return pa.large_list(field) if is_large(type_) else pa.list_(field)


def plain(type_: pa.DataType) -> pa.DataType:
    """The type without what is noted of the values in lists: a Parquet file's field ids, say."""
    if isinstance(type_, pa.BaseExtensionType) or not is_list(type_):
        return type_
    field = type_.value_field
    return with_values(type_, pa.field(field.name, plain(field.type), field.nullable))

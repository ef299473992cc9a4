"""Between Arrow arrays and the blocks that a part computes on.

Everything works from buffers and validity bitmaps: `to_numpy` turns integers with nulls into
float64 and lists into objects, and the child of a list array does not know of the list's slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kact_cli.tables.columns import Column, Kind
from kact_cli.types import Array


def describe(field: pa.Field) -> Column:
    """What a column of an Arrow schema holds."""
    return Column(field.name, _kind(field.type), str(field.type))


def _kind(type_: pa.DataType) -> Kind:
    t = pa.types
    if t.is_floating(type_):
        return Kind.FLOAT
    if t.is_integer(type_):
        return Kind.INTEGER
    if t.is_boolean(type_):
        return Kind.BOOLEAN
    if t.is_decimal(type_):
        return Kind.DECIMAL
    is_list = isinstance(type_, pa.BaseExtensionType) or _is_list(type_)
    return Kind.LIST if is_list and t.is_floating(leaf_type(type_)) else Kind.OTHER


def _is_list(type_: pa.DataType) -> bool:
    t = pa.types
    return bool(t.is_list(type_) or t.is_large_list(type_) or t.is_fixed_size_list(type_))


def leaf_type(type_: pa.DataType) -> pa.DataType:
    """The type of the values inside lists, of any depth; of other types, the type itself."""
    if isinstance(type_, pa.FixedShapeTensorType):
        type_ = type_.storage_type
    while _is_list(type_):
        type_ = type_.value_type
    return type_


def item_shape(type_: pa.DataType) -> tuple[tuple[int | None, ...], tuple[int, ...] | None]:
    """The shape of a row of a list column, None where lengths vary, and a tensor's permutation."""
    if isinstance(type_, pa.FixedShapeTensorType):
        permutation = type_.permutation
        return tuple(type_.shape), tuple(permutation) if permutation else None
    shape: list[int | None] = []
    while _is_list(type_):
        shape.append(type_.list_size if pa.types.is_fixed_size_list(type_) else None)
        type_ = type_.value_type
    return tuple(shape), None


def numpy_dtype(type_: pa.DataType) -> np.dtype[Any]:
    """The dtype that a column's values are computed from; decimals as float64."""
    leaf = leaf_type(type_)
    if pa.types.is_decimal(leaf):
        return np.dtype(np.float64)
    dtype: np.dtype[Any] = np.dtype(leaf.to_pandas_dtype())
    return dtype


def result_type(type_: pa.DataType, dtype: np.dtype[Any]) -> pa.DataType:
    """The type of a column of `type_` whose values come out as `dtype`: its own where it can be."""
    if not (_is_list(type_) or isinstance(type_, pa.FixedShapeTensorType)):
        return type_ if _same(type_, dtype) else pa.from_numpy_dtype(dtype)
    if _same(leaf_type(type_), dtype):
        return type_
    if isinstance(type_, pa.FixedShapeTensorType):
        return pa.fixed_shape_tensor(
            pa.from_numpy_dtype(dtype), type_.shape, type_.dim_names, type_.permutation
        )
    field = type_.value_field.with_type(result_type(type_.value_type, dtype))
    if pa.types.is_fixed_size_list(type_):
        return pa.list_(field, type_.list_size)
    return pa.large_list(field) if pa.types.is_large_list(type_) else pa.list_(field)


def _same(leaf: pa.DataType, dtype: np.dtype[Any]) -> bool:
    return not pa.types.is_decimal(leaf) and np.dtype(leaf.to_pandas_dtype()) == dtype


def null_mask(array: pa.Array) -> Array | None:
    """Where `array` is null, or None where it is nowhere."""
    validity = array.buffers()[0]
    if array.null_count == 0 or validity is None:
        return None
    bits = np.frombuffer(validity, np.uint8)
    start = array.offset
    first, last = start // 8, (start + len(array) + 7) // 8
    valid = np.unpackbits(bits[first:last], bitorder="little")[start % 8 :][: len(array)]
    mask: Array = valid == 0
    return mask


def _validity(nulls: Array | None) -> pa.Buffer | None:
    return None if nulls is None else pa.py_buffer(np.packbits(~nulls, bitorder="little"))


def values(array: pa.Array) -> Array:
    """The values of a scalar array as NumPy's, without a copy where there is none to make.

    What stands in the place of a null is anything.
    """
    type_ = array.type
    if pa.types.is_decimal(type_):
        array = array.cast(pa.float64())
    elif pa.types.is_boolean(type_):
        array = array.cast(pa.uint8())
    dtype = numpy_dtype(array.type)
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), dtype)
    found = np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)
    return found.astype(bool) if pa.types.is_boolean(type_) else found


def from_values(data: Array, nulls: Array | None, type_: pa.DataType) -> pa.Array:
    """An array of `type_` of the values `data`, null where `nulls` says."""
    buffers = [_validity(nulls), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(type_, len(data), buffers)


@dataclass(frozen=True)
class Leaves:
    """The values inside a list array, and the way back into an array like it."""

    array: pa.Array
    values: pa.Array
    """The innermost values that belong to the array's rows, null lists included."""
    offsets: Array | None
    """Where each innermost list of variable length starts and ends in `values`."""

    @classmethod
    def of(cls, array: pa.Array) -> Leaves:
        """Descend to the values of a list or tensor array, whatever its slice."""
        if isinstance(array.type, pa.FixedShapeTensorType):
            array = array.storage
        inner, offsets = array, None
        while _is_list(inner.type):
            inner, offsets = _child(inner)
        return cls(array, inner, offsets)

    def nulls(self) -> Array | None:
        """Where a value is null or inside a null list."""
        return _inherited(self.array, None)

    def rebuild(self, data: Array, type_: pa.DataType) -> pa.Array:
        """The array again, of `type_`, with the values `data` in place of its own."""
        storage = type_.storage_type if isinstance(type_, pa.FixedShapeTensorType) else type_
        built = _rebuild(self.array, data, storage)
        if isinstance(type_, pa.FixedShapeTensorType):
            return pa.ExtensionArray.from_storage(type_, built)
        return built


def row_offsets(array: pa.Array) -> Array:
    """Where the values of each row start and end in `Leaves.of(array).values`."""
    if isinstance(array.type, pa.FixedShapeTensorType):
        array = array.storage
    found = np.arange(len(array) + 1)
    while _is_list(array.type):
        inner, offsets = _child(array)
        found = found * array.type.list_size if offsets is None else offsets[found]
        array = inner
    return found


def _offsets(array: pa.Array) -> Array:
    width = np.int64 if pa.types.is_large_list(array.type) else np.int32
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.zeros(1, width)
    return np.frombuffer(data, width, len(array) + 1, array.offset * np.dtype(width).itemsize)


def _child(array: pa.Array) -> tuple[pa.Array, Array | None]:
    """The values of a list array's own rows, and their offsets (None: a fixed length)."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        return array.values.slice(array.offset * size, len(array) * size), None
    offsets = _offsets(array)
    start, end = int(offsets[0]), int(offsets[-1])
    return array.values.slice(start, end - start), offsets - offsets[0]


def _inherited(array: Any, above: Array | None) -> Array | None:
    """The nulls of the innermost values, those of the lists around them included."""
    own = null_mask(array)
    mask = own if above is None else above if own is None else own | above
    if not _is_list(array.type):
        return mask
    child, offsets = _child(array)
    if mask is not None:
        counts = array.type.list_size if offsets is None else np.diff(offsets)
        mask = np.repeat(mask, counts)
    return _inherited(child, mask)


def _rebuild(array: pa.Array, data: Array, type_: pa.DataType) -> pa.Array:
    nulls = null_mask(array)
    if not _is_list(array.type):
        return from_values(data, nulls, type_)
    child, offsets = _child(array)
    built = _rebuild(child, data, type_.value_type)
    buffers = [_validity(nulls)]
    if offsets is not None:
        buffers.append(pa.py_buffer(offsets))
    return pa.Array.from_buffers(type_, len(array), buffers, children=[built])

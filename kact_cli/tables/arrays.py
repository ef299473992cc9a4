"""Between Arrow arrays and NumPy's.

Everything works from buffers and validity bitmaps, not by pyarrow's own conversions. `to_numpy`
turns integers with nulls into float64 and lists into objects, and the child of a list array does
not know of the list's slice. `pyarrow.array`, `to_pandas_dtype`, and every function of pyarrow that
is given one of Python's texts or numbers import pandas where it is installed, to see whether what
they got is pandas's: a third of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kact_cli.tables.columns import ColumnBlock
from kact_cli.tables.schema import (
    arrow_type,
    decoded_type,
    is_large,
    is_list,
    is_view,
    numpy_dtype,
    storage_of,
)
from kact_cli.types import Array


def decoded(array: pa.Array) -> pa.Array:
    """The array as one of `decoded_type`."""
    type_ = array.type
    if decoded_type(type_) is not type_:
        runs = pa.types.is_run_end_encoded(type_)
        if runs:
            import pyarrow.compute as pc  # 40 ms, which other columns need not wait for

            array = pc.run_end_decode(array)
        else:
            array = array.dictionary_decode()
    return array


def valid_mask(array: pa.Array) -> Array | None:
    """Where `array` is not null, or None where it is null nowhere."""
    validity = array.buffers()[0]
    if array.null_count == 0 or validity is None:
        return None
    first, start = divmod(array.offset, 8)
    octets = np.frombuffer(validity, np.uint8)[first : (array.offset + len(array) + 7) // 8]
    bits = np.unpackbits(octets, bitorder="little")[start : start + len(array)]
    return bits.view(np.bool_)


def null_mask(array: pa.Array) -> Array | None:
    """Where `array` is null, or None where it is nowhere."""
    valid = valid_mask(array)
    return None if valid is None else ~valid


def without_nulls(array: pa.Array) -> pa.Array:
    """Numbers or lists of them, with whatever lies there in the place of each null."""
    if not array.null_count:
        return array
    children = [array.values] if is_list(array.type) else None
    rest = array.buffers()[1 : array.type.num_buffers]
    shape = (array.type, len(array), [None, *rest])
    return pa.Array.from_buffers(*shape, offset=array.offset, children=children)


def values(array: pa.Array) -> Array:
    """The values of a scalar array as NumPy's, without a copy where there is none to make.

    Where the array is null, the value is whatever its writer left there.
    """
    type_ = array.type
    if pa.types.is_decimal(type_):
        return _decimals(array)
    if pa.types.is_boolean(type_):
        array = array.cast(pa.uint8())
    dtype = numpy_dtype(array.type)
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), dtype)
    found = np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)
    return found.astype(bool) if pa.types.is_boolean(type_) else found


def _decimals(array: pa.Array) -> Array:
    """The nearest float64 of each decimal, which Arrow's cast misses by up to 2 ULP."""
    type_, count = array.type, len(array)
    width, data = type_.bit_width // 8, array.buffers()[1]
    if data is None:
        return np.zeros(count)
    each = max(1, width // 8)  # words, the lowest first
    words = np.frombuffer(data, f"<i{min(width, 8)}", each * count, array.offset * width)
    low, high = words[::each].astype(np.int64), words.reshape(count, each)[:, 1:]
    if 0 <= type_.scale <= POWERS:
        # Both numbers are exact in float64, so that their quotient is rounded once
        small = (low >= -(2**53)) & (low <= 2**53) & (high == (low >> 63)[:, None]).all(axis=1)
        found: Array = low / 10.0**type_.scale
    else:
        small, found = np.zeros(count, bool), np.zeros(count)
    valid = valid_mask(array)
    rest = np.flatnonzero(~small if valid is None else valid & ~small)
    if len(rest):
        texts = array.take(arrow_array(rest)).cast(pa.string())
        found[rest] = values(texts.cast(pa.float64()))
    return found


POWERS = 22
"""The powers of ten up to here are exact in float64."""


def arrow_array(
    data: Array, nulls: Array | None = None, type_: pa.DataType | None = None
) -> pa.Array:
    """The vector `data` of numbers or booleans as an array, null where `nulls` says.

    `type_` is one that stores the same bytes as that of the dtype, which it is by default.
    Contiguous numbers in native byte order are not copied.
    """
    data = np.ascontiguousarray(data, data.dtype.newbyteorder("="))
    buffer = bitmap(data) if data.dtype == bool else data
    valid = None if nulls is None else pa.py_buffer(bitmap(~nulls))
    type_ = arrow_type(data.dtype) if type_ is None else type_
    return pa.Array.from_buffers(type_, len(data), [valid, pa.py_buffer(buffer)])


def text_array(texts: Sequence[str]) -> pa.StringArray:
    """Texts as an array; an item of it is a scalar for pyarrow's functions of texts."""
    encoded = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def bitmap(flags: Array) -> Array:
    """Booleans as Arrow keeps them: a bit each, the lowest of a byte first."""
    return np.packbits(flags, bitorder="little")


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
        array = stored(array)
        inner, offsets = array, None
        while is_list(inner.type):
            inner, offsets = list_items(inner)
        return cls(array, inner, offsets)

    def nulls(self) -> Array | None:
        """Where a value is null or inside a null list."""
        return _inherited(self.array, None)

    def rebuild(self, data: Array, type_: pa.DataType) -> pa.Array:
        """The array again, of `type_`, with the values `data` in place of its own."""
        built = _rebuild(self.array, data, storage_of(type_))
        is_tensor = isinstance(type_, pa.FixedShapeTensorType)
        return pa.ExtensionArray.from_storage(type_, built) if is_tensor else built


def block_of(array: pa.Array) -> ColumnBlock:
    """The values of an array of numbers, or of lists of them."""
    array = decoded(array)
    leaves = Leaves.of(array)
    if leaves.array is leaves.values:
        return ColumnBlock(values(array), null_mask(array))
    return ColumnBlock(values(leaves.values), leaves.nulls(), row_offsets(array))


def row_offsets(array: pa.Array) -> Array:
    """Where the values of each row start and end in `Leaves.of(array).values`."""
    array = stored(array)
    found = np.arange(len(array) + 1)
    while is_list(array.type):
        inner, offsets = list_items(array)
        found = found * array.type.list_size if offsets is None else offsets[found]
        array = inner
    return found


def stored(array: pa.Array) -> pa.Array:
    """The lists that an array of tensors is stored as; other arrays as they are."""
    return array.storage if isinstance(array.type, pa.FixedShapeTensorType) else array


def _offsets(array: pa.Array) -> Array:
    width = np.int64 if is_large(array.type) else np.int32
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.zeros(1, width)
    return np.frombuffer(data, width, len(array) + 1, array.offset * np.dtype(width).itemsize)


def list_items(array: pa.Array) -> tuple[pa.Array, Array | None]:
    """The values of a list array's own rows, and their offsets (None: a fixed length)."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        return array.values.slice(array.offset * size, len(array) * size), None
    if is_view(array.type):
        # In the order of the lists, without those of lists that are null
        sizes = values(array.sizes)
        nulls = null_mask(array)
        sizes = sizes if nulls is None else np.where(nulls, sizes.dtype.type(0), sizes)
        ends = np.cumsum(sizes, dtype=sizes.dtype)
        return array.flatten(), np.concatenate([[0], ends], dtype=sizes.dtype)
    offsets = _offsets(array)
    start, end = int(offsets[0]), int(offsets[-1])
    return array.values.slice(start, end - start), offsets - offsets[0]


def _inherited(array: Any, above: Array | None) -> Array | None:
    """The nulls of the innermost values, those of the lists around them included."""
    own = null_mask(array)
    mask = own if above is None else above if own is None else own | above
    if not is_list(array.type):
        return mask
    child, offsets = list_items(array)
    if mask is not None:
        counts = array.type.list_size if offsets is None else np.diff(offsets)
        mask = np.repeat(mask, counts)
    return _inherited(child, mask)


def _rebuild(array: pa.Array, data: Array, type_: pa.DataType) -> pa.Array:
    nulls = null_mask(array)
    if not is_list(array.type):
        return arrow_array(data, nulls, type_)
    child, offsets = list_items(array)
    built = _rebuild(child, data, type_.value_type)
    buffers = [None if nulls is None else pa.py_buffer(bitmap(~nulls))]
    if offsets is not None and is_view(type_):
        buffers += [pa.py_buffer(offsets[:-1].copy()), pa.py_buffer(np.diff(offsets))]
    elif offsets is not None:
        buffers.append(pa.py_buffer(offsets))
    return pa.Array.from_buffers(type_, len(array), buffers, children=[built])

"""Structures in Thrift's compact protocol, read from bytes that nobody vouches for.

There are two ways to read one. `read_struct` makes a `Struct` of it, which can be changed and
written. `read_numbers` passes over it and notes the few numbers that are asked for, and where they
are: a fifth of the time and a fiftieth of the memory, which counts where there are 20,000.

Broken and hostile bytes give a DataError: sizes are checked against the bytes that are left before
anything is allocated, nesting and the number of values are limited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Union

from kact_cli.errors import DataError
from kact_cli.formats.parquet.metadata.thrift import (
    BINARY,
    BYTE,
    DOUBLE,
    FALSE,
    I16,
    I64,
    LIST,
    MAP,
    SET,
    STRUCT,
    TRUE,
    UUID,
    Items,
    Pairs,
    Struct,
)

MAX_DEPTH = 32
"""Parquet's own structures nest 7 deep."""
MAX_VALUES = 8_000_000
"""Of one structure: a row group of 100,000 columns has about 6 million."""
MAX_VARINT = 10
"""Bytes of a number of 64 bits."""

ReadItem = Callable[[Struct, int], tuple[Any, int]]
"""Reads an item of a list: the structure around it as far as it has been read, a position -> the
item, and the position after it."""


class Place(int):
    """Where to note the position of a field's value, of any type."""


Wanted = dict[int, Union[int, Place, "Wanted"]]
"""Field id -> where to note the integer, or the wanted fields of the structure, that it holds."""


def read_struct(
    data: bytes, start: int = 0, *, items: Mapping[int, ReadItem] | None = None
) -> tuple[Struct, int]:
    """The structure at `start` in `data`, and where it ends.

    `items` names fields of this outermost structure that are lists of structures, each of which
    the function reads: what it returns is the item.
    """
    reader = _Reader(data, items or {})
    try:
        return reader.struct(start, 0)
    except IndexError:
        raise _cut_off() from None


def read_numbers(
    data: bytes, start: int, wanted: Wanted, numbers: list[int], places: list[int]
) -> int:
    """Note the wanted fields of the structure at `start` in `numbers`; return where it ends.

    Of an integer, `places` gets where it is: 16 times its position, plus its length.
    """
    try:
        return _numbers(data, start, wanted, numbers, places, 0)
    except IndexError:
        raise _cut_off() from None


def read_integers(data: bytes, start: int) -> list[int]:
    """The items of the list of integers at `start`; none where it is another list."""
    try:
        found, _ = _Reader(data, {}).items(start, 0)
    except IndexError:
        raise _cut_off() from None
    return found.values if I16 <= found.kind <= I64 else []


def _cut_off() -> DataError:
    return DataError("broken Parquet metadata: it ends too early")


def _numbers(
    data: bytes, at: int, wanted: Wanted, numbers: list[int], places: list[int], depth: int
) -> int:
    if depth > MAX_DEPTH:
        raise DataError("broken Parquet metadata: nested too deep")
    field = 0
    # The header of a field is read in place, here and in `_Reader.struct`: a footer has millions
    while header := data[at]:
        at += 1
        kind = header & 15
        if header > 15:
            field += header >> 4
        else:
            field, at = _integer(data, at)
        # A field of another type than is wanted is another field, as Thrift's own readers see it
        want = wanted.get(field)
        if I16 <= kind <= I64:
            if type(want) is int:
                if places[want]:
                    raise DataError(f"broken Parquet metadata: field {field} twice")
                start = at
                numbers[want], at = _integer(data, at)
                places[want] = start << 4 | at - start
            else:
                while data[at] > 0x7F:
                    at += 1
                at += 1
        elif kind == STRUCT and type(want) is dict:
            at = _numbers(data, at, want, numbers, places, depth + 1)
        elif kind > FALSE:
            if type(want) is Place:
                numbers[want] = at
            at = _after(data, kind, at, depth)
    return at + 1


def _after(data: bytes, kind: int, at: int, depth: int) -> int:
    """Where a value ends, as it stands in a list, or in a field of any type but the booleans."""
    if kind == BINARY:
        size, at = _varint(data, at)
        return at + size  # beyond the end, where the next byte is missed
    if I16 <= kind <= I64:
        while data[at] > 0x7F:
            at += 1
        return at + 1
    if kind == STRUCT:
        return _numbers(data, at, {}, [], [], depth + 1)
    if depth > MAX_DEPTH:
        raise DataError("broken Parquet metadata: nested too deep")
    if kind in (LIST, SET):
        item, size = data[at] & 15, data[at] >> 4
        at += 1
        if size == 15:
            size, at = _varint(data, at)
        kinds = [item]
    elif kind == MAP:
        size, at = _varint(data, at)
        if size == 0:
            return at
        kinds, at = [data[at] >> 4, data[at] & 15], at + 1
    else:
        return at + _width(kind)
    if size > len(data) - at:
        raise _cut_off()
    for _ in range(size):
        for item in kinds:
            at = _after(data, item, at, depth + 1)
    return at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    result, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift == 7 * MAX_VARINT:
            break
    if result >> 64 or byte > 0x7F:
        raise DataError("broken Parquet metadata: a number of more than 64 bits")
    return result, at + 1


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """A signed number, which is written zigzag: 0, -1, 1, -2, ..."""
    byte = data[at]
    if byte < 0x80:
        return byte >> 1 ^ -(byte & 1), at + 1
    number, at = _varint(data, at)
    return number >> 1 ^ -(number & 1), at


def _width(kind: int) -> int:
    width = {TRUE: 1, FALSE: 1, BYTE: 1, DOUBLE: 8, UUID: 16}.get(kind)
    if width is None:
        raise DataError(f"broken Parquet metadata: there is no wire type {kind}")
    return width


class _Reader:
    """Every method takes a position and returns a value and the position after it."""

    def __init__(self, data: bytes, read: Mapping[int, ReadItem]) -> None:
        self.data = data
        self.read = read
        self.budget = MAX_VALUES

    def spend(self, values: int) -> None:
        self.budget -= values
        if self.budget < 0:
            raise DataError(f"broken Parquet metadata: more than {MAX_VALUES:,} values")

    def size(self, at: int, width: int = 1) -> tuple[int, int]:
        """A number of things of at least `width` bytes each, all of which must be there."""
        size, at = _varint(self.data, at)
        if size * width > len(self.data) - at:
            raise _cut_off()
        return size, at

    def struct(self, at: int, depth: int) -> tuple[Struct, int]:
        if depth > MAX_DEPTH:
            raise DataError("broken Parquet metadata: nested too deep")
        data = self.data
        result = Struct()
        field = 0
        while header := data[at]:
            at += 1
            kind = header & 15
            if header > 15:
                field += header >> 4
            else:
                field, at = _integer(data, at)
            if field in result:
                raise DataError(f"broken Parquet metadata: field {field} twice")
            if kind <= FALSE:
                result[field] = kind, kind == TRUE
            elif kind == LIST and depth == 0 and field in self.read:
                kind_of_items, size, at = self.list_header(at)
                if size and kind_of_items != STRUCT:
                    raise DataError("broken Parquet metadata: a list of another type")
                values = []
                for _ in range(size):
                    item, at = self.read[field](result, at)
                    values.append(item)
                result[field] = kind, Items(kind_of_items, values)
            else:
                value, at = self.value(kind, at, depth)
                result[field] = kind, value
        self.spend(len(result) + 1)
        return result, at + 1

    def list_header(self, at: int) -> tuple[int, int, int]:
        header = self.data[at]
        kind, size = header & 15, header >> 4
        size, at = self.size(at + 1) if size == 15 else (size, at + 1)
        self.spend(size)
        return kind, size, at

    def value(self, kind: int, at: int, depth: int) -> tuple[Any, int]:
        """A value as it stands in a list, or in a field of any type but the booleans."""
        if I16 <= kind <= I64:
            return _integer(self.data, at)
        if kind == BINARY:
            size, at = self.size(at)
            return self.data[at : at + size], at + size
        if kind == STRUCT:
            return self.struct(at, depth + 1)
        if kind in (LIST, SET):
            return self.items(at, depth + 1)
        if kind == MAP:
            return self.pairs(at, depth + 1)
        width = _width(kind)
        if width > len(self.data) - at:
            raise _cut_off()
        return (self.data[at] if width == 1 else self.data[at : at + width]), at + width

    def items(self, at: int, depth: int) -> tuple[Items, int]:
        if depth > MAX_DEPTH:
            raise DataError("broken Parquet metadata: nested too deep")
        kind, size, at = self.list_header(at)
        values: list[Any] = []
        for _ in range(size):
            item, at = self.value(kind, at, depth)
            values.append(item)
        return Items(kind, values), at

    def pairs(self, at: int, depth: int) -> tuple[Pairs, int]:
        if depth > MAX_DEPTH:
            raise DataError("broken Parquet metadata: nested too deep")
        size, at = self.size(at, 2)
        self.spend(2 * size)
        if size == 0:
            return Pairs((0, 0), []), at
        kinds, at = (self.data[at] >> 4, self.data[at] & 15), at + 1
        values: list[tuple[Any, Any]] = []
        for _ in range(size):
            key, at = self.value(kinds[0], at, depth)
            item, at = self.value(kinds[1], at, depth)
            values.append((key, item))
        return Pairs(kinds, values), at

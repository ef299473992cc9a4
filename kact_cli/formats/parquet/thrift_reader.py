"""Structures in Thrift's compact protocol, read from bytes that nobody vouches for.

Broken and hostile bytes give a DataError: sizes are checked against the bytes that are left before
anything is allocated, nesting and the number of values are limited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kact_cli.errors import DataError
from kact_cli.formats.parquet.thrift import (
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

Visit = Callable[[Struct, Struct], None]
"""Called with an outer structure, as far as it has been read, and an item of one of its lists."""


def read_struct(
    data: bytes, start: int = 0, *, visit: Mapping[int, Visit] | None = None
) -> tuple[Struct, int]:
    """The structure at `start` in `data`, and where it ends.

    `visit` names lists of structures of this outermost structure that may be long: each of their
    items is shown to the function, with the fields that were read before it, and then kept as
    bytes, which cost a hundredth of the memory.
    """
    reader = _Reader(data, visit or {})
    try:
        return reader.struct(start, 0)
    except IndexError:
        raise DataError("broken Parquet metadata: it ends too early") from None


class _Reader:
    """Every method takes a position and returns a value and the position after it."""

    def __init__(self, data: bytes, visit: Mapping[int, Visit]) -> None:
        self.data = data
        self.visit = visit
        self.budget = MAX_VALUES

    def varint(self, at: int) -> tuple[int, int]:
        data = self.data
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
            if shift > 63:
                raise DataError("broken Parquet metadata: a number of more than 64 bits")
        if result >> 64:
            raise DataError("broken Parquet metadata: a number of more than 64 bits")
        return result, at + 1

    def spend(self, values: int) -> None:
        self.budget -= values
        if self.budget < 0:
            raise DataError(f"broken Parquet metadata: more than {MAX_VALUES:,} values")

    def size(self, at: int, width: int = 1) -> tuple[int, int]:
        """A number of things of at least `width` bytes each, all of which must be there."""
        size, at = self.varint(at)
        if size * width > len(self.data) - at:
            raise DataError("broken Parquet metadata: it ends too early")
        return size, at

    def struct(self, at: int, depth: int) -> tuple[Struct, int]:
        if depth > MAX_DEPTH:
            raise DataError("broken Parquet metadata: nested too deep")
        data, varint, value = self.data, self.varint, self.value
        result = Struct()
        field = 0
        while header := data[at]:
            at += 1
            kind = header & 15
            if header > 15:
                field += header >> 4
            else:
                number, at = varint(at)
                field = (number >> 1) ^ -(number & 1)
            if field in result:
                raise DataError(f"broken Parquet metadata: field {field} twice")
            if 4 <= kind <= 6:
                number, at = varint(at)
                result[field] = kind, (number >> 1) ^ -(number & 1)
            elif kind <= FALSE:
                result[field] = kind, kind == TRUE
            elif kind == LIST and depth == 0 and field in self.visit:
                items, at = self.visited(at, partial(self.visit[field], result))
                result[field] = kind, items
            else:
                found, at = value(kind, at, depth)
                result[field] = kind, found
        self.spend(len(result) + 1)
        return result, at + 1

    def visited(self, at: int, visit: Callable[[Struct], None]) -> tuple[Items, int]:
        kind, size, at = self.list_header(at)
        if size and kind != STRUCT:
            raise DataError("broken Parquet metadata: a list of another type")
        values: list[bytes] = []
        for _ in range(size):
            start, self.budget = at, MAX_VALUES
            item, at = self.struct(at, 1)
            visit(item)
            values.append(self.data[start:at])
        return Items(kind, values), at

    def list_header(self, at: int) -> tuple[int, int, int]:
        header = self.data[at]
        kind, size = header & 15, header >> 4
        if size == 15:
            size, at = self.size(at + 1)
        else:
            at += 1
        self.spend(size)
        return kind, size, at

    def value(self, kind: int, at: int, depth: int) -> tuple[Any, int]:
        """A value as it stands in a list, or in a field of any type but the booleans."""
        if kind == BINARY:
            size, at = self.size(at)
            return self.data[at : at + size], at + size
        if kind == STRUCT:
            return self.struct(at, depth + 1)
        if I16 <= kind <= I64:
            number, at = self.varint(at)
            return (number >> 1) ^ -(number & 1), at
        if kind in (LIST, SET):
            return self.items(at, depth + 1)
        if kind == MAP:
            return self.pairs(at, depth + 1)
        if kind in (TRUE, FALSE, BYTE):
            return self.data[at], at + 1
        width = {DOUBLE: 8, UUID: 16}.get(kind)
        if width is None:
            raise DataError(f"broken Parquet metadata: there is no wire type {kind}")
        if width > len(self.data) - at:
            raise DataError("broken Parquet metadata: it ends too early")
        return self.data[at : at + width], at + width

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

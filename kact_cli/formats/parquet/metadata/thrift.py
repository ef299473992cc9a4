"""Thrift's compact protocol, without its schema: read a structure, change a field, write it back.

Parquet's footer, page headers and indexes are structures in this encoding. They are read here as
field id -> (wire type, value), so that a field nobody has heard of yet is carried along, and what
is not changed is written as the same bytes it was read from (for the shortest forms of numbers and
headers, which is what every writer in use emits).

Format: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
A structure is a run of fields and a zero byte. A field is a byte `delta << 4 | type`, where delta
is added to the last field's id, or a byte `type` and the id in zigzag; then its value. Integers are
zigzag varints, binaries a length and bytes, lists a byte `size << 4 | type` (or `15 << 4 | type`
and a varint) and their items.

`thrift_reader.read_struct` reads, `write_struct` writes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from kact_cli.errors import DataError

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID = range(1, 14)

T = TypeVar("T")


@dataclass(slots=True)
class Items:
    """A list or set: the wire type of its items, and the items."""

    kind: int
    values: list[Any]


@dataclass(slots=True)
class Pairs:
    """A map: the wire types of its keys and values (0 and 0 when empty), and its entries."""

    kinds: tuple[int, int]
    values: list[tuple[Any, Any]]


class Struct(dict[int, tuple[int, Any]]):
    """A structure: field id -> (wire type, value), in the order of the fields in the file.

    Values are bool (TRUE, FALSE), int, bytes (BINARY, and DOUBLE and UUID as they are in the file),
    Items, Pairs and Struct. The accessors return None for a field that is not there, and raise
    DataError for one that is not of the type asked for.
    """

    __slots__ = ()

    def integer(self, field: int) -> int | None:
        return self._value(field, int, (I16, I32, I64))

    def binary(self, field: int) -> bytes | None:
        return self._value(field, bytes, (BINARY,))

    def struct(self, field: int) -> Struct | None:
        return self._value(field, Struct, (STRUCT,))

    def structs(self, field: int) -> list[Any]:
        """The items of a list of structures (empty if it is not there)."""
        return self._items(field, STRUCT)

    def integers(self, field: int) -> list[int]:
        """The items of a list of 32-bit integers (empty if it is not there)."""
        return self._items(field, I32)

    def put(self, field: int, kind: int, value: Any) -> None:
        """Set a field, which gets its place among the others in the order of ids."""
        is_new = field not in self
        self[field] = kind, value
        if is_new:
            ordered = sorted(self.items(), key=lambda item: item[0])
            self.clear()
            self.update(ordered)

    def _items(self, field: int, kind: int) -> list[Any]:
        items = self._value(field, Items, (LIST,))
        if items is None or not items.values:
            return []
        if items.kind != kind:
            raise DataError(f"broken Parquet metadata: field {field} is a list of another type")
        return items.values

    def _value(self, field: int, kind: type[T], wire: Collection[int]) -> T | None:
        found = self.get(field)
        if found is None:
            return None
        if found[0] not in wire or not isinstance(found[1], kind):
            raise DataError(f"broken Parquet metadata: field {field} is of another type")
        value: T = found[1]
        return value


def write_struct(struct: Struct) -> bytes:
    """The bytes of a structure; an item that was left as bytes is written as it is."""
    out = bytearray()
    _write_struct(out, struct)
    return bytes(out)


def varint(number: int) -> bytes:
    """A non-negative integer, seven bits a byte, lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> bytes:
    """An integer of either sign."""
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _write_struct(out: bytearray, struct: Struct) -> None:
    last = 0
    for field, (kind, value) in struct.items():
        delta = field - last
        if 0 < delta < 16:
            out.append(delta << 4 | kind)
        else:
            out.append(kind)
            out += zigzag(field)
        last = field
        if kind > FALSE:
            _write_value(out, kind, value)
    out.append(0)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if I16 <= kind <= I64:
        out += zigzag(value)
    elif kind == BINARY:
        out += varint(len(value))
        out += value
    elif kind == STRUCT and isinstance(value, Struct):
        _write_struct(out, value)
    elif kind in (LIST, SET):
        size = len(value.values)
        out.append(min(size, 15) << 4 | value.kind)
        if size >= 15:
            out += varint(size)
        for item in value.values:
            _write_value(out, value.kind, item)
    elif kind == MAP:
        out += varint(len(value.values))
        if value.values:
            out.append(value.kinds[0] << 4 | value.kinds[1])
        for key, item in value.values:
            _write_value(out, value.kinds[0], key)
            _write_value(out, value.kinds[1], item)
    elif kind in (TRUE, FALSE, BYTE):
        out.append(value)
    else:
        out += value

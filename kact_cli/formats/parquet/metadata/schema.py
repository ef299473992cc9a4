"""The schema of a Parquet file: a tree of elements, depth first, whose leaves hold the values.

Arrow keeps a schema of its own in the key-value metadata, under ARROW:schema, which says what
Parquet has no types for: an IPC message in base64.

The field numbers here and in `footer` and `chunk` are those of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from kact_cli.errors import DataError
from kact_cli.formats.parquet.metadata.thrift import BINARY, Struct
from kact_cli.formats.parquet.metadata.thrift_reader import read_struct

MAX_NESTING = 100
"""Levels of the schema."""

REQUIRED, OPTIONAL, REPEATED = range(3)
"""FieldRepetitionType."""

CONVERTED = {4: "ENUM", 19: "JSON", 20: "BSON", 21: "INTERVAL"}
LOGICAL = {
    4: "ENUM", 12: "JSON", 13: "BSON", 14: "UUID", 16: "VARIANT", 17: "GEOMETRY", 18: "GEOGRAPHY",
}  # fmt: skip
"""ConvertedType and LogicalType -> the name, of those that Arrow takes for bytes, if not always."""

INT96 = 3
"""The physical type of timestamps that count nanoseconds of a Julian day."""


class Element:
    TYPE, LENGTH, REPETITION, NAME, CHILDREN, CONVERTED, SCALE, PRECISION, ID, LOGICAL = range(
        1, 11
    )


class KeyValue:
    KEY, VALUE = 1, 2


ARROW_SCHEMA = b"ARROW:schema"


@dataclass(frozen=True)
class Leaf:
    """A leaf of the schema: the values of one column chunk in each row group."""

    path: tuple[bytes, ...]
    physical: int
    """The physical type's number: 4 float, 5 double, 7 fixed_len_byte_array."""
    length: int
    """Bytes a value, of fixed_len_byte_array."""
    repetitions: tuple[int, ...]
    """Of every node from the top-level column down to this leaf."""

    @property
    def levels(self) -> tuple[int, ...]:
        """What gives each definition and repetition level its meaning."""
        return tuple(r for r in self.repetitions if r != REQUIRED)

    @property
    def name(self) -> str:
        return b".".join(self.path).decode(errors="replace")

    @property
    def depth(self) -> int:
        """How many lists a value is in: the highest repetition level."""
        return self.repetitions.count(REPEATED)


@dataclass(frozen=True)
class FooterColumn:
    """A top-level column: its elements in the schema, and its leaves, the chunks of a row group."""

    name: str
    elements: range
    leaves: range


def read_schema(elements: Sequence[Struct]) -> tuple[tuple[Leaf, ...], tuple[FooterColumn, ...]]:
    """The leaves and top-level columns of a schema. Raises DataError where it is not a tree."""
    leaves: list[Leaf] = []
    tops: list[tuple[int, int]] = []
    """Of each top-level column: its first element, and its first leaf."""
    for number, (element, path, repetitions) in enumerate(_nodes(elements), 1):
        if len(path) == 1:
            tops.append((number, len(leaves)))
        physical = element.integer(Element.TYPE)
        # A group without fields, a column of nothing, has none either
        if not element.integer(Element.CHILDREN) and physical is not None:
            leaves.append(Leaf(path, physical, element.integer(Element.LENGTH) or 0, repetitions))
    tops.append((len(elements), len(leaves)))
    columns = tuple(
        FooterColumn(
            (elements[first].binary(Element.NAME) or b"").decode(errors="replace"),
            range(first, end),
            range(leaf, last),
        )
        for (first, leaf), (end, last) in pairwise(tops)
    )
    return tuple(leaves), columns


def beyond_arrow(elements: Sequence[Struct]) -> dict[tuple[bytes, ...], str]:
    """What the elements of a schema, by their paths, are beyond the types that Arrow has."""
    found = {}
    for element, path, _ in _nodes(elements):
        logical = element.struct(Element.LOGICAL) or Struct()
        names = [LOGICAL[kind] for kind in logical if kind in LOGICAL]
        names += [CONVERTED.get(element.integer(Element.CONVERTED) or -1, "")]
        if name := next(filter(None, names), ""):
            found[path] = name
    return found


def _nodes(
    elements: Sequence[Struct],
) -> Iterator[tuple[Struct, tuple[bytes, ...], tuple[int, ...]]]:
    """Each element but the root, with its path and the repetitions on the way to it.

    Raises DataError where they are not a tree.
    """
    if not elements:
        raise DataError("broken Parquet footer: no schema")
    # Each open group: its path, its repetitions, and how many of its children are still to come.
    stack: list[tuple[tuple[bytes, ...], tuple[int, ...], list[int]]] = []
    for number, element in enumerate(elements):
        children = element.integer(Element.CHILDREN) or 0
        if number == 0:
            stack.append(((), (), [children]))
            continue
        while stack and stack[-1][2][0] == 0:
            stack.pop()
        if not stack or not 0 <= children < len(elements) or len(stack) > MAX_NESTING:
            raise DataError("broken Parquet footer: its schema is not a tree")
        parent, above, left = stack[-1]
        left[0] -= 1
        path = (*parent, element.binary(Element.NAME) or b"")
        repetitions = (*above, element.integer(Element.REPETITION) or REQUIRED)
        if children:
            stack.append((path, repetitions, [children]))
        yield element, path, repetitions
    if any(left[0] for _, _, left in stack):
        raise DataError("broken Parquet footer: its schema is not a tree")


def retyped(elements: Sequence[Struct], type_: pa.DataType, name: str | None) -> list[Struct]:
    """The elements of a column of one leaf whose values are of `type_` instead.

    Lists stay as they are, with the names of their nodes. `name` is that of another column, beside
    the one of these elements, whose ids it does not share.
    """
    made = [Struct(element) for element in elements]
    leaf, new = made[-1], _element(type_)
    for field in (Element.TYPE, Element.LENGTH, Element.CONVERTED, Element.SCALE,
                  Element.PRECISION, Element.LOGICAL):  # fmt: skip
        leaf.pop(field, None)
        if field in new:
            leaf.put(field, *new[field])
    if name is not None:
        made[0].put(Element.NAME, BINARY, name.encode())
        for element in made:
            element.pop(Element.ID, None)
    return made


@lru_cache
def _element(type_: pa.DataType) -> Struct:
    """The element of a column of numbers, as pyarrow writes it."""
    element: Struct = arrow_elements(pa.schema([("x", type_)]))[1]
    return element


def arrow_elements(schema: pa.Schema) -> list[Struct]:
    """The elements that pyarrow makes of a schema."""
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, schema, use_compliant_nested_type=False).close()
    data = sink.getvalue().to_pybytes()
    footer, _ = read_struct(data, len(data) - 8 - int.from_bytes(data[-8:-4], "little"))
    return footer.structs(2)


def updated_metadata(pairs: Sequence[Struct], before: pa.Schema, after: pa.Schema) -> list[Struct]:
    """The KeyValue structures of a file of the schema `before`, for one of the schema `after`.

    What the metadata of the two schemas do not have in common is changed or dropped, and Arrow's
    own schema made that of `after`. Raises ValueError where that is of other columns than `before`.
    """
    values = dict(before.metadata or {})
    new = dict(after.metadata or {})
    made = []
    for pair in pairs:
        key, value = pair.binary(KeyValue.KEY), pair.binary(KeyValue.VALUE)
        if key == ARROW_SCHEMA and value is not None and len(after):
            value = _arrow_schema(value, before, after)
        elif key in values:
            if key not in new:
                continue
            value = value if new[key] == values[key] else new[key]
        pair = Struct(pair)
        if value is not None:
            pair.put(KeyValue.VALUE, BINARY, value)
        made.append(pair)
    return made


def _arrow_schema(value: bytes, before: pa.Schema, after: pa.Schema) -> bytes:
    try:
        stored = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(value)))
    except (pa.ArrowException, binascii.Error, OSError) as error:
        raise ValueError("its Arrow schema is broken") from error
    if stored.names != before.names:
        raise ValueError("its Arrow schema is of other columns")
    fields = [
        field if old.type == new.type else field.with_type(new.type)
        for field, old, new in zip(stored, before, after, strict=False)
    ]
    fields += list(after)[len(fields) :]
    was, now = before.metadata or {}, after.metadata or {}
    metadata = {
        key: now.get(key, text)
        for key, text in (stored.metadata or {}).items()
        if key in now or key not in was
    }
    return base64.b64encode(pa.schema(fields, metadata or None).serialize())

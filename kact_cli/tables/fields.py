"""Where the columns of numbers are: each a column of the table, or a field of structs in one.

A field is called by the names on the way to it, with dots between them: `emb.x` is field x of the
struct in column emb. A column whose own name has dots in it comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from kact_cli.tables.arrays import decoded, without_nulls
from kact_cli.tables.columns import Column
from kact_cli.tables.schema import describe, pandas_index


class Field(NamedTuple):
    """A column, or a field of structs in one, and where it is."""

    path: tuple[int, ...]
    """The position of the column, then of each field within the struct around it."""
    column: Column
    """What it holds, called by its full name."""
    type: pa.DataType
    nullable: bool
    """Whether it, or a struct around it, may be null."""

    def of(self, array: pa.Array) -> pa.Array:
        """The values, decoded, in an array of the column; null where a struct around them is."""
        for number in self.path[1:]:
            array = array.flatten()[number]
        return decoded(array)

    def put(self, array: pa.Array, new: pa.Array) -> pa.Array:
        """An array of the column with `new` in the place of the values."""
        return _put(array, self.path[1:], new)

    def typed(self, type_: pa.DataType, new: pa.DataType) -> pa.DataType:
        """The type of the column with `new` in the place of that of the values."""
        return _typed(type_, self.path[1:], new)


def fields_of(schema: pa.Schema) -> list[Field]:
    """The columns in order, then the fields of the structs in them."""
    index = pandas_index(schema)
    columns = [
        Field((i,), describe(f)._replace(is_index=f.name in index), f.type, f.nullable)
        for i, f in enumerate(schema)
    ]
    inner = [field for column in columns for field in _inside(column)]
    known = set(schema.names)
    return columns + [field for field in inner if field.column.name not in known]


def _inside(outer: Field) -> Iterator[Field]:
    if not pa.types.is_struct(outer.type):
        return
    for number in range(outer.type.num_fields):
        field = outer.type.field(number)
        column = describe(field.with_name(f"{outer.column.name}.{field.name}"))
        nullable = outer.nullable or field.nullable
        inner = Field((*outer.path, number), column._replace(inner=True), field.type, nullable)
        yield inner
        yield from _inside(inner)


def _put(array: pa.Array, path: tuple[int, ...], new: pa.Array) -> pa.Array:
    if not path:
        return new
    number, *rest = path
    children = [array.field(i) for i in range(array.type.num_fields)]
    children[number] = _put(children[number], tuple(rest), new)
    fields = list(array.type)
    fields[number] = fields[number].with_type(children[number].type)
    if not fields[number].nullable:
        children[number] = without_nulls(children[number])
    nulls = array.is_null() if array.null_count else None
    return pa.StructArray.from_arrays(children, fields=fields, mask=nulls)


def _typed(type_: pa.DataType, path: tuple[int, ...], new: pa.DataType) -> pa.DataType:
    if not path:
        return new
    number, *rest = path
    fields = list(type_)
    inner = _typed(fields[number].type, tuple(rest), new)
    fields[number] = fields[number].with_type(inner)
    return pa.struct(fields)

"""What the new file is: its columns, each copied from the source or encoded, and its footer.

An output column is one of the source's, whose chunks are copied as bytes, or it is computed from
one of the source's, in whose place it stands, or beside which it is added after the last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from kact_cli.errors import DataError
from kact_cli.formats.parquet.levels import page_dtype
from kact_cli.formats.parquet.metadata.chunk import ABSENT
from kact_cli.formats.parquet.metadata.footer import File
from kact_cli.formats.parquet.metadata.schema import (
    Element,
    Leaf,
    read_schema,
    retyped,
    updated_metadata,
)
from kact_cli.formats.parquet.metadata.thrift import I32, LIST, STRUCT, Items, Struct
from kact_cli.formats.parquet.pages import CODECS
from kact_cli.formats.parquet.read import Description
from kact_cli.tables.schema import leaf_type


class NotByChunkError(Exception):
    """The file is sound, but cannot be rewritten by column chunk; the message says why."""


@dataclass(frozen=True)
class Encoded:
    """An output column whose chunks are made."""

    column: int
    """The position of the source's column that it is computed from."""
    source: int
    """That column's only leaf."""
    leaf: Leaf
    """Its own."""
    type: pa.DataType
    dtype: str
    """Of the values in its pages."""
    is_new: bool
    """Whether it is no column of the source: in another place, or of another type."""
    ordered: bool
    """Whether the footer says that min_value and max_value are in the type's own order."""

    def bytes_of(self, values: int) -> int:
        return values * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class RewritePlan:
    """A file that can be rewritten by column chunk."""

    source: Description
    struct: Struct
    """The new footer without its row groups."""
    encoded: dict[int, Encoded]
    """By the number of the column's chunk in a row group. The others are the source's chunks of
    the same numbers, for what is added comes after all of these."""
    across: bool
    """Whether the columns of a row are computed together."""


def plan_rewrite(
    source: Description, result: pa.Schema, computed: Mapping[int, int], *, across: bool
) -> RewritePlan:
    """RewritePlan for a table of the schema `result`, metadata included.

    `computed` says where in it that is which comes of a column of the source, by its position: in
    its place, or after the source's last. Positions beyond the columns are those of fields of
    structs. `across` says that the computation crosses columns: all of a row group's are done
    together.

    Raises NotByChunkError, saying why, where the file is sound but needs the general way, by
    pyarrow's reader and writer: its columns lie in other files or overlap, its chunk lengths are
    wrong (parquet-mr before 1.2.9), what is computed is in structs, or stored as something else
    than numbers or lists of numbers. Raises DataError for a codec that Arrow lacks.
    """
    _check_layout(source)
    footer = source.footer
    if any(i >= len(footer.columns) for i in computed):
        raise NotByChunkError("fields of structs are computed")
    sources = {at: i for i, at in computed.items()}
    elements, changed = _elements(source, result, sources)
    leaves, columns = read_schema(elements)
    struct = Struct(footer.struct)
    struct[File.SCHEMA] = LIST, Items(STRUCT, elements)
    orders = _orders(struct, len(footer.leaves), sorted(columns[at].leaves.start for at in changed))
    if orders:
        struct[File.ORDERS] = LIST, Items(STRUCT, orders)
    if changed and File.METADATA in struct:
        try:
            pairs = updated_metadata(struct.structs(File.METADATA), source.schema, result)
        except ValueError as e:
            raise NotByChunkError(str(e)) from e
        struct[File.METADATA] = LIST, Items(STRUCT, pairs)
    encoded = {}
    for at, i in sorted(sources.items()):
        name, type_ = columns[at].name, result.field(at).type
        number, old = columns[at].leaves.start, footer.columns[i].leaves.start
        dtype = page_dtype(type_, leaves[number])
        if dtype is None:
            raise NotByChunkError(f"column {name} is not stored as {type_}")
        if unknown := {group.chunk(old).codec for group in footer.row_groups} - CODECS.keys():
            raise DataError(f"column {name}: compression codec {unknown.pop()} is not supported")
        ordered, is_new = bool(orders) and 1 in orders[number], at in changed
        encoded[number] = Encoded(i, old, leaves[number], type_, dtype.str, is_new, ordered)
    return RewritePlan(source, struct, encoded, across)


def _elements(
    source: Description, result: pa.Schema, sources: Mapping[int, int]
) -> tuple[list[Struct], set[int]]:
    """The schema of the new file, and the positions of the columns that are not the source's.

    `sources` says of which column of the source one of the result is computed, by its position.
    """
    footer = source.footer
    elements = footer.struct.structs(File.SCHEMA)
    made, changed = [Struct(elements[0])], set()
    made[0].put(Element.CHILDREN, I32, len(result))
    for at, field in enumerate(result):
        column = footer.columns[sources.get(at, at)]
        own = elements[column.elements.start : column.elements.stop]
        if at in sources:
            kind = leaf_type(field.type)
            numbers = pa.types.is_floating(kind) or pa.types.is_integer(kind)
            if len(column.leaves) != 1 or not numbers:
                raise NotByChunkError(f"column {column.name} is no numbers or lists of numbers")
            is_added = at != sources[at]
            same = not is_added and field.type == source.schema.field(at).type
            if not same or page_dtype(field.type, footer.leaves[column.leaves.start]) is None:
                own = retyped(own, kind, field.name if is_added else None)
                changed.add(at)
        made += own
    return made, changed


def _check_layout(source: Description) -> None:
    footer = source.footer
    stored = 0
    for group in footer.row_groups:
        if any(path != ABSENT for path in group.each("path")):
            raise NotByChunkError("its columns lie in other files")
        stored += sum(group.each("compressed"))
    if stored > footer.start:
        raise NotByChunkError("its column chunks overlap")
    if _lengths_are_wrong(footer.struct.binary(File.CREATED_BY) or b""):
        raise NotByChunkError("its writer gave wrong lengths")


def _orders(struct: Struct, leaves: int, changed: list[int]) -> list[Struct]:
    """The ColumnOrder of each leaf, if the footer says any: of new numbers, that of their type."""
    orders = list(struct.structs(File.ORDERS))
    if len(orders) != leaves:
        return []
    for number in changed:
        orders[number : number + 1] = [Struct({1: (STRUCT, Struct())})]
    return orders


def _lengths_are_wrong(created_by: bytes) -> bool:
    """Whether chunk lengths lack dictionary headers: PARQUET-816, parquet-mr before 1.2.9."""
    version = re.match(rb"parquet-mr(?: version (\d+)\.(\d+)\.(\d+)|$)", created_by)
    return version is not None and tuple(int(n or 0) for n in version.groups()) < (1, 2, 9)

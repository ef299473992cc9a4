"""Whether a Parquet file can be rewritten by column chunk, and which chunks are computed."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from kact_cli.errors import DataError
from kact_cli.files.descriptors import opened
from kact_cli.formats.parquet.footer import (
    File,
    Footer,
    FooterColumn,
    Group,
    Leaf,
    Meta,
    NotByChunkError,
    chunk_meta,
    chunk_span,
    read_footer,
)
from kact_cli.formats.parquet.levels import page_dtype
from kact_cli.formats.parquet.pages import CODECS
from kact_cli.formats.parquet.read import RowGroupReader
from kact_cli.formats.parquet.thrift import Struct

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

UNIT_MEMORY = 64 << 20
"""Bytes of the values of a row group's columns that are computed together: their pages wait for
each other in memory."""


@dataclass(frozen=True)
class Computed:
    """A column that is computed."""

    name: str
    dtype: str
    """Of the values in its pages."""

    def bytes_of(self, values: int) -> int:
        return values * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class RewritePlan:
    """A file that can be rewritten by column chunk."""

    path: str
    footer: Footer
    metadata: pq.FileMetaData
    """The same footer, as pyarrow sees it."""
    computed: dict[int, Computed]
    """By the number of the column's only chunk in a row group, in the file's order."""
    across: bool
    """Whether the columns of a row are computed together."""


def plan_rewrite(
    path: str, columns: Sequence[str], *, across: bool, unit_memory: int = UNIT_MEMORY
) -> RewritePlan:
    """RewritePlan to compute the top-level `columns` of the Parquet file at `path`.

    `across` says that the computation crosses columns: all of a row group's are done together.
    Raises DataError where the file is broken or lacks a column, and NotByChunkError, saying why,
    where it is sound but needs the general way: it is encrypted, a column is not numbers or lists
    of numbers, a name is not unique, the columns of a row group computed together exceed
    `unit_memory` bytes.
    """
    wanted = {name.encode() for name in columns}
    stored = 0
    together = 0
    codecs: set[int | None] = set()

    def check(leaves: Sequence[Leaf], group: Struct) -> None:
        nonlocal stored, together
        values = 0
        for leaf, chunk in zip(leaves, group.structs(Group.COLUMNS), strict=True):
            stored += chunk_span(chunk)[1]
            if leaf.path[0] in wanted:
                meta = chunk_meta(chunk)
                codecs.add(meta.integer(Meta.CODEC))
                values += leaf.value_bytes * (meta.integer(Meta.VALUES) or 0)
        together = max(together, values)

    with opened(path, os.O_RDONLY) as file:
        footer = read_footer(file, check)
    if stored > footer.start:
        raise NotByChunkError("its column chunks overlap")
    if _lengths_are_wrong(footer.struct.binary(File.CREATED_BY) or b""):
        raise NotByChunkError("its writer gave wrong lengths")
    if unknown := codecs - CODECS.keys():
        raise NotByChunkError(f"compression codec {unknown.pop()} is not supported")
    if across and len(columns) > 1 and together > unit_memory:
        raise NotByChunkError(
            f"a row group's columns take {together / 2**20:,.0f} MiB "
            f"and at most {unit_memory / 2**20:,.0f} MiB are computed together"
        )
    source = RowGroupReader(path)
    schema = source.schema
    computed = dict(_computed(footer, column, schema) for column in _select(footer, columns))
    return RewritePlan(path, footer, source.metadata, computed, across)


def _select(footer: Footer, names: Sequence[str]) -> list[FooterColumn]:
    """The columns of these names, in the file's order, if pyarrow finds just these by name."""
    wanted = set(names)
    selected = [column for column in footer.columns if column.name in wanted]
    # pyarrow takes a name for that of every leaf whose dotted path starts with it.
    found = Counter(
        prefix for leaf in footer.leaves for prefix in accumulate(leaf.name.split("."), _dotted)
    )
    for column in selected:
        if found[column.name] != len(column.leaves):
            raise NotByChunkError(f"column {column.name} is not the only one of this name")
    if missing := wanted - {column.name for column in selected}:
        raise DataError(f"there is no column {missing.pop()}")
    return selected


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}"


def _computed(footer: Footer, column: FooterColumn, schema: pa.Schema) -> tuple[int, Computed]:
    kind = schema.field(column.name).type
    leaf = column.leaves.start
    dtype = page_dtype(kind, footer.leaves[leaf]) if len(column.leaves) == 1 else None
    if dtype is None:
        raise NotByChunkError(f"column {column.name} is {kind}, not numbers or lists of numbers")
    return leaf, Computed(column.name, dtype.str)


def _lengths_are_wrong(created_by: bytes) -> bool:
    """Whether chunk lengths lack dictionary headers: PARQUET-816, parquet-mr before 1.2.9."""
    version = re.match(rb"parquet-mr(?: version (\d+)\.(\d+)\.(\d+)|$)", created_by)
    return version is not None and tuple(int(n or 0) for n in version.groups()) < (1, 2, 9)

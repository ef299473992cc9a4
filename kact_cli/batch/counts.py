"""How many rows a file has, and how many NaN and infinities its tensor: what `--report` adds."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kact_cli.errors import DataError
from kact_cli.files.source import Source, open_source
from kact_cli.formats.declared import Format
from kact_cli.formats.detect import detect
from kact_cli.formats.npy import NpyTensor
from kact_cli.options import Options
from kact_cli.types import Array

BLOCK_BYTES = 1024 * 1024
Counted = tuple[int, ...] | None
"""Positions of the columns that are counted; None: all."""


@dataclass(frozen=True)
class Counts:
    """Rows (the length of a tensor's first axis), NaN and infinities; a null is neither."""

    rows: int
    nan: int
    inf: int


def count(path: str, options: Options, *, columns: Counted = None) -> tuple[Counts, Counted]:
    """Count in the file `path`, in the columns that `options` select or (an output) in `columns`.

    Also returns the columns, by position. Reads the file once, a block at a time.
    Raises DataError for what cannot be read.
    """
    with contextlib.closing(open_source(path)) as source:
        found = detect(source, options.source_format)
        if found.kind == "tensor":
            return _count_tensor(source), None
        return _count_table(source, found, options, columns)


def _count_tensor(source: Source) -> Counts:
    header = NpyTensor.open(source).header
    nan = inf = 0
    buffer = np.empty(BLOCK_BYTES, np.uint8)
    if header.dtype.kind == "f":
        for start in range(header.offset, header.end, BLOCK_BYTES):
            raw = buffer[: min(BLOCK_BYTES, header.end - start)]
            if source.read_at(raw.data, start) < len(raw):
                raise DataError(f"{source.name} became shorter while it was read")
            more = _count(raw.view(header.dtype))
            nan, inf = nan + more[0], inf + more[1]
    return Counts(header.shape[0] if header.shape else 1, nan, inf)


def _count(values: Array) -> tuple[int, int]:
    """NaN and infinities; one sum says of nearly every block that there is neither."""
    with np.errstate(all="ignore"):
        if values.dtype.itemsize > 2 and math.isfinite(np.add.reduce(values, dtype=np.float64)):
            return 0, 0
    return int(np.count_nonzero(np.isnan(values))), int(np.count_nonzero(np.isinf(values)))


def _count_table(
    source: Source, found: Format, options: Options, columns: Counted
) -> tuple[Counts, Counted]:
    from kact_cli.formats.open import open_reader
    from kact_cli.tables.arrays import describe
    from kact_cli.tables.columns import Kind, select

    reader = open_reader(found, source, options)
    described = [describe(field) for field in reader.schema]
    if columns is None:
        columns = tuple(select(described, options.columns, options.exclude))
    columns = tuple(i for i in columns if described[i].kind is not Kind.OTHER)
    rows = nan = inf = 0
    for batch in reader.batches(columns):
        rows += batch.num_rows
        for column in batch.columns:
            for part in _values(column):
                more = _count(part)
                nan, inf = nan + more[0], inf + more[1]
    return Counts(rows, nan, inf), columns


def _values(column: object) -> Iterator[Array]:
    """The values of a column that are not null, where they can be NaN."""
    from kact_cli.tables.arrays import Leaves, values

    leaves = Leaves.of(column)
    data, nulls = values(leaves.values), leaves.nulls()
    if data.dtype.kind == "f":
        yield data if nulls is None else data[~nulls]

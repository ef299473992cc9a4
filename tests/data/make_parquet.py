"""Makes tests/data/parquet/: small files of writers that the tests do not need installed.

Run in an environment with kact-cli[interop]; what it wrote is committed beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import fastparquet
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from kact_cli.formats.parquet.metadata.chunk import Chunk, Meta, chunk_meta
from kact_cli.formats.parquet.metadata.footer import File, Group
from kact_cli.formats.parquet.metadata.schema import REPEATED, Element
from kact_cli.formats.parquet.metadata.thrift import (
    BINARY,
    I32,
    I64,
    LIST,
    Items,
    Struct,
    write_struct,
)
from kact_cli.formats.parquet.metadata.thrift_reader import read_struct
from tests.tools.parquet import chunk_span

HERE = Path(__file__).parent / "parquet"
ROWS = 50

FLOATS = [None if n % 7 == 0 else float("nan") if n % 11 == 0 else n / 4 - 3 for n in range(ROWS)]
LISTS = [None if n % 5 == 0 else [m / 2 - n for m in range(n % 4)] for n in range(ROWS)]
TABLE = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int64()),
        "x": pa.array(FLOATS, pa.float32()),
        "name": [None if n % 9 == 0 else f"name {n % 6}" for n in range(ROWS)],
        "y": pa.array(np.arange(ROWS) * 0.5),
        "v": pa.array(LISTS, pa.list_(pa.float32())),
        "t": pa.array(range(ROWS), pa.timestamp("us")),
    }
)

Edit = Callable[[Struct], None]


def with_lists(lists: list[list[float] | None], nullable: bool) -> pa.Table:
    """TABLE with a list column whose elements are required."""
    kind = pa.list_(pa.field("element", pa.float32(), nullable=False))
    field = pa.field("v", kind, nullable=nullable)
    return TABLE.set_column(TABLE.schema.get_field_index("v"), field, pa.array(lists, kind))


def edited(table: pa.Table, edit: Edit, **options: object) -> bytes:
    """`table` as pyarrow writes it, its footer changed by `edit`."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=20, store_schema=False, **options)
    source = sink.getvalue().to_pybytes()
    length = int.from_bytes(source[-8:-4], "little")
    footer, _ = read_struct(source[-8 - length : -8])
    edit(footer)
    data = write_struct(footer)
    return source[: -8 - length] + data + len(data).to_bytes(4, "little") + b"PAR1"


def chunks(footer: Struct) -> list[Struct]:
    return [c for g in footer.structs(File.GROUPS) for c in g.structs(Group.COLUMNS)]


def rename(names: dict[bytes, bytes]) -> Edit:
    """Other names for the nodes of the list column."""

    def edit(footer: Struct) -> None:
        for element in footer.structs(File.SCHEMA):
            name = element.binary(Element.NAME) or b""
            element[Element.NAME] = BINARY, names.get(name, name)
        for chunk in chunks(footer):
            meta = chunk_meta(chunk)
            path = [names.get(name, name) for name in meta[Meta.PATH][1].values]
            meta[Meta.PATH] = LIST, Items(BINARY, path)

    return edit


def two_levels(footer: Struct) -> None:
    """A list without a group of its own in the middle, as parquet-avro wrote it until 2018."""
    elements = footer.structs(File.SCHEMA)
    middle = next(n for n, e in enumerate(elements) if e.binary(Element.NAME) == b"list")
    del elements[middle]
    elements[middle][Element.REPETITION] = I32, REPEATED
    elements[middle][Element.NAME] = BINARY, b"array"
    for chunk in chunks(footer):
        meta = chunk_meta(chunk)
        if len(meta[Meta.PATH][1].values) == 3:
            meta[Meta.PATH] = LIST, Items(BINARY, [b"v", b"array"])


def bare_repeated(footer: Struct) -> None:
    """A repeated value with no list around it, as in protocol buffers."""
    elements = footer.structs(File.SCHEMA)
    middle = next(n for n, e in enumerate(elements) if e.binary(Element.NAME) == b"list")
    del elements[middle - 1 : middle + 1]
    elements[middle - 1][Element.REPETITION] = I32, REPEATED
    elements[middle - 1][Element.NAME] = BINARY, b"v"
    for chunk in chunks(footer):
        meta = chunk_meta(chunk)
        if len(meta[Meta.PATH][1].values) == 3:
            meta[Meta.PATH] = LIST, Items(BINARY, [b"v"])


def old_offsets(footer: Struct) -> None:
    """Offsets as old writers gave them.

    data_page_offset at the dictionary, which has no offset of its own; that is 0 where there is
    none; file_offset at the chunk's start, its end, or nowhere.
    """
    footer.pop(File.ORDERS, None)
    for number, chunk in enumerate(chunks(footer)):
        meta = chunk_meta(chunk)
        start, size = chunk_span(chunk)
        chunk[Chunk.OFFSET] = I64, (start, start + size, 0, 1 << 40)[number % 4]
        meta.pop(Meta.ENCODING_STATS, None)
        if Meta.DICTIONARY in meta:
            meta[Meta.DATA_PAGE] = I64, start
            del meta[Meta.DICTIONARY]
        else:
            meta.put(Meta.DICTIONARY, I64, 0)
    for group in footer.structs(File.GROUPS):
        group.pop(Group.OFFSET, None)
        group.pop(Group.COMPRESSED, None)


def main() -> None:
    HERE.mkdir(exist_ok=True)
    polars = pl.DataFrame(TABLE)
    polars.write_parquet(HERE / "polars.parquet", row_group_size=20)
    polars.write_parquet(HERE / "polars_gzip.parquet", compression="gzip", data_page_size=64)
    with duckdb.connect() as connection:
        connection.register("source", TABLE)
        for version in ("v1", "v2"):
            path = HERE / f"duckdb_{version}.parquet"
            connection.execute(f"copy source to '{path}' (parquet_version {version})")
    TABLE.to_pandas().set_index("name").to_parquet(HERE / "pandas.parquet")
    flat = TABLE.drop_columns(["v"]).to_pandas()
    fastparquet.write(str(HERE / "fastparquet.parquet"), flat, row_group_offsets=[0, 20, 40])
    fastparquet.write(str(HERE / "fastparquet_gzip.parquet"), flat, compression="GZIP")

    hive = rename({b"list": b"bag", b"element": b"array_element"})
    (HERE / "hive_names.parquet").write_bytes(edited(TABLE, hive))
    (HERE / "two_levels.parquet").write_bytes(edited(with_lists(LISTS, True), two_levels))
    full = [row or [] for row in LISTS]
    (HERE / "bare_repeated.parquet").write_bytes(edited(with_lists(full, False), bare_repeated))
    (HERE / "old_offsets.parquet").write_bytes(edited(TABLE, old_offsets))
    (HERE / "old_offsets_v2.parquet").write_bytes(
        edited(TABLE, old_offsets, data_page_version="2.0")
    )


if __name__ == "__main__":
    main()

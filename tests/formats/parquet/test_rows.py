"""Column chunks with more or fewer rows than the footer says are refused, however they are read.

pyarrow reads as many rows as the footer says, and leaves the rest where it is.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.errors import DataError
from kact_cli.formats.parquet.levels import count_slots
from kact_cli.formats.parquet.metadata.chunk import Meta, chunk_meta
from kact_cli.formats.parquet.metadata.footer import File, Group
from kact_cli.formats.parquet.metadata.thrift import I64, Struct
from kact_cli.options import Options
from kact_cli.reports.inspect import summarize
from kact_cli.reports.numbers import open_numbers
from tests.tools.parquet import edit_footer
from tests.tools.run import names
from tests.tools.tables import convert, every_kind

ROWS = 20
NUMBERS = [n / 4 - 2 for n in range(ROWS)]
LISTS = pa.list_(pa.float32())
# pyarrow before 25 does not read nulls among lists of a fixed length
FIXED = pa.list_(pa.float32(), *[2] * (int(pa.__version__.split(".")[0]) >= 25))
COLUMNS = {
    "required": pa.array(NUMBERS, pa.float32()),
    "nullable": pa.array([None, *NUMBERS[1:]], pa.float32()),
    "lists": pa.array([[x, 1.5] for x in NUMBERS], LISTS),
    "ragged": pa.array([[x, None] for x in NUMBERS[3:]] + [None, [], [2.5]], LISTS),
}
# The output, the chain, options
WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "by chunk": ("out.parquet", "relu", {}),
    "of another type": ("out.parquet", "relu", {"dtype": np.dtype("f8")}),
    "beside": ("out.parquet", "relu", {"suffix": "_p"}),
    "in two passes": ("out.parquet", "relu,softmax(axis=0)", {}),
    "in general": ("out.arrow", "relu", {}),
    "in general, in two passes": ("out.csv", "softmax(axis=0)", {}),
    "statistics": ("", "", {}),
}


def claim(path: Path, rows: int, values: int) -> None:
    """Have the footer say so many rows and values."""

    def change(footer: Struct, chunks: list[Struct]) -> None:
        footer[File.ROWS] = I64, rows
        for group in footer.structs(File.GROUPS):
            group[Group.ROWS] = I64, rows
        for chunk in chunks:
            chunk_meta(chunk)[Meta.VALUES] = I64, values

    edit_footer(path, change)


def read(way: str, source: Path) -> None:
    target, chain, options = WAYS[way]
    if target:
        convert(chain, source, source.with_name(target), **options)
    else:
        with open_numbers(str(source)) as numbers:
            summarize(numbers, Options())


# Lists have no axis but their own, down which there is no second pass
READ = [(c, w) for c in COLUMNS for w in WAYS if COLUMNS[c].type != LISTS or "passes" not in w]


@pytest.mark.parametrize(("column", "way"), READ)
@pytest.mark.parametrize("rows", [ROWS - 3, ROWS + 3])
def test_other_rows_than_the_footer_says(column: str, rows: int, way: str, tmp_path: Path) -> None:
    path, array = tmp_path / "in.parquet", COLUMNS[column]
    table = pa.table([array], pa.schema([pa.field(column, array.type, column != "required")]))
    each = count_slots(array[:1])[0]
    # Lists of other lengths are as many values as before, however many rows those are
    same = [len(NUMBERS) * each] if array.type == LISTS else []
    for version, values in itertools.product(("1.0", "2.0"), [each * rows, *same]):
        pq.write_table(table, path, data_page_version=version, data_page_size=16)
        claim(path, rows, values)
        with pytest.raises(DataError) as refused:
            read(way, path)
        assert str(refused.value).startswith(f"{path}: broken Parquet file: ")
        assert "\n" not in str(refused.value)
        assert names(tmp_path) == ["in.parquet"]


def nested() -> pa.Table:
    """Lists in structs, structs in lists, and maps, of which any may be null or empty."""
    structs: Any = [None, {"x": None, "y": []}, {"x": 1.5, "y": [None, 2.5]}]
    lists = [[], None, structs, structs[1:]]
    maps = [None, [], [("a", None), ("b", 1.5)], [("c", 2.5)]]
    x = pa.struct([("x", pa.float32()), ("y", LISTS), ("z", FIXED)])
    return pa.table(
        {
            "struct": pa.array([*structs, {"z": [1.5, None]}], x),
            "lists": pa.array(lists, pa.list_(x)),
            "map": pa.array(maps, pa.map_(pa.string(), pa.float32())),
            "deep": pa.array([[maps[2], [], None], [], None, [maps[3]]],
                             pa.list_(pa.map_(pa.string(), pa.float32()))),
        }
    )  # fmt: skip


@pytest.mark.parametrize("table", [every_kind(), nested()], ids=["every kind", "nested"])
def test_the_slots_of_an_array_are_the_values_that_pyarrow_writes_for_it(
    table: pa.Table, tmp_path: Path
) -> None:
    pq.write_table(table, tmp_path / "x.parquet")
    file = pq.ParquetFile(tmp_path / "x.parquet")
    group = file.metadata.row_group(0)
    written = [group.column(n).num_values for n in range(group.num_columns)]
    columns = file.read().combine_chunks().columns
    assert [n for column in columns for n in count_slots(column.chunk(0))] == written
    for start, size in ((1, 2), (0, 1), (3, 1)):
        part = table.slice(start, size)
        pq.write_table(part, tmp_path / "y.parquet")
        group = pq.ParquetFile(tmp_path / "y.parquet").metadata.row_group(0)
        written = [group.column(n).num_values for n in range(group.num_columns)]
        sliced = [column.slice(start, size).chunk(0) for column in columns]
        assert [n for column in sliced for n in count_slots(column)] == written

"""What the tests of Parquet files share: one to try everything on, and an exact computation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.errors import DataError
from kact_cli.formats.parquet.footer import File, Group, chunk_span, read_footer
from kact_cli.formats.parquet.plan import plan_rewrite
from kact_cli.formats.parquet.rewrite import rewrite
from kact_cli.formats.parquet.thrift import Struct, write_struct
from kact_cli.formats.parquet.thrift_reader import read_struct

FILES = sorted((Path(__file__).parent.parent / "data" / "parquet").glob("*.parquet"))

NAN, INF = float("nan"), float("inf")


def table(rows: int = 60) -> pa.Table:
    """Columns of every kind, with nulls, empty lists, NaN, infinities and zeros of both signs."""
    numbers = [None, 1.5, -0.0, NAN, INF, -2.25, 0.0, -INF, 3.0, 1e-3]

    def cycle(values: Sequence[Any]) -> list[Any]:
        return [values[n % len(values)] for n in range(rows)]

    halves = [None if x is None else np.float16(x) for x in numbers]
    lists = cycle([[1.5, None], None, [], [NAN], [2.5, -0.5, 4.0]])
    nested = cycle([[[1.5], None, []], None, [], [[None, 2.0], [3.0]]])
    # pyarrow before 25 cannot have them in Parquet
    absent = [None] if int(pa.__version__.split(".")[0]) >= 25 else []
    fixed = cycle([[1.0, 2.0], *absent, [None, -3.5]])
    columns: dict[str, pa.Array] = {
        "id": pa.array(range(rows), pa.int64()),
        "f32": pa.array(cycle(numbers), pa.float32()),
        "name": pa.array(cycle(["a", None, "bb", "", "café"])),
        "f64": pa.array(cycle(numbers), pa.float64()),
        "f16": pa.array(cycle(halves), pa.float16()),
        "required": pa.array(np.arange(rows, dtype=np.float32) - 7),
        "empty": pa.nulls(rows, pa.float32()),
        "list": pa.array(lists, pa.list_(pa.float32())),
        "large": pa.array(lists, pa.large_list(pa.float64())),
        "half_list": pa.array(
            [x and [y if y is None else np.float16(y) for y in x] for x in lists],
            pa.list_(pa.float16()),
        ),
        "fixed": pa.array(fixed, pa.list_(pa.float32(), 2)),
        "nested": pa.array(nested, pa.list_(pa.list_(pa.float32()))),
        "tensor": pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.float32(), (2, 1)),
            pa.array(cycle([[1.0, 2.0], [0.5, -3.5]]), pa.list_(pa.float32(), 2)),
        ),
        "i8": pa.array(cycle([None, -128, 127, 0]), pa.int8()),
        "u64": pa.array(cycle([2**64 - 1, None, 0]), pa.uint64()),
        "struct": pa.array(cycle([{"a": 1.5, "b": [1]}, None, {"a": None, "b": []}])),
        "decimal": pa.array(cycle([Decimal("1.10"), None]), pa.decimal128(9, 2)),
        "dictionary": pa.array(cycle(["x", "y", None])).dictionary_encode(),
        "text": pa.array(cycle(["long", None]), pa.large_string()),
        "flag": pa.array(cycle([True, None, False])),
        "map": pa.array(cycle([[("k", 1.5)], None, []]), pa.map_(pa.string(), pa.float32())),
        "time": pa.array(range(rows), pa.timestamp("us", "Europe/Berlin")),
        "bytes": pa.array(cycle([b"\x00\xff", None]), pa.binary(2)),
    }
    fields = [
        pa.field(name, array.type, nullable=name not in ("id", "required"))
        for name, array in columns.items()
    ]
    fields[1] = fields[1].with_metadata({"unit": "logit"})
    return pa.table(list(columns.values()), pa.schema(fields, {"origin": "a test", "empty": ""}))


def negative(value: Any) -> Any:
    """The computation of the tests: exact, its own inverse, and it swaps minimum and maximum."""
    if value is None:
        return None
    if isinstance(value, list):
        return [negative(item) for item in value]
    return ~value if isinstance(value, int) else -value


def rebuilt(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Python values as an array of any type."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, rebuilt(values, kind.storage_type))
    return pa.array(values, kind)


def negate(batch: pa.RecordBatch) -> list[pa.Array]:
    """`negative` of every value in a batch."""
    return [
        rebuilt([negative(v) for v in storage(column).to_pylist()], column.type)
        if not pa.types.is_unsigned_integer(column.type)
        else column
        for column in batch.columns
    ]


def storage(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def rewritten(
    source: Path,
    target: Path,
    columns: Sequence[str],
    *,
    compute: Callable[[pa.RecordBatch], Sequence[pa.Array]] = negate,
    across: bool = False,
    workers: int = 2,
) -> Path:
    """`source` with `columns` computed, at `target`."""
    plan = plan_rewrite(str(source), columns, across=across)
    file = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        assert rewrite(plan, file, compute, workers=workers) == plan.footer.rows
    finally:
        os.close(file)
    return target


def column_chunks(path: Path) -> list[list[tuple[Struct, bytes]]]:
    """For each row group, each column chunk's description and bytes."""
    data = path.read_bytes()
    with path.open("rb") as file:
        groups = read_footer(file.fileno()).row_groups
    chunks = [read_struct(raw)[0].structs(Group.COLUMNS) for raw in groups]
    spans = [[(c, chunk_span(c)) for c in group] for group in chunks]
    return [[(c, data[start : start + size]) for c, (start, size) in group] for group in spans]


def small_file(path: Path) -> Path:
    """60 rows in 3 row groups, with checksums."""
    columns = ["id", "f32", "name", "list", "struct"]
    pq.write_table(
        table().select(columns), path, row_group_size=25, write_page_checksum=True,
        compression="none", use_dictionary=["name"],
    )  # fmt: skip
    return path


Edit = Callable[[Struct, list[Struct]], None]


def edit_footer(path: Path, change: Edit) -> Path:
    """Change the footer: `change(footer, all column chunks)`."""
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer, _ = read_struct(data[-8 - length : -8])
    groups = footer.structs(File.GROUPS)
    change(footer, [chunk for group in groups for chunk in group.structs(Group.COLUMNS)])
    new = write_struct(footer)
    path.write_bytes(data[: -8 - length] + new + len(new).to_bytes(4, "little") + b"PAR1")
    return path


def refuse(path: Path, message: str, columns: Sequence[str] = ("f32", "list")) -> None:
    with pytest.raises(DataError, match=message) as caught:
        rewritten(path, path.with_name("out"), columns)
    assert "\n" not in str(caught.value)

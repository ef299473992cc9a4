"""Tables, and files of every format written and read without kact."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kact_cli.chain import Chain
from kact_cli.options import Options
from kact_cli.transform.route import transform
from tests.tools.tensors import npy

Columns = dict[str, list[Any]]

SUFFIXES = [".npy", ".csv", ".tsv", ".csv.gz", ".csv.zst", ".parquet", ".arrow", ".arrows"]
NAN, INF = float("nan"), float("inf")
F32 = pa.float32()
LISTS = [
    pa.list_(F32),
    pa.large_list(pa.float64()),
    pa.list_(F32, 3),
    pa.list_(pa.list_(F32)),
    pa.list_(pa.list_(F32, 2)),
    pa.list_(pa.large_list(F32), 2),
    pa.list_(pa.list_(F32, 2), 3),
    pa.large_list(pa.list_(pa.list_(pa.float16()))),
    pa.list_(pa.field("odd name", F32, metadata={"k": "v"})),
]
TENSORS = [
    pa.fixed_shape_tensor(F32, (2, 3)),
    pa.fixed_shape_tensor(pa.float64(), (2, 3, 2), permutation=[2, 0, 1]),
    pa.fixed_shape_tensor(F32, (3,), dim_names=["c"]),
]


def convert(chain: str, source: Path, target: Path, **options: Any) -> Path:
    """What `kact chain` does, in this process."""
    transform(Chain.parse(chain), str(source), str(target), Options(**options))
    return target


def every_kind(rows: int = 60) -> pa.Table:
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


def measured(rows: int = 3000) -> pa.Table:
    """Normal numbers: an id, text, floats with nulls and NaN, lists of different lengths."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 2, rows).astype("f4"), rng.normal(1, 2, rows)
    b[7] = np.nan
    lists = [[1.0, 2.0 * i] if i % 3 == 0 else [None] if i % 3 == 1 else None for i in range(rows)]
    return pa.table(
        {
            "id": np.arange(rows),
            "text": [f"review {i}" for i in range(rows)],
            "logit_a": a,
            "logit_b": pa.array(b, mask=np.arange(rows) % 100 == 0),
            "lists": pa.array(lists, pa.list_(pa.float64())),
        }
    )


def encoded(table: pa.Table, suffix: str, rows: int | None = None, **options: Any) -> bytes:
    """The table as a file of that suffix, `rows` in a row group or batch.

    `options` are those of Parquet's or Arrow's writer. CSV and .npy leave out lists.
    """
    if suffix == ".parquet":
        file = io.BytesIO()
        pq.write_table(table, file, row_group_size=rows, **options)
        return file.getvalue()
    if suffix in (".arrow", ".arrows"):
        make = pa.ipc.new_stream if suffix == ".arrows" else pa.ipc.new_file
        file = io.BytesIO()
        with make(file, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
            writer.write_table(table, rows)
        return file.getvalue()
    flat = [c for c in table.columns if not pa.types.is_nested(c.type)]
    if suffix == ".npy":
        return npy(np.stack([c.to_numpy() for c in flat], 1))
    text = io.StringIO()
    records = csv.writer(text, "excel-tab" if suffix.startswith(".tsv") else "excel")
    records.writerow(f.name for f in table.schema if not pa.types.is_nested(f.type))
    records.writerows(zip(*(c.to_pylist() for c in flat), strict=True))
    data = text.getvalue().encode()
    if suffix.endswith(".gz"):
        return gzip.compress(data)
    return pa.Codec("zstd").compress(data, asbytes=True) if suffix.endswith(".zst") else data


def write(table: pa.Table | Columns, path: Path, rows: int | None = None, **options: Any) -> Path:
    """Write in the format of the name; columns of Python numbers are float32."""
    if isinstance(table, dict):
        table = pa.table({n: pa.array(v, pa.float32()) for n, v in table.items()})
    path.write_bytes(encoded(table, path.name[path.name.index(".") :], rows, **options))
    return path


def read_ipc(path: Path) -> pa.Table:
    """The table in an Arrow file or stream."""
    with pa.OSFile(str(path), "rb") as file:
        if path.suffix == ".arrows":
            return pa.ipc.open_stream(file).read_all()
        return pa.ipc.open_file(file).read_all()


def text_of(path: Path) -> str:
    """The text of a CSV, compressed as its name says."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            data = stream.read()
    return data.decode()


def read(path: Path) -> Columns:
    """The columns of a file in any format; NaN in a .npy is the null that it was."""
    if path.suffix == ".npy":
        rows = np.load(path).reshape(len(np.load(path)), -1)
        plain = np.where(np.isnan(rows), None, rows.astype(object))
        return {f"c{n}": column.tolist() for n, column in enumerate(plain.T)}
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pydict()
    if path.suffix in (".arrow", ".arrows"):
        return read_ipc(path).to_pydict()
    delimiter = "\t" if ".tsv" in path.name else ","
    header, *records = csv.reader(io.StringIO(text_of(path), newline=""), delimiter=delimiter)
    cells = zip(*records, strict=True) if records else [()] * len(header)
    numbers = [[float(c) if c else None for c in column] for column in cells]
    return dict(zip(header, numbers, strict=True))

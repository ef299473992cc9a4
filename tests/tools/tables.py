"""Tables in files of every format, written and read without kact, for the tests of all of them."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kact_cli.chain import Chain
from kact_cli.options import Options
from kact_cli.transform.route import transform

Columns = dict[str, list[Any]]

SUFFIXES = [".npy", ".csv", ".tsv", ".csv.gz", ".csv.zst", ".parquet", ".arrow", ".arrows"]


def convert(chain: str, source: Path, target: Path, **options: Any) -> Path:
    """What `kact chain` does, in this process."""
    transform(Chain.parse(chain), str(source), str(target), Options(**options))
    return target


def write_ipc(table: pa.Table, path: Path, *, stream: bool = False, **options: Any) -> Path:
    """An Arrow file or stream of the table's own batches."""
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    ipc = pa.ipc.IpcWriteOptions(**options)
    with pa.OSFile(str(path), "wb") as file, make(file, table.schema, options=ipc) as writer:
        for batch in table.to_batches():
            writer.write_batch(batch)
    return path


def read_ipc(path: Path) -> pa.Table:
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


def write(columns: Columns, path: Path) -> Path:
    """A table of float32 columns, float64 where it is CSV, in the format of the name."""
    arrays = {n: pa.array(v, pa.float32()) for n, v in columns.items()}
    if path.suffix == ".npy":
        rows = np.array(list(columns.values()), np.float32).T
        np.save(path, rows)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table(arrays), path)
    elif path.suffix in (".arrow", ".arrows"):
        write_ipc(pa.table(arrays), path, stream=path.suffix == ".arrows")
    else:
        made = io.StringIO()
        writer = csv.writer(made, "excel-tab" if ".tsv" in path.name else "excel")
        writer.writerow(columns)
        cells = [["" if v is None else repr(v) for v in column] for column in columns.values()]
        writer.writerows(zip(*cells, strict=True))
        data = made.getvalue().encode()
        if path.suffix == ".gz":
            data = gzip.compress(data)
        elif path.suffix == ".zst":
            data = pa.Codec("zstd").compress(data, asbytes=True)
        path.write_bytes(data)
    return path


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

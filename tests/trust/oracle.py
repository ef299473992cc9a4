"""What NumPy, Python's csv and pyarrow make of an input and of kact's output for it.

Each function says what is wrong, or None. It is asked only where kact was done: what kact refuses,
others may read.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COMPUTED = ("a", "b")
"""The columns of a table that are computed, by relu."""


def npy(source: Path, target: Path) -> str | None:
    try:
        old = np.load(source, allow_pickle=False)
    except Exception as e:  # whatever NumPy raises
        return f"accepted: NumPy: {e!r:.100}"
    new = np.load(target)
    if old.shape != new.shape:
        return f"mixture: shape {new.shape} of {old.shape}"
    if old.dtype.kind == "b":
        return None if np.array_equal(new, old.astype(new.dtype)) else "mixture: numbers"
    return None if np.array_equal(new, np.maximum(old, 0), equal_nan=True) else "mixture: numbers"


def text(source: Path, target: Path) -> str | None:
    try:
        old, new = (_records(path.read_bytes()) for path in (source, target))
    except (csv.Error, UnicodeDecodeError) as e:
        return f"accepted: csv: {e}"
    if len(old) != len(new):
        return f"mixture: {len(new)} of {len(old)} records"
    if old[:1] != new[:1]:
        return "mixture: the header differs"
    places = [i for i, name in enumerate(old[0]) if name in COMPUTED]
    for number, (before, after) in enumerate(zip(old[1:], new[1:], strict=True), 1):
        if len(before) != len(after):
            return f"mixture: record {number} has {len(after)} of {len(before)} cells"
        for i, (cell, result) in enumerate(zip(before, after, strict=True)):
            if not (_relu(cell, result) if i in places else cell == result):
                return f"mixture: record {number}: {cell!r} became {result!r}"
    return None


def _records(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))


def _relu(cell: str, result: str) -> bool:
    if not cell.strip():
        return not result.strip()
    number = float(cell)
    wanted = number if not number <= 0 else 0.0
    return str(wanted) == str(float(result)) or wanted == float(result)


def parquet(source: Path, target: Path) -> str | None:
    names = _names(lambda: pq.ParquetFile(source).schema_arrow.names)
    made = _names(lambda: pq.ParquetFile(target).schema_arrow.names)
    if made is None:
        # What nobody reads may be copied with what is wrong with it, but not computed
        return None if names is None else "mixture: the output cannot be read"
    for name in made:
        old = _column(lambda name=name: pq.read_table(source, columns=[name], use_threads=False))
        new = _column(lambda name=name: pq.read_table(target, columns=[name], use_threads=False))
        if new is None and old is not None:
            return f"mixture: column {name} of the output cannot be read"
        if old is None and new is not None and name in COMPUTED:
            return f"accepted: column {name}"
        if old is not None and new is not None and (wrong := differs(name, old, new)):
            return wrong
    return None


def arrow(source: Path, target: Path) -> str | None:
    try:
        old = _ipc(source)
    except Exception as e:  # whatever pyarrow raises
        return f"accepted: pyarrow: {e!r:.100}"
    new = _ipc(target)
    if old.column_names != new.column_names:
        return "mixture: other columns"
    for name, before, after in zip(old.column_names, old.columns, new.columns, strict=True):
        if wrong := differs(name, before, after):
            return wrong
    return None


def differs(name: str, old: pa.ChunkedArray, new: pa.ChunkedArray) -> str | None:
    if len(old) != len(new):
        return f"mixture: column {name} has {len(new)} of {len(old)} rows"
    before, after = old.to_pylist(), new.to_pylist()
    if name in COMPUTED and (pa.types.is_floating(old.type) or pa.types.is_integer(old.type)):
        before = [None if x is None else x if not x <= 0 else 0.0 for x in before]
        same = all(x == y or (x != x and y != y) for x, y in zip(before, after, strict=True))
    else:
        same = repr(before) == repr(after)
    return None if same else f"mixture: column {name}"


def _ipc(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as file:
        stream = file.read(6) != b"ARROW1"
        file.seek(0)
        reader = pa.ipc.open_stream(file) if stream else pa.ipc.open_file(file)
        numbers = range(0 if stream else reader.num_record_batches)
        batches = list(reader) if stream else [reader.get_batch(i) for i in numbers]
        for batch in batches:
            batch.validate(full=True)
        return pa.Table.from_batches(batches, reader.schema)


def _names(read: Any) -> list[str] | None:
    try:
        return list(read())
    except Exception:  # whatever pyarrow raises for a broken file
        return None


def _column(read: Any) -> pa.ChunkedArray | None:
    try:
        column = read().column(0)
        column.validate(full=True)
        return column
    except Exception:  # as above
        return None

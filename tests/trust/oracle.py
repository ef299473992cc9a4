"""What NumPy, Python's csv and pyarrow make of an input and of kact's output for it.

Each function says what is wrong, or None. It is asked only where kact was done: what kact refuses,
others may read.
"""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kact_cli.formats.csv.spelling import NULL_NAMES
from tests.tools.archives import DTYPES, read_safetensors

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
    if old.dtype.kind == "V":
        old, new = (_array("BF16", [], array.tobytes()) for array in (old, new))
    if old.dtype.kind == "b":
        return None if np.array_equal(new, old.astype(new.dtype)) else "mixture: numbers"
    return None if np.array_equal(new, np.maximum(old, 0), equal_nan=True) else "mixture: numbers"


def npz(source: Path, target: Path) -> str | None:
    try:
        old, new = np.load(source, allow_pickle=False), np.load(target, allow_pickle=False)
    except Exception as e:  # as above
        return f"accepted: NumPy: {e!r:.100}"
    sound: list[dict[str, Any]] = [{}, {}]
    for name in old.files:
        for found, archive in zip(sound, (old, new), strict=True):
            # What is only copied may be broken, and is so afterwards
            with contextlib.suppress(Exception):
                found[name] = archive[name]
    return _members(*sound) if old.files == new.files else "mixture: other members"


def safetensors(source: Path, target: Path) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(source, "np") as file:
            names = set(file.keys())
    except SafetensorError as e:
        names, fault = None, f"accepted: safetensors: {e!r:.100}"
    before, after = (read_safetensors(path)[0] for path in (source, target))
    if names is None and all(kind in (*DTYPES, "BF16", "BOOL") for kind, *_ in before.values()):
        return fault
    old, new = ({k: _array(*v) for k, v in found.items()} for found in (before, after))
    return _members(old, new) if names in (None, set(old)) else "accepted: other members"


def _array(kind: str, shape: list[int], data: bytes) -> np.ndarray:
    """A member of safetensors; bfloat16 as float32, and what is not known as bytes."""
    if kind == "BF16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, DTYPES.get(kind, "u1"))


def _members(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> str | None:
    """Floats are computed, or where there are none the integers."""
    if old.keys() != new.keys():
        return "mixture: other members"
    arrays = {name: array for name, array in old.items() if isinstance(array, np.ndarray)}
    kind = "f" if any(array.dtype.kind == "f" for array in arrays.values()) else "iu"
    if any(new[name] != data for name, data in old.items() if name not in arrays):
        return "mixture: what is no tensor"
    for name, array in arrays.items():
        wanted = np.maximum(array, 0) if array.dtype.kind in kind else array
        made = new[name]
        if made.shape != wanted.shape or not np.array_equal(made, wanted, equal_nan=kind == "f"):
            return f"mixture: member {name}"
    return None


def text(source: Path, target: Path) -> str | None:
    try:
        old, new = (_records(path.read_bytes()) for path in (source, target))
    except (csv.Error, UnicodeDecodeError) as e:
        return f"accepted: csv: {e}"
    if len(old) != len(new):
        return f"mixture: {len(new)} of {len(old)} records"
    top = next((i for i, record in enumerate(old) if any(record)), 0)
    if old[: top + 1] != new[: top + 1]:
        return "mixture: the header differs"
    places = [i for i, name in enumerate(old[top]) if name in COMPUTED]
    for number, (before, after) in enumerate(zip(old[top + 1 :], new[top + 1 :], strict=True), 1):
        if len(before) != len(after):
            return f"mixture: record {number} has {len(after)} of {len(before)} cells"
        for i, (cell, result) in enumerate(zip(before, after, strict=True)):
            if not (_relu(cell, result) if i in places else cell == result):
                return f"mixture: record {number}: {cell!r} became {result!r}"
    return None


def _records(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def _relu(cell: str, result: str) -> bool:
    if not cell.strip() or cell.strip().lower() in {name.lower() for name in NULL_NAMES}:
        return cell == result
    number = float(cell)
    wanted = number if not number <= 0 else 0.0
    return str(wanted) == str(float(result)) or wanted == float(result)


def parquet(source: Path, target: Path, suffix: str = "") -> str | None:
    """`suffix` is what follows a column's name in that of its result, which is added."""
    before, after = _file(source), _file(target)
    if after is None:
        # What nobody reads may be copied with what is wrong with it, but not computed
        return None if before is None else "mixture: the output cannot be read"
    for name in after.schema_arrow.names:
        of = name.removesuffix(suffix)
        computed = of != name if suffix else name in COMPUTED
        old, new = _column(before, of), _column(after, name)
        if new is None and old is not None:
            return f"mixture: column {name} of the output cannot be read"
        if old is None and new is not None and computed:
            return f"accepted: column {name}"
        if old is not None and new is not None and (wrong := differs(name, old, new, computed)):
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


def parquet_to_arrow(source: Path, target: Path) -> str | None:
    new, file = _ipc(target), _file(source)
    for name, after in zip(new.column_names, new.columns, strict=True):
        before = _column(file, name)
        if before is None:
            return f"accepted: column {name}"
        if wrong := differs(name, before, after):
            return wrong
    return None


def arrow_to_parquet(source: Path, target: Path) -> str | None:
    try:
        old = _ipc(source)
    except Exception as e:  # as above
        return f"accepted: pyarrow: {e!r:.100}"
    new = pq.read_table(target, use_threads=False)
    for name, before, after in zip(old.column_names, old.columns, new.columns, strict=True):
        if wrong := differs(name, before, after):
            return wrong
    return None


def differs(
    name: str, old: pa.ChunkedArray, new: pa.ChunkedArray, computed: bool | None = None
) -> str | None:
    computed = name in COMPUTED if computed is None else computed
    if len(old) != len(new):
        return f"mixture: column {name} has {len(new)} of {len(old)} rows"
    if pa.types.is_boolean(old.type) and pa.types.is_floating(new.type):
        old = old.cast(pa.int8())
    before, after = old.to_pylist(), new.to_pylist()
    if computed and (pa.types.is_floating(old.type) or pa.types.is_integer(old.type)):
        before = [None if x is None else x if not x <= 0 else 0.0 for x in before]
        same = all(x == y or (x != x and y != y) for x, y in zip(before, after, strict=True))
    else:
        same = repr(before) == repr(after)
    return None if same else f"mixture: column {name}"


def _ipc(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as file:
        stream = path.suffix == ".arrows"
        reader = pa.ipc.open_stream(file) if stream else pa.ipc.open_file(file)
        numbers = range(0 if stream else reader.num_record_batches)
        batches = list(reader) if stream else [reader.get_batch(i) for i in numbers]
        for batch in batches:
            batch.validate(full=True)
        return pa.Table.from_batches(batches, reader.schema)


def _file(path: Path) -> pq.ParquetFile | None:
    try:
        return pq.ParquetFile(path)
    except Exception:  # whatever pyarrow raises for a broken file
        return None


def _column(file: pq.ParquetFile | None, name: str) -> pa.ChunkedArray | None:
    try:
        assert file is not None
        column = file.read(columns=[name], use_threads=False).column(0)
        column.validate(full=True)
        return column
    except Exception:  # as above
        return None

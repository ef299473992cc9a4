"""A table with a bit of everything, in the formats that hold it, for tests that only read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

ROWS = 3000


def sample() -> pa.Table:
    """An id, text, floats with nulls and NaN, lists of different lengths."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 2, ROWS).astype("f4"), rng.normal(1, 2, ROWS)
    b[7] = np.nan
    lists = [[1.0, 2.0 * i] if i % 3 == 0 else [None] if i % 3 == 1 else None for i in range(ROWS)]
    return pa.table(
        {
            "id": np.arange(ROWS),
            "text": [f"review {i}" for i in range(ROWS)],
            "logit_a": a,
            "logit_b": pa.array(b, mask=np.arange(ROWS) % 100 == 0),
            "lists": pa.array(lists, pa.list_(pa.float64())),
        }
    )


def write(table: pa.Table, path: Path, rows: int = 1000) -> Path:
    """Write in the format of the suffix, `rows` in a row group or batch."""
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=rows)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table.select([n for n in table.column_names if n != "lists"]), path)
    else:
        make = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
        with pa.OSFile(str(path), "wb") as file, make(file, table.schema) as writer:
            writer.write_table(table, rows)
    return path

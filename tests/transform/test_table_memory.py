"""Small files of many rows, many columns, long lists: memory stays bounded."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.tools.run import command, environment

F32 = pa.float32()


def peak_memory(*args: str | Path) -> int:
    """The resident memory that kact needed at most, in MiB."""
    # By way of a small process: a child's peak begins with that of the process it is forked from
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    run = [sys.executable, "-c", measure, *command(*args)]
    done = subprocess.run(run, env=environment(), stdout=subprocess.PIPE, check=True)
    return int(done.stdout) // 1024


@pytest.mark.parametrize(
    "options", [["sigmoid"], ["softmax(axis=0)"], ["sigmoid", "--dtype", "float64"]], ids=str
)
def test_a_small_file_of_30_million_rows(options: list[str], tmp_path: Path) -> None:
    rows = 30_000_000
    table = pa.table({"x": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), [0.5])})
    table = table.cast(pa.schema([("x", pa.dictionary(pa.int8(), F32))]))
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=rows, store_schema=False)
    assert (tmp_path / "in.parquet").stat().st_size < 200_000
    assert peak_memory("chain", *options, tmp_path / "in.parquet", tmp_path / "o.parquet") < 300
    assert pq.read_metadata(tmp_path / "o.parquet").num_rows == rows


def test_softmax_across_hundreds_of_columns(tmp_path: Path) -> None:
    # Of every column a page is held, 160 MB here; buffers to read into would take 100 more
    rng = np.random.default_rng(0)
    columns = {f"x{i}": rng.standard_normal(100_000, np.float32) for i in range(400)}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet", use_dictionary=False)
    run = ("apply", "softmax", "--jobs", "2", tmp_path / "in.parquet", tmp_path / "o.parquet")
    assert peak_memory(*run) < 290


def test_long_lists_and_long_texts_are_read_a_few_rows_at_a_time(tmp_path: Path) -> None:
    rows, length = 20_000, 1_000
    v = pa.ListArray.from_arrays(
        np.arange(0, (rows + 1) * length, length, np.int32), np.zeros(rows * length, np.float32)
    )
    texts = pa.array(["long " * 1000]).take(pa.array(np.zeros(rows, np.int8)))
    table = pa.table({"v": v, "t": texts})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=rows)
    del table, v, texts
    for options in (["--to", "parquet"], ["--dtype", "float64"], ["--to", "arrow"]):
        target = tmp_path / f"{options[1]}"
        options += ["--to", "parquet"] if "--dtype" in options else []
        assert peak_memory("apply", "softmax", *options, tmp_path / "in.parquet", target) < 350


@pytest.mark.slow
@pytest.mark.parametrize("of", ["parquet", "csv"])
@pytest.mark.parametrize("chain", ["sigmoid", "softmax(axis=0)"])
def test_memory_does_not_grow_with_the_file(of: str, chain: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(500_000, 8)).astype(np.float32)
    table = pa.table({"id": np.arange(len(x)), **{f"x{n}": x[:, n] for n in range(8)}})
    text = io.BytesIO()
    pa.csv.write_csv(table, text, pa.csv.WriteOptions(include_header=False))
    peaks = []
    for size in (15, 150):  # 0.3 and 3 GB
        path = tmp_path / f"in.{of}"
        if of == "parquet":
            with pq.ParquetWriter(path, table.schema, use_dictionary=False) as writer:
                for _ in range(size):
                    writer.write_table(table)
        else:
            with path.open("wb") as file:
                file.write(",".join(table.schema.names).encode() + b"\n")
                for _ in range(size // 2):
                    file.write(text.getvalue())
        run = ("chain", chain, "-c", "x*", "--overwrite")
        peaks.append(peak_memory(*run, path, tmp_path / f"out.{of}"))
    assert peaks[1] < 350
    assert peaks[1] <= peaks[0] * 1.1

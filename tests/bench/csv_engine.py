"""Times the pieces of the CSV engine, each alone and all of them on one and two threads.

    python tests/bench/csv_engine.py [--rows 200000] [--columns 8] [--dtype float64] [--rounds 7]

Prints nanoseconds a number, the median of the rounds. The pieces take turns, so that a machine
that is busy for a while slows them all alike: read the ratios. Beside them stand Arrow's own
parser and cast, which would do the same.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from kact_cli.formats.csv.batches import header, to_csv
from kact_cli.formats.csv.blocks import CsvBlock, iter_blocks
from kact_cli.formats.csv.cells import separators
from kact_cli.formats.csv.dialect import Dialect, sniff
from kact_cli.formats.csv.floats import shortest
from kact_cli.formats.csv.parse import parse
from kact_cli.formats.csv.render import render
from kact_cli.tables.arrays import arrow_array


def make(rows: int, columns: int, dtype: str) -> bytes:
    """A table of an id and standard normal numbers times 3, as text."""
    rng = np.random.default_rng(0)
    table = {"id": np.arange(rows)}
    table |= {f"x{i}": (3 * rng.standard_normal(rows)).astype(dtype) for i in range(columns)}
    batch = pa.record_batch({name: arrow_array(column) for name, column in table.items()})
    return header(list(table)) + bytes(to_csv(batch))


def sigmoid(x: np.ndarray[Any, np.dtype[Any]]) -> None:
    """1 / (1 + exp(-x)), in place."""
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    np.divide(1, x, out=x)


def pieces(data: bytes, dialect: Dialect, dtype: str) -> dict[str, Callable[[], object]]:
    """What is timed, over all of the data."""
    columns = list(range(1, len(dialect.names)))

    def cut() -> list[CsvBlock]:
        stream = io.BytesIO(data[len(dialect.preamble) :])
        return list(iter_blocks(stream.read, dialect))

    def work(block: CsvBlock) -> memoryview:
        result = parse(block, dialect, columns, dtype)
        sigmoid(result.numbers)
        return render(result, result.numbers)

    blocks = cut()
    parsed = [parse(block, dialect, columns, dtype) for block in blocks]
    for block in parsed:
        sigmoid(block.numbers)
    numbers = [block.numbers.reshape(-1) for block in parsed]
    types = {name: dtype if i else pa.string() for i, name in enumerate(dialect.names)}

    def arrow_parse(block: CsvBlock) -> object:
        return pyarrow.csv.read_csv(
            pa.BufferReader(block.data),
            pyarrow.csv.ReadOptions(use_threads=False, column_names=list(dialect.names)),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types),
        )

    def on_threads(jobs: int) -> None:
        with ThreadPoolExecutor(jobs) as pool:
            for _ in pool.map(work, blocks):
                pass

    return {
        "cut into blocks": cut,
        "find the cells": lambda: [
            separators(b.data, dialect.delimiter, dialect.record_end) for b in blocks
        ],
        "parse (cells found, too)": lambda: [parse(b, dialect, columns, dtype) for b in blocks],
        "  Arrow's read_csv": lambda: [arrow_parse(b) for b in blocks],
        "format": lambda: [shortest(x) for x in numbers],
        "  Arrow's cast": lambda: [arrow_array(x).cast(pa.string()) for x in numbers],
        "render (formatted, too)": lambda: [render(p, p.numbers) for p in parsed],
        "all, 1 thread": lambda: on_threads(1),
        "all, 2 threads": lambda: on_threads(2),
    }


def main() -> None:
    """Make the data, time the pieces, print a table."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rows", type=int, default=200_000)
    options.add_argument("--columns", type=int, default=8)
    options.add_argument("--dtype", choices=["float32", "float64"], default="float64")
    options.add_argument("--rounds", type=int, default=7)
    args = options.parse_args()
    data = make(args.rows, args.columns, args.dtype)
    timed = pieces(data, sniff(data[: 1 << 20]), args.dtype)
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(args.rounds):
        for name, piece in timed.items():
            began = time.perf_counter()
            piece()
            seconds[name].append(time.perf_counter() - began)
    print(f"{args.rows:,} rows of an id and {args.columns} {args.dtype}, {len(data):,} bytes")
    for name, times in seconds.items():
        ns = statistics.median(times) / (args.rows * args.columns) * 1e9
        print(f"{name:26} {ns:7.1f} ns a number")


if __name__ == "__main__":
    main()

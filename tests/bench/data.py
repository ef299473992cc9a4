"""Make the benchmarks' input files: python tests/bench/data.py DIRECTORY [SCALE].

SCALE 1 (the default) is what the README's table is measured on: 1 GiB of .npy, 5 M and 3 M rows of
Parquet, 1 M of CSV. Files that are there already are kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

SEED = 7


def tensors(directory: Path, scale: float) -> None:
    """1 GiB of float32 and of float64, and the float32 ones again as rows of other widths."""
    rng = np.random.default_rng(SEED)
    count = int(scale * 2**28)
    for name, dtype, width in (
        ("f4", np.float32, 64),
        ("w10", np.float32, 10),
        ("w100", np.float32, 100),
        ("w1000", np.float32, 1000),
        ("w50000", np.float32, 50_000),
        ("f8", np.float64, 64),
    ):
        path = directory / f"{name}.npy"
        if not path.exists():
            elements = count if dtype is np.float32 else count // 2
            x = rng.standard_normal((max(1, elements // width), width), np.float32)
            np.save(path, (3 * x).astype(dtype))
    if not (directory / "f4-near.npy").exists():
        np.save(directory / "f4-near.npy", _near(np.load(directory / "f4.npy", mmap_mode="r")))
    if not (directory / "tiny.npy").exists():
        np.save(directory / "tiny.npy", rng.standard_normal((8, 10), np.float32))


def archives(directory: Path) -> None:
    """The float32 tensor as the only member of an .npz, stored, and of a safetensors file."""
    x = np.load(directory / "f4.npy", mmap_mode="r")
    if not (directory / "f4.npz").exists():
        np.savez(directory / "f4.npz", x=x)
    entry = {"dtype": "F32", "shape": x.shape, "data_offsets": [0, x.nbytes]}
    header = json.dumps({"x": entry}).encode()
    if not (directory / "f4.safetensors").exists():
        with (directory / "f4.safetensors").open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.write(x.data)


def tables(directory: Path, scale: float) -> None:
    """Tables of 8, 1 and 400 columns of numbers, one of mostly text, one of lists, as Parquet; the
    first as CSV too, and with numbers an ULP away."""
    rng = np.random.default_rng(SEED)
    rows = int(scale * 5_000_000)
    wide = {"id": np.arange(rows)}
    wide |= {f"x{i}": rng.standard_normal(rows, np.float32) for i in range(8)}
    table = pa.table(wide)
    _parquet(table, directory / "wide.parquet")
    near = {name: _near(x) if name != "id" else x for name, x in wide.items()}
    _parquet(pa.table(near), directory / "wide-near.parquet")
    if not (directory / "wide.csv").exists():
        pa.csv.write_csv(table.slice(0, rows // 5), directory / "wide.csv")
    for name, columns, most in (("narrow", 1, 20_000_000), ("hundreds", 400, 100_000)):
        rows = int(scale * most)
        numbers = {f"x{i}": rng.standard_normal(rows, np.float32) for i in range(columns)}
        _parquet(pa.table({"id": np.arange(rows)} | numbers), directory / f"{name}.parquet")
    rows = int(scale * 3_000_000)
    number = np.arange(rows)
    text = pa.table(
        {
            "id": number,
            "user": pa.array([f"user_{i % 100_003}" for i in range(rows)]),
            "comment": pa.array([f"some longer text {i * 7919 % 1_000_003}" for i in range(rows)]),
            "key": pa.array([f"{i:x}" for i in range(rows)]),
            "time": pa.array(number * 1_000_000, pa.timestamp("us")),
            "x0": rng.standard_normal(rows, np.float32),
            "x1": rng.standard_normal(rows, np.float32),
        }
    )
    _parquet(text, directory / "text.parquet")
    rows = int(scale * 1_000_000)
    values = pa.array(rng.standard_normal(rows * 32, np.float32))
    offsets = pa.array(np.arange(0, 32 * rows + 1, 32, dtype=np.int32))
    lists = pa.table({"id": np.arange(rows), "x0": pa.ListArray.from_arrays(offsets, values)})
    _parquet(lists, directory / "lists.parquet")


def _near(x: np.ndarray) -> np.ndarray:
    """The same but for an ULP or two."""
    return x * np.float32(1 + 2**-22)


def _parquet(table: pa.Table, path: Path) -> None:
    if not path.exists():
        pq.write_table(table, path, row_group_size=500_000, use_dictionary=["user"])


def main() -> None:
    directory = Path(sys.argv[1])
    scale = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    directory.mkdir(parents=True, exist_ok=True)
    tensors(directory, scale)
    archives(directory)
    tables(directory, scale)


if __name__ == "__main__":
    main()

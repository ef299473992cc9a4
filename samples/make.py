"""Make the samples: what a small classifier would leave behind. Run: python samples/make.py."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
ROWS, CLASSES = 200, 10


def logits() -> np.ndarray:
    """Logits in which one class of each row stands out."""
    rng = np.random.default_rng(20)
    values = rng.normal(0, 1.5, (ROWS, CLASSES))
    values[np.arange(ROWS), rng.integers(0, CLASSES, ROWS)] += 4
    return values.astype(np.float32)


def classified() -> pa.Table:
    """Logits of four classes beside an id and a label, and an embedding of each text."""
    rng = np.random.default_rng(21)
    labels = ["bird", "cat", "dog", None]
    rows = 60
    logits = rng.normal(0, 2, (rows, 4)).astype(np.float32)
    columns = {
        "id": pa.array(range(1000, 1000 + rows)),
        "label": pa.array([labels[i] for i in rng.integers(0, 4, rows)]),
        **{f"logit_{i}": pa.array(logits[:, i], mask=rng.random(rows) < 0.05) for i in range(4)},
        "embedding": pa.array(
            [rng.normal(0, 1, n).astype(np.float32) for n in rng.integers(0, 6, rows)],
            pa.list_(pa.float32()),
        ),
    }
    return pa.table(columns)


def scores(path: Path) -> None:
    """An experiment's results, with a header: codes, a comment that needs quotes, gaps."""
    rng = np.random.default_rng(22)
    comments = ["ok", "", 'called "good"', "slow, but right", "1.10"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["code", "score", "margin", "comment"])
        for number in range(40):
            score, margin = rng.normal(0, 3, 2)
            cells = [f"{score:.3f}", "" if rng.random() < 0.1 else f"{margin:.4f}"]
            writer.writerow([f"{number:03}", *cells, comments[number % len(comments)]])


def features(path: Path) -> None:
    """Numbers alone, without a header."""
    np.savetxt(path, np.random.default_rng(23).normal(0, 2, (30, 4)), "%.5f", ",")


def main() -> None:
    np.save(HERE / "logits.npy", logits())
    pq.write_table(classified(), HERE / "logits.parquet", compression="zstd")
    scores(HERE / "scores.csv")
    features(HERE / "features.csv")


if __name__ == "__main__":
    main()

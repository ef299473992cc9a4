"""Make the samples: what a small classifier would leave behind. Run: python samples/make.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROWS, CLASSES = 200, 10


def logits() -> np.ndarray:
    """Logits in which one class of each row stands out."""
    rng = np.random.default_rng(20)
    values = rng.normal(0, 1.5, (ROWS, CLASSES))
    values[np.arange(ROWS), rng.integers(0, CLASSES, ROWS)] += 4
    return values.astype(np.float32)


def main() -> None:
    np.save(HERE / "logits.npy", logits())


if __name__ == "__main__":
    main()

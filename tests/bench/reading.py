"""What one would write to compare or describe files: python reading.py VERB PEER FILE...

`compare` takes two files with nearly the same numbers, `inspect` one; both print what they find.
"""

from __future__ import annotations

import sys
from typing import Any


def compare_allclose(a: str, b: str) -> None:
    import numpy as np

    x, y = np.load(a), np.load(b)
    print(np.array_equal(x, y), np.allclose(x, y, rtol=1e-6, atol=0))


def compare_numpy(a: str, b: str) -> None:
    """With what kact says too: the errors in ULP and absolute, their percentiles, the worst."""
    import numpy as np

    x, y = np.load(a).reshape(-1), np.load(b).reshape(-1)
    absolute = np.abs(x - y)
    ulp = absolute / np.spacing(np.abs(y))
    print(np.array_equal(x, y), absolute.max(), ulp.max(), ulp.mean())
    print(np.percentile(ulp, [50, 99, 99.9]))
    worst = ulp.argmax()
    print(worst, x[worst], y[worst])


def compare_polars(a: str, b: str) -> None:
    import polars as pl

    x, y = pl.read_parquet(a), pl.read_parquet(b)
    for name in x.columns:
        difference = (x[name] - y[name]).abs()
        relative = difference / y[name].abs()
        print(name, difference.max(), difference.mean(), relative.max(), relative.quantile(0.99))


def inspect_numpy(path: str) -> None:
    import numpy as np

    x = np.load(path)
    print(x.shape, x.dtype, x.min(), x.mean(), x.std(), x.max())
    print(np.isnan(x).sum(), np.isinf(x).sum())
    print(np.histogram(x, 32))


def inspect_polars(path: str) -> None:
    import polars as pl

    print(pl.read_parquet(path).describe())


def inspect_duckdb(path: str) -> None:
    import duckdb

    print(duckdb.sql(f"summarize select * from '{path}'"))


def inspect_pandas(path: str) -> None:
    import pandas as pd

    print(pd.read_parquet(path).describe())


def main() -> None:
    verb, peer, *files = sys.argv[1:]
    function: Any = globals()[f"{verb}_{peer}"]
    function(*files)


if __name__ == "__main__":
    main()

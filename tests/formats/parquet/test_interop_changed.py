"""DuckDB, Polars, pandas and fastparquet read columns of another type, and columns that are added.

Run in an environment with kact-cli[interop]: pytest -m interop
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.formats.parquet.test_interop import VARIANTS
from tests.tools.tables import convert

duckdb = pytest.importorskip("duckdb", reason="needs kact-cli[interop]")
pl = pytest.importorskip("polars", reason="needs kact-cli[interop]")
pd = pytest.importorskip("pandas", reason="needs kact-cli[interop]")

pytestmark = pytest.mark.interop

ROWS = 30_000
SCALARS = ["id", "x", "y", "price", "name"]
CHANGES: dict[str, dict[str, Any]] = {
    "float64": {"dtype": np.dtype("f8")},
    "added": {"suffix": "_p"},
    "added in float64": {"suffix": "_p", "dtype": np.dtype("f8")},
}
READERS: dict[str, Callable[[Path], dict[str, list[Any]]]] = {
    "duckdb": lambda path: duckdb.sql(f"from '{path}'").to_arrow_table().to_pydict(),
    "polars": lambda path: pl.read_parquet(path).to_dict(as_series=False),
    "pandas": lambda path: pd.read_parquet(path, dtype_backend="pyarrow").to_dict("list"),
    "fastparquet": lambda path: (
        pytest.importorskip("fastparquet", reason="needs kact-cli[interop]")
        .ParquetFile(str(path))
        .to_pandas()
        .to_dict("list")
    ),
}


def source(path: Path, options: dict[str, Any], *, lists: bool) -> Path:
    rng = np.random.default_rng(0)
    cents = rng.integers(-999, 999, ROWS)
    columns: dict[str, Any] = {
        "id": np.arange(ROWS),
        "x": pa.array(rng.standard_normal(ROWS).astype(np.float32), mask=np.arange(ROWS) % 10 == 3),
        "y": pa.array(rng.integers(-5, 5, ROWS), pa.int32()),
        "price": pa.array(cents, pa.int64()).cast(pa.decimal128(21, 2)),
        "name": [f"name {n % 1000}" for n in range(ROWS)],
    }
    if lists:
        columns["v"] = pa.array([[n / 2] * (n % 4) for n in range(ROWS)], pa.list_(pa.float32()))
    table = pa.table(columns)
    with pq.ParquetWriter(path, table.schema, **options) as writer:
        for part in (table.slice(0, 9000), table.slice(0, 0), table.slice(9000)):
            writer.write_table(part)
    return path


READ = [p for p in product(READERS, VARIANTS) if p != ("fastparquet", "byte_stream_split")]
"""Who reads what."""


# fastparquet leaves files open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(("reader", "variant"), READ)
def test_others_find_what_is_new_and_what_was_there(
    reader: str, variant: str, change: str, tmp_path: Path
) -> None:
    path = source(tmp_path / "in.parquet", VARIANTS[variant], lists=reader != "fastparquet")
    computed = tuple(n for n in pq.read_schema(path).names if n not in ("id", "name"))
    target = tmp_path / "out.parquet"
    convert("relu", path, target, columns=computed, **CHANGES[change])
    suffix = CHANGES[change].get("suffix", "")
    before, after = READERS[reader](path), READERS[reader](target)
    expected = pq.ParquetFile(target).read().to_pydict()
    assert list(after) == list(expected)
    for name in after:
        if name in before and (suffix or name not in computed):
            assert repr(after[name]) == repr(before[name]), name
        else:
            assert known(after[name]) == known(expected[name]), name


def known(value: Any) -> Any:
    """The values, None where there is none, whatever a reader has in its place."""
    if isinstance(value, list | np.ndarray):
        return [known(item) for item in value]
    return None if value is None or value is pd.NA or value != value else value


@pytest.mark.parametrize("suffix", ["", "_p"])
def test_what_pandas_notes_of_a_column_is_true(suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "x": np.arange(5.0),
            "whole": pd.array([1, None, 3, 4, 5], dtype="Int64"),
            "arrow": pd.array([1, None, 3, 4, 5], dtype="int64[pyarrow]"),
            "text": list("abcde"),
        },
        index=pd.Index(range(10, 15), name="row"),
    )
    frame.to_parquet(tmp_path / "in.parquet")
    names = ("x", "whole", "arrow")
    options = {"columns": names, "dtype": np.dtype("f4"), "suffix": suffix or None}
    made = pd.read_parquet(
        convert("relu", tmp_path / "in.parquet", tmp_path / "o.parquet", **options)
    )
    assert made.index.equals(frame.index)
    assert [str(made[name + suffix].dtype) for name in names] == [
        "float32", "Float32", "float[pyarrow]",
    ]  # fmt: skip
    assert made["whole" + suffix].isna().sum() == 1
    if suffix:
        pd.testing.assert_frame_equal(made[list(frame.columns)], frame)

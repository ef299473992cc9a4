"""DuckDB, Polars, pandas and fastparquet read what is written, and it is what they read before.

Run in an environment with kact-cli[interop]: pytest -m interop
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tools.parquet import FILES, negative, rewritten
from tests.tools.tables import every_kind

duckdb = pytest.importorskip("duckdb", reason="needs kact-cli[interop]")
pl = pytest.importorskip("polars", reason="needs kact-cli[interop]")
pd = pytest.importorskip("pandas", reason="needs kact-cli[interop]")
fastparquet = pytest.importorskip("fastparquet", reason="needs kact-cli[interop]")

pytestmark = pytest.mark.interop

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "pages_v2": {"data_page_version": "2.0", "compression": "zstd"},
    "page_index": {"write_page_index": True},
    "byte_stream_split": {"use_dictionary": False, "use_byte_stream_split": ["x", "y"]},
    "uncompressed": {"compression": "none", "write_page_checksum": True},
    "lz4": {"compression": "lz4"},
}
ROWS = 200_000


@pytest.fixture(scope="module", params=list(VARIANTS))
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("interop") / "source.parquet"
    rng = np.random.default_rng(0)
    x = rng.standard_normal(ROWS).astype(np.float32)
    lists = [None if n % 5 == 0 else [n / 2] * (n % 4) for n in range(ROWS)]
    columns = {
        "id": np.arange(ROWS),
        "x": pa.array(np.sort(x), mask=np.arange(ROWS) % 10 == 3),
        "name": pa.array([f"name {n % 1000}" for n in range(ROWS)]),
        "y": pa.array(rng.standard_normal(ROWS)),
        "v": pa.array(lists, pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), path, row_group_size=70_000, **VARIANTS[request.param])
    return path


@pytest.fixture(scope="module")
def target(source: Path) -> Path:
    return rewritten(source, source.with_name("target.parquet"), ["x", "y", "v"])


def same(before: list[Any], after: list[Any], computed: bool) -> None:
    assert repr(after) == repr([negative(v) for v in before] if computed else before)


def test_duckdb_reads_the_same(source: Path, target: Path) -> None:
    before = duckdb.sql(f"from '{source}'").to_arrow_table()
    after = duckdb.sql(f"from '{target}'").to_arrow_table()
    assert after.schema == before.schema
    for name in before.schema.names:
        same(before[name].to_pylist(), after[name].to_pylist(), name in ("x", "y", "v"))


def test_polars_reads_the_same(source: Path, target: Path) -> None:
    before, after = pl.read_parquet(source), pl.read_parquet(target)
    assert after.schema == before.schema
    for name in before.columns:
        same(before[name].to_list(), after[name].to_list(), name in ("x", "y", "v"))


# fastparquet leaves files open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_pandas_and_fastparquet_read_the_same(source: Path, target: Path) -> None:
    columns = ["id", "x", "name", "y"]
    readers = {
        "pandas": lambda p: pd.read_parquet(p, columns=columns),
        "fastparquet": lambda p: fastparquet.ParquetFile(str(p)).to_pandas(columns),
    }
    if "BYTE_STREAM_SPLIT" in pq.read_metadata(source).row_group(0).column(1).encodings:
        del readers["fastparquet"]  # which does not read it
    for read in readers.values():
        before, after = read(source), read(target)
        pd.testing.assert_frame_equal(before.assign(x=-before.x, y=-before.y), after)


def test_predicates_pushed_down_find_the_same_rows(source: Path, target: Path) -> None:
    """Readers skip row groups and pages by the statistics, which have to be the new ones."""
    frame = pq.read_table(target).select(["id", "x", "y"]).to_pandas()
    for low, high in ((-3, -1.5), (0.5, 0.5001), (2, 9), (7, 9), (-0.001, 0.001)):
        expected = frame[(frame.x > low) & (frame.x <= high)].id.tolist()
        query = f"select id from '{target}' where x > {low} and x <= {high} order by id"
        assert [r[0] for r in duckdb.sql(query).fetchall()] == expected
        condition = (pl.col("x") > low) & (pl.col("x") <= high)
        lazy = pl.scan_parquet(target).filter(condition).select("id").collect()
        assert lazy["id"].to_list() == expected
        read = pq.read_table(target, filters=[("x", ">", low), ("x", "<=", high)], columns=["id"])
        assert read["id"].to_pylist() == expected


def test_duckdb_sees_true_statistics_and_the_same_chunks(source: Path, target: Path) -> None:
    columns = (
        "row_group_id, path_in_schema, type, num_values, compression, stats_null_count, "
        "row_group_num_rows, stats_min_value, stats_max_value"
    )
    before, after = (
        duckdb.sql(f"select {columns} from parquet_metadata('{p}')").fetchall()
        for p in (source, target)
    )
    for old, new in zip(before, after, strict=True):
        if old[1] not in ("x", "y"):
            assert new[:-2] == old[:-2]
            continue
        assert new[:-2] == old[:-2]
        low, high = (-float(end) for end in old[-2:])
        assert (float(new[-2]), float(new[-1])) == (high, low)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_of_other_writers_are_read_by_others(path: Path, tmp_path: Path) -> None:
    computed = [n for n in pq.read_schema(path).names if n in ("x", "y", "v")]
    target = rewritten(path, tmp_path / "out.parquet", computed)
    for read in (
        lambda p: duckdb.sql(f"from '{p}'").to_arrow_table(),
        lambda p: pl.read_parquet(p).to_arrow(),
    ):
        before, after = read(path), read(target)
        for name in before.schema.names:
            same(before[name].to_pylist(), after[name].to_pylist(), name in computed)


def test_a_pandas_index_stays(tmp_path: Path) -> None:
    path = Path(__file__).parent.parent.parent / "data" / "parquet" / "pandas.parquet"
    target = rewritten(path, tmp_path / "out", ["x", "y"])
    before, after = pd.read_parquet(path), pd.read_parquet(target)
    pd.testing.assert_frame_equal(before.assign(x=-before.x, y=-before.y), after)
    assert after.index.name == "name"


def test_every_kind_of_column_is_read_by_polars(tmp_path: Path) -> None:
    data = every_kind()
    pq.write_table(data, tmp_path / "in", row_group_size=25)
    computed = ["f32", "f64", "f16", "required", "list", "large", "fixed", "nested", "tensor"]
    target = rewritten(tmp_path / "in", tmp_path / "out", computed)
    before, after = pl.read_parquet(tmp_path / "in"), pl.read_parquet(target)
    for name in before.columns:
        if name != "tensor":
            same(before[name].to_list(), after[name].to_list(), name in computed)

"""Files of other writers through every activation: the other columns as others read them.

Run in an environment with kact-cli[interop]: pytest -m interop
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.activations import ACTIVATIONS
from tests.tools.tables import convert, write

duckdb = pytest.importorskip("duckdb", reason="needs kact-cli[interop]")
pl = pytest.importorskip("polars", reason="needs kact-cli[interop]")
pd = pytest.importorskip("pandas", reason="needs kact-cli[interop]")

pytestmark = pytest.mark.interop

CHAINS = [*ACTIVATIONS, "softmax(axis=0)", "relu,softmax,softmax(axis=0)"]
WIDE = {"dtype": np.dtype(np.float64)}
TENSOR = ("x", "y", "v")


def frame(rows: int = 4000) -> pa.Table:
    """Ids, texts, times, nested columns and, between them, a tensor."""
    n = np.arange(rows)
    x = np.random.default_rng(0).normal(0, 3, rows).astype(np.float32)
    return pa.table(
        {
            "id": n,
            "x": pa.array(x, mask=n % 11 == 5),
            "name": pa.array([None if i % 9 == 0 else f"näme {i % 300}" for i in n]),
            "y": pa.array(np.sort(x.astype(np.float64))),
            "when": pa.array(n * 1_000_001, pa.timestamp("us")),
            "day": pa.array(n.astype(np.int32), pa.date32()),
            "flag": pa.array(n % 3 == 0, mask=n % 7 == 0),
            "v": pa.array([None if i % 5 == 0 else [i / 9] * (i % 4) for i in n],
                          pa.list_(pa.float32())),
            "words": pa.array([None if i % 8 == 0 else ["w", None, str(i)][: i % 4] for i in n]),
            "deep": pa.array([{"a": int(i), "b": [{"c": str(i)}]} if i % 6 else None for i in n]),
        }
    )  # fmt: skip


def by_duckdb(data: pa.Table, path: Path) -> None:
    assert data.num_rows
    duckdb.sql(f"copy data to '{path}' (format parquet, row_group_size 2048, compression zstd)")


def by_polars(data: pa.Table, path: Path) -> None:
    pl.from_arrow(data).write_parquet(path, row_group_size=900, statistics="full")


def by_pandas(data: pa.Table, path: Path) -> None:
    data.to_pandas().set_index(["name", "id"]).to_parquet(path)


def by_pyarrow(data: pa.Table, path: Path) -> None:
    pq.write_table(data, path, row_group_size=1500, data_page_version="2.0", version="1.0",
                   write_page_index=True, compression="gzip")  # fmt: skip


WRITERS = [by_duckdb, by_polars, by_pandas, by_pyarrow]


@pytest.fixture(scope="module", params=WRITERS, ids=lambda w: w.__name__)
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("interop") / "in.parquet"
    request.param(frame(), path)
    return path


def others(path: Path) -> tuple[Any, Any]:
    """What passes through, as DuckDB and as Polars read it."""
    left = f"select * exclude ({', '.join(TENSOR)}) from '{path}'"
    return duckdb.sql(left).fetchall(), pl.read_parquet(path).drop(TENSOR)


@pytest.mark.parametrize("options", [{}, WIDE], ids=["by chunk", "in general"])
@pytest.mark.parametrize("chain", CHAINS)
def test_the_other_columns_are_what_they_were(
    chain: str, options: dict[str, Any], source: Path, tmp_path: Path
) -> None:
    exclude = ("v",) if "axis=0" in chain else ()
    columns = ("x", "y", "v") if not exclude else ()
    target = convert(chain, source, tmp_path / "o.parquet", columns=columns, exclude=exclude,
                     **options)  # fmt: skip
    rows, table = others(source)
    new_rows, new_table = others(target)
    assert new_rows == rows
    assert new_table.equals(table, null_equal=True)
    assert new_table.schema == table.schema
    done = duckdb.sql(f"select x, y, v from '{target}'").fetchnumpy()
    mine = pq.read_table(target, columns=list(TENSOR))
    for name in ("x", "y"):
        found = np.ma.filled(np.ma.asarray(done[name], float), np.nan)
        assert np.array_equal(found, mine[name].to_numpy(), equal_nan=True)
    assert pl.read_parquet(target)["v"].to_list() == mine["v"].to_pylist()


@pytest.mark.parametrize("options", [{}, WIDE], ids=["by chunk", "in general"])
def test_predicates_pushed_down_find_the_rows(
    options: dict[str, Any], source: Path, tmp_path: Path
) -> None:
    target = convert("tanh", source, tmp_path / "o.parquet", **options)
    ids = duckdb.sql(f"select id, x, y from '{target}'").fetchall()
    for low, high in ((-2, -0.5), (-0.01, 0.01), (0.99, 1), (1.1, 2)):
        for column, name in ((1, "x"), (2, "y")):
            expected = [r[0] for r in ids if r[column] is not None and low <= r[column] <= high]
            where = f"{name} >= {low} and {name} <= {high}"
            found = duckdb.sql(f"select id from '{target}' where {where} order by id").fetchall()
            assert [r[0] for r in found] == sorted(expected)
            scan = pl.scan_parquet(target).filter((pl.col(name) >= low) & (pl.col(name) <= high))
            assert sorted(scan.select("id").collect()["id"].to_list()) == sorted(expected)


@pytest.mark.parametrize("options", [{}, WIDE], ids=["by chunk", "in general"])
def test_pandas_finds_its_index(options: dict[str, Any], tmp_path: Path) -> None:
    before = pd.DataFrame(
        {"x": np.array([1.0, -2.0, 3.0], np.float32), "t": ["a", "b", None]},
        index=pd.date_range("2020", periods=3, freq="D", name="day"),
    )
    before["c"] = pd.Categorical(["u", "v", "u"])
    before.to_parquet(tmp_path / "in.parquet")
    target = convert("relu", tmp_path / "in.parquet", tmp_path / "o.parquet", **options)
    after = pd.read_parquet(target)
    expected = before.assign(x=before.x.clip(lower=0).astype("f8" if options else "f4"))
    pd.testing.assert_frame_equal(after, expected, check_freq=False)
    plain = before.reset_index(drop=True)[1:]
    plain.to_parquet(tmp_path / "range.parquet")
    after = pd.read_parquet(convert("relu", tmp_path / "range.parquet", tmp_path / "r", **options))
    assert after.index.equals(plain.index)


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_arrow_files_of_polars(compression: str, tmp_path: Path) -> None:
    data = pl.from_arrow(frame()).with_columns(pl.col("name").cast(pl.Categorical).alias("cat"))
    data.write_ipc(tmp_path / "in.arrow", compression=compression)
    data.write_ipc_stream(tmp_path / "in.arrows", compression=compression)
    for of, read in (("arrow", pl.read_ipc), ("arrows", pl.read_ipc_stream)):
        target = convert("softmax", tmp_path / f"in.{of}", tmp_path / f"o.{of}")
        after = read(target)
        assert after.schema == data.schema
        assert after.drop(TENSOR).equals(data.drop(TENSOR), null_equal=True)
        assert target.stat().st_size < 1.2 * (tmp_path / f"in.{of}").stat().st_size


def test_every_format_is_read_by_polars(tmp_path: Path) -> None:
    flat = frame().select(["id", "x", "name", "y", "flag"])
    write(flat, tmp_path / "in.arrow")
    readers = {"csv": pl.read_csv, "csv.gz": pl.read_csv, "parquet": pl.read_parquet,
               "arrow": pl.read_ipc, "arrows": pl.read_ipc_stream}  # fmt: skip
    for suffix, read in readers.items():
        after = read(convert("tanh", tmp_path / "in.arrow", tmp_path / f"o.{suffix}"))
        assert after["name"].to_list() == flat["name"].to_pylist()
        assert after["id"].to_list() == flat["id"].to_pylist()
        np.testing.assert_allclose(after["y"].to_numpy(), np.tanh(flat["y"].to_numpy()), rtol=1e-15)

"""Tables with added columns as DuckDB, Polars and pandas read them: the old columns are equal.

Run in an environment with kact-cli[interop]: pytest -m interop
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.errors import DataError
from tests.tools.tables import convert, write
from tests.transform.test_table_interop import TENSOR, WRITERS, frame

duckdb = pytest.importorskip("duckdb", reason="needs kact-cli[interop]")
pl = pytest.importorskip("polars", reason="needs kact-cli[interop]")
pd = pytest.importorskip("pandas", reason="needs kact-cli[interop]")

pytestmark = pytest.mark.interop

CHAINS = ["sigmoid", "softmax", "relu,softmax(axis=0)"]
NUMBERS = ("x", "y")
READERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    ".parquet": (pl.read_parquet, pd.read_parquet),
    ".csv": (pl.read_csv, pd.read_csv),
}


def check(source: Path, target: Path, names: tuple[str, ...]) -> None:
    """All three find the columns of `source` in `target`, and after them the added ones."""
    added = [f"{name}_p" for name in names]
    read = f"select * exclude ({', '.join(added)}) from '{target}'"
    assert duckdb.sql(read).fetchall() == duckdb.sql(f"from '{source}'").fetchall()
    assert duckdb.sql(f"from '{target}'").columns[-len(added) :] == added
    by_polars: Callable[[Path], Any] = {".parquet": pl.read_parquet, ".csv": pl.read_csv}[
        source.suffix
    ]
    before, after = by_polars(source), by_polars(target)
    assert after.drop(added).equals(before, null_equal=True)
    assert after.drop(added).schema == before.schema
    by_pandas: Callable[[Path], Any] = {".parquet": pd.read_parquet, ".csv": pd.read_csv}[
        source.suffix
    ]
    old, new = by_pandas(source), by_pandas(target)
    pd.testing.assert_frame_equal(new.drop(columns=added), old)
    assert list(new.columns) == [*old.columns, *added]


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("writer", WRITERS, ids=lambda w: w.__name__)
def test_parquet(writer: Any, chain: str, tmp_path: Path) -> None:
    writer(frame(), tmp_path / "in.parquet")
    names = NUMBERS if "axis" in chain else TENSOR
    found = {"columns": names, "suffix": "_p"}
    target = convert(chain, tmp_path / "in.parquet", tmp_path / "o.parquet", **found)
    check(tmp_path / "in.parquet", target, names)
    replaced = convert(chain, tmp_path / "in.parquet", tmp_path / "r.parquet", columns=names)
    for name in names:
        added = pq.read_table(target)[f"{name}_p"].to_pylist()
        assert repr(added) == repr(pq.read_table(replaced)[name].to_pylist())


@pytest.mark.parametrize("chain", CHAINS)
def test_csv(chain: str, tmp_path: Path) -> None:
    flat = frame().select(["id", "x", "name", "y", "when", "flag"])
    duckdb.from_arrow(flat).write_csv(str(tmp_path / "in.csv"))
    target = convert(chain, tmp_path / "in.csv", tmp_path / "o.csv", suffix="_p")
    check(tmp_path / "in.csv", target, NUMBERS)


@pytest.mark.parametrize("of", ["arrow", "arrows"])
def test_arrow(of: str, tmp_path: Path) -> None:
    source = write(frame(), tmp_path / f"in.{of}", 900)
    target = convert("tanh", source, tmp_path / f"o.{of}", suffix="_p")
    read = pl.read_ipc if of == "arrow" else pl.read_ipc_stream
    after = read(target)
    assert after.drop([f"{name}_p" for name in TENSOR]).equals(read(source), null_equal=True)
    np.testing.assert_allclose(after["y_p"].to_numpy(), np.tanh(after["y"].to_numpy()), rtol=1e-15)


def test_decimals_and_lists_of_duckdb(tmp_path: Path) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "o.parquet"
    duckdb.sql(
        "copy (select i as id, (i / 7)::decimal(18, 3) as price, [i % 3, -1]::tinyint[] as small, "
        "{'x': i / 3, 'y': 'a'} as emb, i::hugeint as huge from range(1000) t(i)) "
        f"to '{source}' (format parquet)"
    )
    names = ("price", "small", "emb.x")
    convert("relu", source, target, columns=names, suffix="_p")
    before = duckdb.sql(f"from '{source}'").fetchall()
    read = 'select * exclude (price_p, small_p, "emb.x_p")'
    assert duckdb.sql(f"{read} from '{target}'").fetchall() == before
    price, small, x = zip(
        *duckdb.sql(f"select price_p, small_p, \"emb.x_p\" from '{target}'").fetchall(), strict=True
    )
    assert price == tuple(float(row[1]) for row in before)
    assert small == tuple([max(0, n) for n in row[2]] for row in before)
    assert x == tuple(row[3]["x"] for row in before)


def test_pandas_finds_its_index_and_its_categories(tmp_path: Path) -> None:
    before = pd.DataFrame(
        {"x": np.array([1.0, -2.0, 3.0], np.float32), "t": ["a", "b", None]},
        index=pd.date_range("2020", periods=3, freq="D", name="day"),
    )
    before["c"] = pd.Categorical(["u", "v", "u"])
    before.to_parquet(tmp_path / "in.parquet")
    after = pd.read_parquet(
        convert("relu", tmp_path / "in.parquet", tmp_path / "o.parquet", suffix="_p")
    )
    pd.testing.assert_frame_equal(
        after, before.assign(x_p=before.x.clip(lower=0)), check_freq=False
    )


@pytest.mark.parametrize(
    "names",
    [range(2), pd.to_datetime(["2020", "2021"]), pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])],
    ids=["numbers", "dates", "tuples"],
)
def test_pandas_reads_columns_beside_those_whose_names_are_no_text(
    names: Any, tmp_path: Path
) -> None:
    before = pd.DataFrame([[1.0, -2.0], [3.0, 4.0]], columns=names)
    before.to_parquet(tmp_path / "in.parquet")
    after = pd.read_parquet(
        convert("relu", tmp_path / "in.parquet", tmp_path / "o.parquet", suffix="_p")
    )
    stored = pq.read_schema(tmp_path / "in.parquet").names
    assert list(after.columns) == [*stored, *(f"{name}_p" for name in stored)]
    assert after.to_numpy().tolist() == [[1, -2, 1, 0], [3, 4, 3, 4]]


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv"])
def test_json_is_refused_with_the_line_that_converts_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / name
    source.write_text('{"id": 1, "logits": [1.5, -2.0]}\n{"id": 2, "logits": [0.25, null]}\n')
    with pytest.raises(DataError) as refusal:
        convert("relu", source, tmp_path / "o.parquet")
    line = re.search(r'`duckdb -c "(.*)"`', str(refusal.value))
    assert line
    monkeypatch.chdir(tmp_path)
    duckdb.sql(line[1])
    done = pq.read_table(convert("relu", tmp_path / "x.parquet", tmp_path / "o.parquet"))
    assert done["logits"].to_pylist() == [[1.5, 0.0], [0.25, None]]
    assert done["id"].to_pylist() == [1, 2]
    assert pa.types.is_list(done.schema.field("logits").type)

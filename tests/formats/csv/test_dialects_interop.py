"""Files that pandas and DuckDB write in all their dialects: the same names, types and values.

Run in an environment with kact-cli[interop]: pytest -m interop
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kact_cli.files.source import open_source
from kact_cli.formats.csv.table import CsvReader
from kact_cli.options import Options

duckdb = pytest.importorskip("duckdb", reason="needs kact-cli[interop]")
pd = pytest.importorskip("pandas", reason="needs kact-cli[interop]")

pytestmark = pytest.mark.interop

NAMED = {"key": ["a", "b", None], "x": [1.5, -2.25, 1e-7], "y": [None, 0.5, 3e20]}
FRAMES = {
    "named": NAMED,
    "spaces, quotes": {'a "b"': [1.5, 2.5, 0.5], "c d": ['say "hi"', "x;y,z|w", "two\nlines"]},
    "numbered": {0: [1.5, 2.5, 0.25], 1: [0.5, -1.5, 3.5]},
    "one column": {"x": [1.5, None, 2.5]},
    "whole beside": {"n": [5, 9, 4], "x": [1.5, 2.5, -0.5]},
    "wide": {f"x{i}": [i + 0.5, -i - 0.25, 1e10 + 0.5] for i in range(30)},
}
SEPARATORS = [",", ";", "\t", "|"]
PANDAS = list(
    itertools.product(FRAMES, SEPARATORS, [True, False], [".", ","], ["", "NA", "?"], [0, 1])
)
DUCKDB = list(
    itertools.product(["named", "one column", "wide"], SEPARATORS, [True, False], ["", "NULL"])
)


def read(path: Path, **options: Any) -> dict[str, list[Any]]:
    """The file as kact reads it, whole-number columns taken in: names and values."""
    source = open_source(str(path))
    reader = CsvReader(source, Options(**options))
    batches = [batch.to_pydict() for batch in reader.batches()]
    source.close()
    return {name: [v for b in batches for v in b[name]] for name in reader.schema.names}


def check(found: dict[str, list[Any]], known: Any) -> None:
    """The same names, and each column of numbers with the same numbers and nulls."""
    assert list(found) == [str(name) for name in known.columns]
    for name, values in zip(known.columns, found.values(), strict=True):
        if known[name].dtype.kind == "f":
            assert all(v is None or isinstance(v, float) for v in values), name
            np.testing.assert_array_equal([np.nan if v is None else v for v in values], known[name])
        else:
            want = [None if pd.isna(v) else str(v) for v in known[name]]
            assert values == want, name


@pytest.mark.parametrize(("name", "sep", "index", "decimal", "na", "quoting"), PANDAS)
def test_pandas(
    tmp_path: Path, name: str, sep: str, index: bool, decimal: str, na: str, quoting: int
) -> None:
    frame = pd.DataFrame(FRAMES[name])
    path = tmp_path / "in.csv"
    how = {"sep": sep, "decimal": decimal, "na_rep": na, "quoting": quoting}
    frame.to_csv(path, index=index, **how)
    more = {"nulls": ("?",)} if na == "?" else {}
    found = read(path, decimal=decimal, **more)
    known = pd.read_csv(path, sep=sep, decimal=decimal, na_values=["?"])
    if index:
        assert next(iter(found)) == ""
        found = {"Unnamed: 0": found[""], **{k: v for k, v in found.items() if k}}
    text = {n: [None if v == na else v for v in values] for n, values in found.items()}
    check({n: text[n] if known[n].dtype.kind != "f" else found[n] for n in found}, known)


@pytest.mark.parametrize(("name", "sep", "quoted", "null"), DUCKDB)
def test_duckdb(tmp_path: Path, name: str, sep: str, quoted: bool, null: str) -> None:
    path = tmp_path / "in.csv"
    duckdb.register("frame", pd.DataFrame(FRAMES[name]))
    options = f"HEADER, DELIMITER '{sep}', NULLSTR '{null}'" + (", FORCE_QUOTE *" if quoted else "")
    duckdb.execute(f"COPY frame TO '{path}' ({options})")
    known = duckdb.sql(f"FROM read_csv('{path}', nullstr=['', 'NULL'], delim='{sep}')").df()
    found = read(path)
    for values in found.values():
        values[:] = [None if v in ("", null) else v for v in values]
    check(found, known)

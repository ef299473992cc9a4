"""CSV through the command line: headers, delimiters, names and cells that pass through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tools.run import Kact
from tests.tools.tables import read, read_ipc, text_of, write

# --- CSV ---


def test_header_or_none_in_conversions(kact: Kact, tmp_path: Path) -> None:
    path = write(pa.table({"a,b": [1.5], "c": [-2.5]}), tmp_path / "in.arrow")
    out = tmp_path / "out.arrow"
    assert kact("apply", "relu", path, "--to", "csv").stdout == b'"a,b",c\n1.5,0.0\n'
    assert kact("apply", "relu", path, "--to", "csv", "--no-header").stdout == b"1.5,0.0\n"
    semicolons = kact("apply", "relu", path, "--to", "csv", "--delimiter", ";").stdout
    assert semicolons == b"a,b;c\n1.5;0.0\n"
    kact("apply", "relu", "--no-header", "-q", "-", out, stdin=b"x,y\n1.5,2\n", code=1)
    kact("apply", "relu", "--no-header", "-", out, stdin=b"7,-1.5\n8,2\n", KACT_COLUMNS="c1")
    assert read_ipc(out).to_pydict() == {"c0": ["7", "8"], "c1": [0.0, 2.0]}
    kact("apply", "relu", "--header", "-", out, "--overwrite", stdin=b"7,1\n8,-2.5\n")
    assert read_ipc(out).to_pydict() == {"7": ["8"], "1": [0.0]}


def test_a_csv_computed_in_another_dtype(kact: Kact) -> None:
    text = b"x,y\n0.1,0.2\n"
    wide = kact("apply", "softmax", stdin=text).stdout
    narrow = kact("apply", "softmax", "--dtype", "float32", stdin=text).stdout
    single = kact("apply", "softmax", "--compute-dtype", "float32", stdin=text).stdout
    exact = np.exp([0.1, 0.2]) / np.exp([0.1, 0.2]).sum()

    def cells(found: bytes) -> list[str]:
        return found.decode().splitlines()[1].split(",")

    np.testing.assert_allclose([float(c) for c in cells(wide)], exact, rtol=1e-15)
    assert cells(narrow) == [str(np.float32(v)) for v in exact]
    assert all(len(c) <= 12 for c in cells(single))
    np.testing.assert_allclose([float(c) for c in cells(single)], exact, rtol=5e-7)
    rounded = kact("apply", "softmax", "--float-format", ".2f", stdin=text).stdout
    assert cells(rounded) == ["0.48", "0.52"]


def test_a_bad_float_format_is_told_before_anything_is_written(kact: Kact, refused: Kact) -> None:
    arrow = kact("apply", "relu", "--to", "arrows", stdin=b"x\n1.5\n").stdout
    done = refused("apply", "relu", "--to", "csv", "--float-format", "d", stdin=arrow, code=2)
    assert done.stdout == b""
    assert done.stderr == b"kact: error: not a float format: 'd'; try .6g or .3f\n"


def test_a_name_that_says_tabs_gets_tabs(kact: Kact, tmp_path: Path) -> None:
    run = ("apply", "relu", "--no-header", "-c", "c1")
    (tmp_path / "in.csv").write_bytes(b'7;1.5;"a;b"\n08;-2.5;"c\td"\n')
    kact(*run, tmp_path / "in.csv", tmp_path / "o.tsv", "--delimiter", ";")
    assert text_of(tmp_path / "o.tsv") == '7\t1.5\ta;b\n08\t0.0\t"c\td"\n'
    kact(*run, tmp_path / "o.tsv", tmp_path / "o.csv.gz")
    assert text_of(tmp_path / "o.csv.gz") == "7,1.5,a;b\n08,0.0,c\td\n"
    kact(*run, tmp_path / "in.csv", tmp_path / "same.csv")
    assert text_of(tmp_path / "same.csv").startswith("7;1.5;")
    assert kact(*run, tmp_path / "in.csv").stdout.startswith(b"7;1.5;")


def test_cells_that_pass_through_are_the_same_bytes(kact: Kact) -> None:
    text = (
        "\ufeffid;x;flag;price;note;when\r\n"
        '007;-1.5;TRUE;1.10;"a;""b""";2020-01-02T03:04:05Z\r\n'
        '"008";2e1;false;1,10;"plain";\r\n'
        "9;;;-0;NA;é"
    ).encode()
    done = kact("apply", "relu", "-c", "x", stdin=text)
    assert done.stdout == text.replace(b"-1.5", b"0.0").replace(b"2e1", b"20.0")
    assert done.stderr == b""


@pytest.mark.parametrize("to", ["csv", "arrow", "parquet"])
def test_numbers_too_large_are_warned_about(to: str, kact: Kact) -> None:
    text = b"x,y\n1e400,1.5\n-1e999,1\n"
    done = kact("apply", "tanh", "--to", to, stdin=text)
    assert done.stderr == b"kact: warning: standard input: 2 numbers are too large: read as inf\n"
    text = b"x,y\n1e39,1.5\n"
    done = kact("apply", "tanh", "--compute-dtype", "float32", "--to", to, stdin=text)
    assert done.stderr == b"kact: warning: standard input: 1 number is too large: read as inf\n"


def test_duplicate_and_empty_names(kact: Kact, tmp_path: Path) -> None:
    text = b"x,,x,\n-1.5,a,-2.5,-3.5\n"
    assert kact("apply", "relu", stdin=text).stdout == b"x,,x,\n0.0,a,0.0,0.0\n"
    kact("apply", "relu", "-", tmp_path / "o.arrow", stdin=text)
    done = read_ipc(tmp_path / "o.arrow")
    assert done.schema.names == ["x", "", "x", ""]
    assert [c.to_pylist() for c in done.columns] == [[0.0], ["a"], [0.0], [0.0]]
    kact("apply", "relu", tmp_path / "o.arrow", tmp_path / "o.csv")
    assert text_of(tmp_path / "o.csv") == "x,,x,\n0.0,a,0.0,0.0\n"


@pytest.mark.parametrize("to", ["csv", "parquet", "arrow", "arrows"])
def test_tables_without_rows(to: str, kact: Kact, tmp_path: Path) -> None:
    for chain in ("relu", "softmax(axis=0)"):
        kact("chain", chain, "-", tmp_path / f"o.{to}", "--overwrite", "-c", "*", stdin=b"x,y\n")
        assert read(tmp_path / f"o.{to}") == {"x": [], "y": []}
        again = tmp_path / f"again-{chain}.{to}"
        kact("chain", chain, "-c", "*", tmp_path / f"o.{to}", again)
        assert read(again) == {"x": [], "y": []}


@pytest.mark.parametrize("to", ["parquet", "arrow", "csv", "npy"])
def test_tables_without_columns(to: str, refused: Kact, tmp_path: Path) -> None:
    pq.write_table(pa.table({}), tmp_path / "in.parquet")
    done = refused("apply", "relu", tmp_path / "in.parquet", tmp_path / f"o.{to}", code=2)
    assert b"no column left to compute; there are: none" in done.stderr

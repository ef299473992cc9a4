"""Files of other tools, through the whole engine: nothing but the numbers changes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from kact_cli.formats.csv.compression import codec_for, codec_of, decompressed
from kact_cli.formats.csv.dialect import sniff
from tests.tools.csv import kinds, rewrite

FILES = Path(__file__).parent.parent.parent / "data" / "csv"
TABLES = sorted(path for path in FILES.iterdir() if path.name != "make.py")


def read(path):
    data = path.read_bytes()
    codec = codec_of(data)
    assert codec is codec_for(path.name)
    if codec is None:
        return data
    stream = io.BytesIO(data)
    text = decompressed(stream.read, codec)
    return b"".join(iter(lambda: text(1 << 16), b""))


def cells(data, dialect):
    text = data.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter.decode()))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
@pytest.mark.parametrize("size", [7, 1 << 20])
def test_only_the_numbers_change(path, size):
    data = read(path)
    dialect = sniff(data, whole=True)
    floats = [i for i, kind in enumerate(kinds(dialect)) if kind == "float64"]
    assert floats
    out = rewrite(data, floats, lambda x: x + 1, size=size)
    assert out.endswith(dialect.line_ending)
    assert sniff(out, whole=True) == dialect
    old, new = cells(data, dialect), cells(out, dialect)
    assert len(old) == len(new)
    records = zip(old, new, strict=True)
    if dialect.preamble:
        assert len(set(map(tuple, next(records)))) == 1
    for before, after in records:
        for i, (a, b) in enumerate(zip(before, after, strict=True)):
            if i in floats and a not in ("", "NA"):
                np.testing.assert_equal(float(b), float(a) + 1)
            else:
                assert a == b


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_what_is_written_is_read_as_the_same_numbers(path):
    data = read(path)
    found = kinds(sniff(data, whole=True))
    floats = [i for i, kind in enumerate(found) if kind == "float64"]
    once = rewrite(data, floats)
    assert rewrite(once, floats) == once


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pandas.csv", "text float64 text float64 text"),
        ("pandas_index.csv", "integer text float64 text float64 text"),
        ("pandas_quoted_crlf.csv", "text float64 text float64 text"),
        ("polars.csv", "text float64 text float64 text"),
        ("pyarrow.csv.zst", "text float64 text float64 text"),
        ("duckdb.csv.gz", "text float64 text float64 text"),
        ("numpy_savetxt_padded.csv", "float64 float64 float64"),
    ],
)
def test_kinds(name, expected):
    assert kinds(sniff(read(FILES / name), whole=True)) == expected.split()


def test_text_around_the_numbers_is_the_same_bytes():
    out = rewrite(read(FILES / "pandas_quoted_crlf.csv"), ["logit"], lambda x: x * 2)
    assert out == (
        b'"id","logit","note","score","ok"\r\n'
        b'"000",0.2,"plain","1.0","True"\r\n'
        b'"001",-5.0,"a, b","","False"\r\n'
        b'"002",2e-7,"say ""hi""","3.25","True"\r\n'
        b'"003",246913.578,"two\nlines","","True"\r\n'
        b'"004","","","-0.0",""\r\n'
        b'"005",2e+22,"","1e+300","False"\r\n'
    )

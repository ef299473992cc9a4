"""CSV from and to record batches: text stays text, null is not empty, quotes where needed."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.errors import DataError
from kact_cli.formats.csv.batches import header, to_csv, to_record_batch
from kact_cli.formats.csv.dialect import sniff
from kact_cli.formats.csv.parse import parse
from tests.tools.csv import blocks_of


def batch_of(data, columns, dtype=np.float64, **options):
    dialect = sniff(data, whole=True, **options)
    (block,) = blocks_of(data, dialect)
    parsed = parse(block, dialect, columns, dtype)
    return to_record_batch(parsed, parsed.numbers)


def text(batch, **options):
    return bytes(to_csv(batch, **options)).decode()


def one(name, array):
    return pa.record_batch({name: array, "z": pa.nulls(len(array))})


def test_a_block_becomes_floats_and_text():
    batch = batch_of(b'id,x,t,y\n007,1.5,"a ""b"", c",NA\n"8",,,2\n9,nan,"",3\r\n', [1, 3])
    assert batch.schema == pa.schema(
        {"id": pa.string(), "x": pa.float64(), "t": pa.string(), "y": pa.float64()}
    )
    assert batch["id"].to_pylist() == ["007", "8", "9"]
    assert batch["t"].to_pylist() == ['a "b", c', None, ""]
    assert batch["y"].to_pylist() == [None, 2.0, 3.0]
    assert batch["x"].null_count == 1
    assert np.isnan(batch["x"][2].as_py())
    batch.validate(full=True)


def test_float32_and_repeated_names():
    batch = batch_of(b"x,x\n1,2\n", [1], np.float32)
    assert batch.schema.names == ["x", "x"]
    assert batch.schema.types == [pa.string(), pa.float32()]


texts = st.one_of(st.none(), st.text('ab,"\n\r;é', max_size=6))


@given(st.lists(st.tuples(texts, st.floats(), st.one_of(st.none(), st.floats(width=32)))))
def test_batches_come_back_from_text(rows):
    t, x, y = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    batch = pa.record_batch(
        {
            "t": pa.array(t, pa.string()),
            "x": pa.array(x, pa.float64()),
            "y": pa.array(y, pa.float32()),
        }
    )
    data = header(["t", "x", "y"]) + bytes(to_csv(batch))
    known = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert [row[0] for row in known[1:]] == [cell or "" for cell in t]
    if rows:
        again = batch_of(data, [1, 2], np.float64)
        assert again["t"].to_pylist() == t
        np.testing.assert_array_equal(again["x"].to_numpy(zero_copy_only=False), x)
        assert again["y"].is_null().to_pylist() == [cell is None for cell in y]


def test_only_cells_that_need_quotes_get_them():
    cells = pa.array(["plain", "a,b", 'say "hi"', "two\nlines", "a\rb", "", None, " x ", "a;b"])
    assert text(one("t", cells)).split(",\n") == [
        "plain", '"a,b"', '"say ""hi"""', '"two\nlines"', '"a\rb"', '""', "", " x ", "a;b", "",
    ]  # fmt: skip
    assert text(one("t", pa.array(["a;b", "a,b"])), delimiter=";") == '"a;b";\na,b;\n'


@pytest.mark.parametrize(
    ("array", "cells"),
    [
        (pa.array([1, None, -(2**63)]), ["1", "", "-9223372036854775808"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([True, None]), ["true", ""]),
        (pa.array([1.0, None, 0.1, float("nan")]), ["1.0", "", "0.1", "nan"]),
        (pa.array([0.1], pa.float32()), ["0.1"]),
        (pa.array(np.array([0.5], np.float16)), ["0.5"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", "", "a"]),
        (pa.array(["x"], pa.large_string()), ["x"]),
        (pa.array([b"bytes"]), ["bytes"]),
        (pa.array([decimal.Decimal("1.10")]), ["1.10"]),
        (pa.array([dt.date(2020, 1, 2)]), ["2020-01-02"]),
        (pa.array([dt.datetime(2020, 1, 2, 3, 4, 5)], pa.timestamp("s")), ["2020-01-02 03:04:05"]),
        (pa.nulls(2), ["", ""]),
        (pa.array([1.0, None, 2.0, 3.0])[1:3], ["", "2.0"]),
        (pa.array(["a", "b", None, "c"])[1:3], ["b", ""]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_types(array, cells):
    assert text(one("x", array)) == "".join(f"{cell},\n" for cell in cells)


@pytest.mark.parametrize(
    "array", [pa.array([[1.0]]), pa.array([{"a": 1}]), pa.array([b"\xff"])], ids=str
)
def test_what_fits_in_no_cell_is_refused_by_name(array):
    with pytest.raises(DataError, match="column 'x'"):
        to_csv(one("x", array))


def test_one_column_keeps_its_rows_for_readers_that_skip_blank_lines():
    data = text(pa.record_batch({"x": pa.array([1.0, None, 2.0])}))
    assert data == '1.0\n""\n2.0\n'
    assert batch_of(b"x\n" + data.encode(), [0])["x"].to_pylist() == [1.0, None, 2.0]


def test_endings_format_and_an_empty_batch():
    batch = pa.record_batch({"x": [1 / 3], "t": ["a"]})
    assert text(batch, line_ending="\r\n", float_format=".2f", delimiter="\t") == "0.33\ta\r\n"
    assert text(batch.slice(0, 0)) == ""


def test_header():
    assert header(["a", "b c", 'd"', "e,f", ""]) == b'a,b c,"d""","e,f",\n'
    assert header([""]) == b'""\n'
    assert header(["a", "b"], ";", "\r\n") == b"a;b\r\n"
    names = ["x", "", "é", 'q"', "l\nf"]
    assert sniff(header(names) + b"1,2,3,4,5\n", whole=True).names == names


def test_a_uuid_is_written_as_one():
    storage = pa.array([b"a" * 16, None, bytes(range(16))], pa.binary(16))
    column = pa.ExtensionArray.from_storage(pa.uuid(), storage)
    assert text(pa.RecordBatch.from_arrays([column, pa.array([1, 2, 3])], ["u", "i"])) == (
        "61616161-6161-6161-6161-616161616161,1\n,2\n00010203-0405-0607-0809-0a0b0c0d0e0f,3\n"
    )

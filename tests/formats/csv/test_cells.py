"""Where cells are, in text with quotes of every kind; checked against Python's csv module."""

from __future__ import annotations

import csv
import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.errors import DataError
from kact_cli.formats.csv.cells import RecordError, locate, separators


def cells(data, width, columns=None):
    columns = np.arange(width) if columns is None else np.array(columns)
    starts, ends = locate(data, b",", b"\n", width).cells(columns)
    return [
        [data[s:e] for s, e in zip(row_starts, row_ends, strict=True)]
        for row_starts, row_ends in zip(starts, ends, strict=True)
    ]


def unquoted(cell):
    text = cell.decode()
    return next(csv.reader(io.StringIO(text, newline="")), [""])[0] if text else ""


@given(st.text('ab,"\n', max_size=30))
def test_any_text_is_cut_as_python_cuts_it(text):
    # A last quote that nothing closes is an error for kact, and is tested as one elsewhere.
    try:
        records = list(csv.reader(io.StringIO(text + "\n", newline="\n"), strict=False))
    except csv.Error:
        return
    found = separators((text + "\n").encode(), b",", b"\n")
    if not len(found) or found[-1] != len(text):
        return
    assert len(found) == sum(max(len(record), 1) for record in records)


quoted_cell = st.text('ab,"\n', max_size=6).map(lambda s: '"' + s.replace('"', '""') + '"')
plain_cell = st.one_of(st.text("ab. ", max_size=4), st.just('a"b'), st.just('5" x'))


@given(st.lists(st.lists(st.one_of(quoted_cell, plain_cell), min_size=3, max_size=3), min_size=1))
def test_cells_with_quotes(records):
    data = "".join(",".join(record) + "\n" for record in records).encode()
    assert cells(data, 3) == [[cell.encode() for cell in record] for record in records]
    assert cells(data, 3, [1]) == [[record[1].encode()] for record in records]


def test_carriage_returns_belong_to_the_ending_only_at_the_end():
    data = b'a,b\r\n"x\r\ny","z\r"\r\nc\r,d\n'
    assert cells(data, 2) == [[b"a", b"b"], [b'"x\r\ny"', b'"z\r"'], [b"c\r", b"d"]]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_blank_lines_are_no_records_save_in_one_column(ending):
    blank = ending * 2 + b"1,2" + ending * 3 + b"3,4" + ending * 2
    assert cells(blank, 2) == [[b"1", b"2"], [b"3", b"4"]]
    assert cells(ending + b"1" + ending * 2, 1) == [[b""], [b"1"], [b""]]


def test_only_blank_lines():
    assert cells(b"\n\n", 2) == []


@pytest.mark.parametrize(
    ("bad", "message"),
    [(b"1", " has 1 cell where"), (b"1,2,3", " has 3 cells"), (b"1,2,3,4", " has 4 cells")],
)
def test_a_ragged_record_is_named(bad, message):
    good = b"1,2\n" * 500
    for data in (good + bad + b"\n" + good, b"\n" + good + b"\n" + bad + b"\n"):
        with pytest.raises(RecordError, match=message) as caught:
            cells(data, 2)
        assert caught.value.record == 500


def test_records_whose_cells_only_add_up_are_ragged():
    with pytest.raises(RecordError) as caught:
        cells(b"1,2\n3\n4,5,6\n", 2)
    assert caught.value.record == 1


def test_a_record_error_counts_from_the_records_before():
    error = RecordError(" has 1 cell", 41, 50)
    assert str(error.after(1_000_000, 2_000_000)) == "record 1,000,042 (line 2,000,051) has 1 cell"
    assert type(error.after(0, 0)) is DataError
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.record, copy.line) == (str(error), 41, 50)

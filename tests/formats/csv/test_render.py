"""What is written: the new numbers, and every other byte as it was."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.csv import rewrite


def doubled(x):
    return x * 2


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_columns_that_pass_through_are_the_same_bytes(ending, bom, last):
    lines = [
        b'"id",x, "name" ,y,t',
        b'007,0.5,"a ""b"", c",1e2,TRUE',
        b'"1.10",1.50,,"3", 2020-01-01T00:00:00Z ',
        b'1.10,  -4,5" nail,nan,',
    ]
    expected = [
        b'"id",x, "name" ,y,t',
        b'007,1.0,"a ""b"", c",200.0,TRUE',
        b'"1.10",3.0,,6.0, 2020-01-01T00:00:00Z ',
        b'1.10,-8.0,5" nail,nan,',
    ]
    end = ending if last else b""
    data = bom + ending.join(lines) + end
    for size in (1, 10, 1000):
        assert rewrite(data, ["x", "y"], doubled, size=size) == bom + ending.join(expected) + end


def test_nulls_stay_as_they_were():
    data = b'x,y\n,1\nNA,\n"",null\n None ,2\n'
    assert rewrite(data, compute=doubled) == b'x,y\n,2.0\nNA,\n"",null\n None ,4.0\n'


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_one_column_with_nulls_keeps_its_rows(ending):
    data = ending.join([b"x", b"", b"1.0", b"", b"", b"2.0", b"", b""])
    out = rewrite(data, compute=doubled, size=3)
    assert out == ending.join([b"x", b"", b"2.0", b"", b"", b"4.0", b"", b""])


def test_blank_lines_stay_where_they_were():
    data = b"x,y\n\n1.0,2.0\n\n\r\n3.0,4.0\n\n"
    assert rewrite(data, size=5) == data


def test_no_header():
    assert rewrite(b"5,2\n3,4\n", [1], doubled) == b"5,4.0\n3,8.0\n"
    assert rewrite(b"5,2\n3,4\n", [0], doubled) == b"10.0,2\n6.0,4\n"
    assert rewrite(b"1,2\n3,4\n", ["1"], doubled, header=True) == b"1,2\n6.0,4\n"


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ":"])
def test_the_delimiter_is_kept(delimiter):
    data = "a,b,c\n1.5,x,2.5\n".replace(",", delimiter).encode()
    assert rewrite(data, ["a", "c"], doubled, delimiter=delimiter) == (
        "a,b,c\n3.0,x,5.0\n".replace(",", delimiter).encode()
    )


def test_repeated_and_empty_names():
    data = b"x,,x\n1.0,2.0,3.0\n"
    assert rewrite(data, [1, 2], doubled) == b"x,,x\n1.0,4.0,6.0\n"


def test_float32_is_written_with_the_digits_of_float32():
    assert rewrite(b"x\n0.1\n16777217\n", dtype=np.float32) == b"x\n0.1\n16777216.0\n"
    assert rewrite(b"x\n0.1\n", compute=lambda x: x / 3) == b"x\n0.03333333333333333\n"


def test_float_format():
    data = b"id,x,y\n1,0.123456789,\n2,1e10,nan\n"
    out = rewrite(data, ["x", "y"], float_format=".3g")
    assert out == b"id,x,y\n1,0.123,\n2,1e+10,nan\n"
    assert rewrite(b"5,2\n3,4\n", [0, 1], float_format=".1f") == b"5.0,2.0\n3.0,4.0\n"


def test_mixed_line_endings():
    data = b"x,y\r\n1.0,a\n2.0,b\r\n"
    assert rewrite(data, ["x"]) == data
    assert rewrite(b"y,x\r\na,1.0\nb,2.0\r\n", ["x"], doubled) == b"y,x\r\na,2.0\nb,4.0\r\n"


number = st.one_of(
    st.floats(width=32).map(repr),
    st.floats().map(repr),
    st.integers(-(10**6), 10**6).map(str),
    st.sampled_from(["", "NA", '"1.5"', " 2", "+3", "1e400", "nan", "-Infinity", '" "']),
)
text = st.one_of(
    st.text("ab é.", max_size=5),
    st.text('ab,"\n\r', max_size=8).map(lambda s: '"' + s.replace('"', '""') + '"'),
    st.sampled_from(["007", "TRUE", "1.10", "", '5" x', '""']),
)


@st.composite
def tables(draw):
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=6).filter(any))
    record = st.tuples(*(number if kind else text for kind in kinds))
    return kinds, draw(st.lists(record, min_size=1, max_size=12))


def is_null(cell):
    return cell.strip() in ("", "NA")


@given(
    tables(),
    st.integers(1, 60),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
)
def test_any_table_any_block_size(table, size, ending, last, bom):
    kinds, records = table
    header = ",".join("n" if kind else "t" for kind in kinds)
    lines = [header, *(",".join(record) for record in records)]
    data = ("\ufeff" * bom + ending.join(lines) + ending * last).encode()
    if not last and len(kinds) == 1 and not records[-1][0]:
        return  # a last empty line without an ending is no line
    columns = [i for i, kind in enumerate(kinds) if kind]
    out = rewrite(data, columns, size=size, header=True, delimiter=",")
    assert out == rewrite(data, columns, header=True, delimiter=",")

    got = list(csv.reader(io.StringIO(out.decode(), newline="")))[1:]
    same = list(csv.reader(io.StringIO(data.decode(), newline="")))[1:]
    assert len(got) == len(same)
    for new, old in zip(got, same, strict=True):
        for i, (a, b) in enumerate(zip(new, old, strict=True)):
            if not kinds[i] or is_null(b):
                assert a == b
            else:
                np.testing.assert_equal(float(a), float(b))
    again = rewrite(out, columns, size=size, header=True, delimiter=",")
    assert again == out

"""What is found in the head of a CSV file, and what is refused with a hint."""

from __future__ import annotations

import pytest

from kact_cli.errors import DataError, UsageError
from kact_cli.formats.csv.dialect import sniff
from kact_cli.formats.csv.spelling import Spelling
from tests.tools.csv import kinds


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_delimiter_ending_and_bom(delimiter, ending, bom):
    header = delimiter.join(["id", "x", "ünï"]).encode() + ending
    data = bom + header + delimiter.join(["7", "1.5", "a b"]).encode() + ending
    dialect = sniff(data, whole=True)
    assert dialect.delimiter == delimiter.encode()
    assert dialect.line_ending == ending
    assert dialect.names == ["id", "x", "ünï"]
    assert kinds(dialect) == ["integer", "float64", "text"]
    assert dialect.preamble == bom + header


@pytest.mark.parametrize(
    ("first", "is_header"),
    [
        (b"a,b", True),
        (b"1,2.5e3", False),
        (b"nan,-INF", False),
        (b"1,", False),
        (b" 1 , +.5", False),
        (b'"1","2"', True),
        (b"x,0x10", True),
    ],
)
def test_a_first_record_of_numbers_is_data(first, is_header):
    data = first + b"\n3,4\n"
    dialect = sniff(data, whole=True)
    assert dialect.preamble == (first + b"\n" if is_header else b"")
    assert (dialect.names == ["c0", "c1"]) is not is_header
    for header in (True, False):
        assert bool(sniff(data, header=header, whole=True).preamble) is header


def test_names_that_are_empty_repeated_quoted_or_have_a_line_ending():
    header = b'x,,x,"a,b","c\nd","e ""f"""\n'
    dialect = sniff(header + b"1,2,3,4,5,6\n", whole=True)
    assert dialect.names == ["x", "", "x", "a,b", "c\nd", 'e "f"']
    assert dialect.preamble == header


def test_a_header_alone():
    for data in (b"a,b\n", b"a,b"):
        dialect = sniff(data, whole=True)
        assert dialect.preamble == data
        assert kinds(dialect) == ["empty", "empty"]


def test_kinds_are_those_of_all_records_in_the_head():
    data = b"f,i,e,t,n,q\n" + b'1,1,,1,NA,"1"\n' * 3 + b'2.5,2,NULL,x,2,"2.5"\n'
    assert kinds(sniff(data, whole=True)) == [
        "float64",
        "integer",
        "empty",
        "text",
        "integer",
        "float64",
    ]


@pytest.mark.parametrize(
    ("cells", "nulls", "kind"),
    [
        ("1.5 x y nan nan", (), "text"),
        ("1.5 x nan nan", ("nan",), "float64"),
        ("1.5 x y nan nan nan", ("nan",), "text"),
    ],
)
def test_nan_beside_text_is_no_number_and_what_is_null_is_neither(cells, nulls, kind):
    data = "a,b\n" + "".join(f"{cell},2.5\n" for cell in cells.split())
    dialect = sniff(data.encode(), whole=True, spelling=Spelling(nulls))
    assert kinds(dialect) == [kind, "float64"]


def test_a_head_that_ends_anywhere():
    data = "名,x\né,1.5\nü,2.5\n".encode()
    for n in range(len("名,x\né,1.5\n".encode()), len(data)):
        dialect = sniff(data[:n])
        assert dialect.names == ["名", "x"]
        assert kinds(dialect)[1] == "float64"


def test_a_record_cut_by_the_end_of_the_head_is_not_looked_at():
    assert kinds(sniff(b"a,b\n1,2\n3,x")) == ["integer", "integer"]
    assert kinds(sniff(b"a,b\n1,2\n3,x", whole=True)) == ["integer", "text"]


def test_the_delimiter_that_agrees_is_taken_not_the_most_frequent():
    data = b'name;x\n"a,b,c,d";1.5\n"e,f,g,h";2.5\n'
    assert sniff(data, whole=True).delimiter == b";"
    data = b"when,x\n2020-01-01;a|b,1.5\n2020-01-02,2.5\n"
    assert sniff(data, whole=True).delimiter == b","


def test_a_tab_file_with_commas_in_its_text():
    data = b"text\tx\nhello, you\t1.5\nhello, me\t2.5\n"
    assert sniff(data, whole=True).delimiter == b"\t"


def test_one_column():
    dialect = sniff(b"x\n1\n2\n\n", whole=True)
    assert dialect.names == ["x"]
    assert kinds(dialect) == ["integer"]


def test_ten_thousand_columns():
    names = [f"x{i}" for i in range(10_000)]
    data = ",".join(names).encode() + b"\n" + b",".join([b"1.5"] * 10_000) + b"\n"
    dialect = sniff(data, whole=True)
    assert list(dialect.names) == names
    assert set(kinds(dialect)) == {"float64"}


@pytest.mark.parametrize("delimiter", ["", "ab", '"', "\n", "1", "e", ".", "-", "é", "\0"])
def test_what_can_be_no_delimiter(delimiter):
    with pytest.raises(UsageError, match="delimiter"):
        sniff(b"a,b\n", delimiter=delimiter)


def test_a_given_delimiter():
    dialect = sniff(b"a:b,c\n1:2\n", delimiter=":", whole=True)
    assert dialect.names == ["a", "b,c"]


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_error(data):
    with pytest.raises(DataError, match="empty"):
        sniff(data, whole=True)


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ("a,b\n1,2\n".encode("utf-16"), "iconv -f utf-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "iconv -f utf-16"),
        ("a,b\n1,2\n".encode("utf-32"), "iconv -f utf-32"),
        ("größe,b\n1,2\n".encode("latin-1"), "iconv -f latin1"),
        (b"a,b\n1,2\n\0\n", "zero bytes"),
    ],
)
def test_what_is_not_csv_is_refused_with_the_cause(data, hint):
    with pytest.raises(DataError, match=hint):
        sniff(data, whole=True)

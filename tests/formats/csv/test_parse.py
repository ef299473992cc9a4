"""Numbers in cells: every spelling, nulls, what is no number, and where it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.errors import DataError
from kact_cli.formats.csv.blocks import CsvBlock
from kact_cli.formats.csv.dialect import sniff
from kact_cli.formats.csv.parse import parse
from tests.tools.csv import blocks_of, rewrite


def parse_column(cells, dtype=np.float64, **dialect):
    data = "".join(f"a,{cell},b\n" for cell in cells).encode()
    parsed = parse(CsvBlock(data), sniff(b"s,x,t\nu,1,v\n", whole=True, **dialect), [1], dtype)
    assert parsed.numbers.dtype == dtype
    nulls = [False] * len(cells) if parsed.nulls is None else parsed.nulls[:, 0].tolist()
    return parsed, parsed.numbers[:, 0].tolist(), nulls


NUMBERS = {
    "1": 1.0,
    "-1.5": -1.5,
    "+2": 2.0,
    ".5": 0.5,
    "5.": 5.0,
    "1e5": 1e5,
    "1E-05": 1e-5,
    "-0.0": -0.0,
    "007": 7.0,
    " 3 ": 3.0,
    "\t4": 4.0,
    '"5.5"': 5.5,
    '" -6 "': -6.0,
    "inf": np.inf,
    "+INF": np.inf,
    "-Infinity": -np.inf,
    '"-inf"': -np.inf,
    "1e-400": 0.0,
    "0." + "1" * 400: 1 / 9,
}
NANS = ["nan", "NaN", "NAN", "-nan", "+NaN", '"nan"', " nan"]
NULL_CELLS = [
    "",
    '""',
    " ",
    "NA",
    "na",
    "N/A",
    "n/a",
    "<NA>",
    "#N/A",
    "null",
    "NULL",
    "None",
    '"NA"',
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_spellings_of_numbers(dtype):
    for cells in (list(NUMBERS), *([cell] for cell in NUMBERS)):
        _, numbers, nulls = parse_column(cells, dtype)
        expected = np.array([NUMBERS[cell] for cell in cells], dtype).tolist()
        assert numbers == expected
        assert np.signbit(numbers).tolist() == np.signbit(expected).tolist()
        assert not any(nulls)


@pytest.mark.parametrize("cell", NANS)
def test_nan_is_a_number(cell):
    _, numbers, nulls = parse_column([cell, "1"])
    assert np.isnan(numbers[0])
    assert nulls == [False, False]


@pytest.mark.parametrize("cell", NULL_CELLS)
def test_null(cell):
    _, numbers, nulls = parse_column(["1", cell, "2"])
    assert nulls == [False, True, False]
    assert numbers == [1, 0, 2]
    assert parse_column([cell])[2] == [True]


def test_every_spelling_at_once():
    cells = [*NUMBERS, *NANS, *NULL_CELLS] * 3
    _, numbers, nulls = parse_column(cells)
    assert nulls == [cell in NULL_CELLS for cell in cells]
    assert [np.isnan(n) for n in numbers] == [cell in NANS for cell in cells]


@given(st.lists(st.floats(), min_size=1))
def test_float64_is_read_exactly(x):
    _, numbers, _ = parse_column(list(map(repr, x)))
    np.testing.assert_array_equal(numbers, x)


def test_float32_is_rounded_once_not_by_way_of_float64():
    # Just above the middle of two float32; as a float64 it is the middle, and would round down.
    cell = "1.00000005960464477540"
    assert np.float32(np.float64(cell)) == 1
    assert parse_column([cell], np.float32)[1] == [1 + 2**-23]


@pytest.mark.parametrize(("dtype", "count"), [(np.float64, 2), (np.float32, 3)])
def test_overflow_is_infinite_and_counted(dtype, count):
    parsed, numbers, _ = parse_column(
        ["1e400", "-1e999", "1e39", "inf", "-Infinity", '"INF"'], dtype
    )
    assert parsed.overflows == count
    assert np.isinf(numbers).sum() == count + 3


BAD = ["x", "1.5x", "1_000", "0x10", "1e", "--1", "+-1", "1 2", '"1"2', "-", ".", "١", "nul", "NAs"]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("other", ["1.5", "NA", '" 2"', "nan"])
def test_what_is_no_number_is_named(bad, other):
    with pytest.raises(DataError) as caught:
        parse_column([other] * 7 + [bad, other, "also bad"])
    assert caught.value.what == "column 'x', "
    assert str(caught.value).startswith(f": {bad!r} is not a number; --null {bad!r} reads it")
    assert caught.value.record == 7


def test_the_error_counts_records_from_the_start_of_the_file():
    data = b"a,b\n" + b"1,2\n\n" * 5000 + b"1,oops\n" + b"1,2\n" * 10
    for size in (100, 1 << 14, 1 << 20):
        with pytest.raises(DataError, match=r"^in\.csv: column 'b', record 5,001 \(line 10,002\)"):
            rewrite(data, ["a", "b"], size=size)


def test_a_ragged_record_at_a_million():
    data = b"a,b\n" + b"1,2\n" * 999_999 + b"1\n" + b"1,2\n"
    with pytest.raises(DataError, match=r"^in\.csv: record 1,000,000 \(line 1,000,001\) has 1 "):
        rewrite(data, ["a"])


def test_a_decimal_comma_gets_a_hint():
    with pytest.raises(DataError, match="--decimal , reads"):
        rewrite(b"a;b\n1.5;2\n1,5;2\n", ["a"])


def test_a_long_cell_is_not_shown_whole():
    with pytest.raises(DataError) as caught:
        parse_column(["y" * 10_000])
    assert len(str(caught.value)) < 200


def test_text_that_is_not_utf8_is_named():
    data = b"a,b\n" + b"1,x\n" * 300 + "1,é\n".encode("latin-1")
    dialect = sniff(data[:100])
    blocks = [parse(b, dialect, [0]) for b in blocks_of(data[:900], dialect, 256)]
    assert sum(p.records for p in blocks) == 224
    with pytest.raises(DataError, match="not UTF-8"):
        [parse(b, dialect, [0]) for b in blocks_of(data, dialect, 256)]


def test_an_integer_column_with_a_fraction_late():
    data = b"x\n" + b"1\n" * 2000 + b"2.5\n"
    assert rewrite(data, size=100) == b"x\n" + b"1.0\n" * 2000 + b"2.5\n"


def test_an_empty_column_with_numbers_late():
    data = b"x,y\n" + b",1.0\n" * 2000 + b"2.5,1.0\n"
    assert rewrite(data, size=100) == data

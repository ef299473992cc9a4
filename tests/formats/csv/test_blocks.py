"""Blocks are whole records, whatever the size, and memory is bounded whatever the file."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.errors import DataError
from kact_cli.formats.csv.blocks import iter_blocks
from kact_cli.formats.csv.cells import RecordError
from kact_cli.formats.csv.dialect import sniff
from tests.tools.csv import blocks_of, rewrite

DIALECT = sniff(b"a,b\n1,2\n", whole=True)

cell = st.one_of(
    st.text("ab", max_size=5),
    st.text('ab,"\n\r', max_size=8).map(lambda s: '"' + s.replace('"', '""') + '"'),
    st.just('5" nail'),
)
records = st.lists(st.tuples(cell, cell).map(",".join), min_size=1, max_size=20)


@given(records, st.integers(1, 40), st.booleans())
def test_any_size_gives_the_same_records(records, size, ended):
    data = "\n".join(records).encode() + b"\n" * ended
    blocks = list(iter_blocks(io.BytesIO(data).read, DIALECT, size=size))
    assert b"".join(block.data for block in blocks) == data + b"\n" * (not ended)
    assert [block.ended for block in blocks[:-1]] == [True] * (len(blocks) - 1)
    found = [b.data.decode() for b in blocks]
    ends = {len(("\n".join(records[: i + 1]) + "\n").encode()) for i in range(len(records))}
    at = 0
    for text in found:
        at += len(text.encode())
        assert at in ends


def test_the_head_that_was_sniffed_comes_first():
    blocks = iter_blocks(io.BytesIO(b"4\n5,6\n").read, DIALECT, head=b"1,2\n3,", size=4)
    assert b"".join(block.data for block in blocks) == b"1,2\n3,4\n5,6\n"


def test_a_pipe_that_gives_a_byte_at_a_time_still_gives_whole_blocks():
    stream = io.BytesIO(b"1,2\n" * 1000)
    blocks = list(iter_blocks(lambda n: stream.read(1), DIALECT, size=400))
    assert len(blocks) <= 11


def test_a_field_of_5_mb_with_line_endings():
    document = b'"' + b'line ""one"", and\n' * 300_000 + b'"'
    data = b"x,doc\n1.0," + document + b"\n2.5,\n"
    assert len(data) > 5 << 20
    assert rewrite(data, ["x"], size=1 << 16) == data


@pytest.mark.parametrize("opening", [b'1,"', b"1,"])
def test_an_endless_record_is_an_error_in_bounded_memory(opening):
    left = [1 << 30]
    filler = b"abc,\n" if b'"' in opening else b"abc,"

    def read(n):
        left[0] -= n
        return (filler * (n // len(filler) + 1))[:n] if left[0] > 0 else b""

    tracemalloc.start()
    with pytest.raises(RecordError, match="16 MiB") as caught:
        list(iter_blocks(read, DIALECT, head=b"5,6\n" * 3 + opening, size=1 << 20, limit=16 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ("quote" in str(caught.value)) is (b'"' in opening)
    assert left[0] > (1 << 30) - (64 << 20)
    assert peak < 256 << 20


def test_an_unterminated_quote_names_its_record():
    with pytest.raises(
        DataError, match=r"^in\.csv: record 1,001 \(line 1,002\) has a quote that is never closed"
    ):
        rewrite(b"x,y\n" + b"1,2\n" * 1000 + b'1,"2\n' + b"1,2\n" * 1000, ["x"], size=256)


def test_no_final_line_ending_stays_so():
    assert rewrite(b"x,y\n1.0,2.0") == b"x,y\n1.0,2.0"
    assert rewrite(b'x,y\n1.0,"a\n"', ["x"]) == b'x,y\n1.0,"a\n"'


def test_no_records():
    assert list(blocks_of(b"a,b\n", DIALECT)) == []
    assert rewrite(b"a,b") == b"a,b"

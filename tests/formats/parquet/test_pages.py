"""Pages of computed columns: their headers say what is in them, in the version of the source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.formats.parquet import encode as parquet_units
from kact_cli.formats.parquet import rewrite as parquet_chunks
from kact_cli.formats.parquet.levels import Values
from kact_cli.formats.parquet.metadata.chunk import Chunk, Meta
from kact_cli.formats.parquet.metadata.schema import OPTIONAL, Leaf
from kact_cli.formats.parquet.metadata.thrift_reader import read_struct
from kact_cli.formats.parquet.pages import PageEncoder, PageFormat
from tests.tools.parquet import chunk_span, column_chunks, rewritten

ROWS = 40
FULL = [[None if m == 1 else m / 2 for m in range(n % 4)] for n in range(ROWS)]
LISTS = [None if n % 5 == 0 else row for n, row in enumerate(FULL)]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_page_headers_count_what_is_in_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, dictionary: bool
) -> None:
    monkeypatch.setattr(parquet_units, "PAGE_BYTES", 30)
    monkeypatch.setattr(parquet_chunks, "PAGE_BYTES", 30)
    source = tmp_path / "source"
    columns = {"v": pa.array(LISTS, pa.list_(pa.float32()))}
    options = {"data_page_version": version, "use_dictionary": dictionary}
    pq.write_table(pa.table(columns), source, write_page_index=True, **options)
    target = rewritten(source, tmp_path / "out", ["v"], compute=lambda batch: batch.columns)
    data = target.read_bytes()
    ((chunk, _),) = column_chunks(target)[0]
    index, _ = read_struct(data, chunk.integer(Chunk.OFFSET_INDEX) or 0)
    locations = index.structs(1)
    starts = [location.integer(3) for location in locations] + [ROWS]
    assert len(starts) > 4
    at, size = chunk_span(chunk)
    end = at + size
    for number, location in enumerate(locations):
        assert location.integer(1) == at
        header, body = read_struct(data, at)
        rows = LISTS[starts[number] : starts[number + 1]]
        slots = sum(max(1, len(row or [])) for row in rows)
        missing = slots - sum(x is not None for row in rows for x in row or [])
        if version == "2.0":
            assert header.integer(1) == 3
            details = header.struct(8)
            assert details is not None
            assert [details.integer(n) for n in (1, 2, 3)] == [slots, missing, len(rows)]
        else:
            assert header.integer(1) == 0
            details = header.struct(5)
            assert details is not None
            assert details.integer(1) == slots
        at = body + (header.integer(3) or 0)
    assert at == end


def encoder(codec: int) -> PageEncoder:
    leaf = Leaf((b"x",), 4, 0, (OPTIONAL,))
    form = PageFormat(
        leaf, "<f4", codec, split=False, version_2=False, page_index=False, ordered=True
    )
    return PageEncoder(form)


def test_ambiguous_lz4_is_written_as_what_replaced_it() -> None:
    assert encoder(5).finish().meta.integer(Meta.CODEC) == 7


@pytest.mark.parametrize("codec", [0, 1, 6])
def test_sizes_are_those_of_the_bytes(codec: int) -> None:
    pages = encoder(codec)
    values = np.array([1, 2, 3], np.float32)
    page = pages.page(Values(4, 4, None, np.array([1, 0, 1, 1], np.uint8), values))
    data = b"".join(bytes(memoryview(buffer)) for buffer in page)
    chunk = pages.finish()
    assert chunk.size == len(data) == chunk.meta.integer(Meta.COMPRESSED)
    header, body = read_struct(data)
    assert header.integer(3) == len(data) - body
    assert header.integer(2) == 4 + 2 + values.nbytes
    assert chunk.meta.integer(Meta.UNCOMPRESSED) == body + 18
    if codec == 0:
        # A bit-packed run of one group of eight: 1 0 1 1, lowest bit first.
        assert data[body : body + 6] == b"\x02\x00\x00\x00\x03\x0d"

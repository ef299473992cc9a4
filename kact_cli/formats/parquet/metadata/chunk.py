"""What a footer says of a column chunk: the few numbers of it that kact needs."""

from __future__ import annotations

from typing import NamedTuple

from kact_cli.errors import DataError
from kact_cli.formats.parquet.metadata.thrift import Struct
from kact_cli.formats.parquet.metadata.thrift_reader import (
    Place,
    Wanted,
    read_integers,
    read_numbers,
)

ABSENT = -(1 << 63)
"""In place of a number that is not there."""


class Chunk:
    PATH, OFFSET, META = 1, 2, 3
    OFFSET_INDEX, OFFSET_INDEX_LENGTH, COLUMN_INDEX, COLUMN_INDEX_LENGTH = 4, 5, 6, 7
    CRYPTO, ENCRYPTED = 8, 9


class Meta:
    TYPE, ENCODINGS, PATH, CODEC, VALUES, UNCOMPRESSED, COMPRESSED, KEY_VALUES = range(1, 9)
    DATA_PAGE, INDEX_PAGE, DICTIONARY, STATISTICS, ENCODING_STATS, BLOOM, BLOOM_LENGTH, SIZES = (
        range(9, 17)
    )


class Statistics:
    OLD_MAX, OLD_MIN, NULLS, DISTINCT, MAX, MIN, MAX_EXACT, MIN_EXACT = range(1, 9)


class ColumnChunk(NamedTuple):
    """Numbers of a ColumnChunk and its ColumnMetaData; ABSENT where there is none.

    The last four are where something other than a number is in the footer.
    """

    file_offset: int
    offset_index: int
    offset_index_length: int
    column_index: int
    column_index_length: int
    codec: int
    values: int
    uncompressed: int
    compressed: int
    data_page: int
    index_page: int
    dictionary: int
    bloom: int
    bloom_length: int
    nulls: int
    encodings: int
    path: int
    crypto: int
    encrypted: int

    @property
    def span(self) -> tuple[int, int]:
        """Where the pages start, and how many bytes they take.

        A dictionary page comes first. Writers that leave its offset out, or set it to 0 or to
        something behind the first data page, have it at data_page_offset (parquet-mr before 1.8,
        Impala). A chunk without rows may be a dictionary page alone, with a data_page_offset of 0
        (Arrow).
        """
        start = self.data_page
        if start == ABSENT or self.compressed == ABSENT:
            raise DataError("broken Parquet footer: a column chunk without an offset or a size")
        is_first = 0 < self.dictionary < start or (start == 0 and self.dictionary > 0)
        return (self.dictionary if is_first else start), self.compressed

    @property
    def has_dictionary(self) -> bool:
        return self.dictionary not in (ABSENT, 0)


SLOT = {name: number for number, name in enumerate(ColumnChunk._fields)}
_PLACES = frozenset(("encodings", "path", "crypto", "encrypted"))


def _slot(name: str) -> int:
    return Place(SLOT[name]) if name in _PLACES else SLOT[name]


_WANTED: Wanted = {
    Chunk.PATH: _slot("path"),
    Chunk.OFFSET: _slot("file_offset"),
    Chunk.META: {
        Meta.ENCODINGS: _slot("encodings"),
        Meta.CODEC: _slot("codec"),
        Meta.VALUES: _slot("values"),
        Meta.UNCOMPRESSED: _slot("uncompressed"),
        Meta.COMPRESSED: _slot("compressed"),
        Meta.DATA_PAGE: _slot("data_page"),
        Meta.INDEX_PAGE: _slot("index_page"),
        Meta.DICTIONARY: _slot("dictionary"),
        Meta.STATISTICS: {Statistics.NULLS: _slot("nulls")},
        Meta.BLOOM: _slot("bloom"),
        Meta.BLOOM_LENGTH: _slot("bloom_length"),
    },
    Chunk.OFFSET_INDEX: _slot("offset_index"),
    Chunk.OFFSET_INDEX_LENGTH: _slot("offset_index_length"),
    Chunk.COLUMN_INDEX: _slot("column_index"),
    Chunk.COLUMN_INDEX_LENGTH: _slot("column_index_length"),
    Chunk.CRYPTO: _slot("crypto"),
    Chunk.ENCRYPTED: _slot("encrypted"),
}
WIDTH = len(ColumnChunk._fields)


def read_chunk(footer: bytes, at: int) -> tuple[ColumnChunk, list[int], int]:
    """The ColumnChunk at `at`; where its integers are (see `read_numbers`); and where it ends."""
    numbers, places = [ABSENT] * WIDTH, [0] * WIDTH
    end = read_numbers(footer, at, _WANTED, numbers, places)
    return ColumnChunk._make(numbers), places, end


def encodings(footer: bytes, chunk: ColumnChunk) -> list[int]:
    """The encodings of a chunk's pages and levels."""
    return [] if chunk.encodings == ABSENT else read_integers(footer, chunk.encodings)


def chunk_meta(chunk: Struct) -> Struct:
    """The ColumnMetaData of a ColumnChunk that has been read as a structure."""
    meta = chunk.struct(Chunk.META)
    if meta is None:
        raise DataError("broken Parquet footer: a column chunk without metadata")
    return meta

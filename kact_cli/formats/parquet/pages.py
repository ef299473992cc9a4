"""Floating-point values as the data pages of one column chunk.

A data page is a header (a Thrift structure), repetition and definition levels, and the values that
are not null, back to back (PLAIN) or as streams of their first, second, ... bytes
(BYTE_STREAM_SPLIT). For flat columns of floats that is little more than the array itself, which
takes a third of the time of pyarrow's encoder and lets pages leave as they are made.

Format: https://github.com/apache/parquet-format, README.md (pages, checksums) and Encodings.md
(levels: the RLE / bit-packing hybrid).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kact_cli.files.sums import crc32
from kact_cli.formats.parquet.levels import Values
from kact_cli.formats.parquet.metadata.chunk import Meta
from kact_cli.formats.parquet.metadata.schema import Leaf
from kact_cli.formats.parquet.metadata.thrift import (
    BINARY,
    FALSE,
    I32,
    I64,
    LIST,
    STRUCT,
    TRUE,
    Items,
    Struct,
    varint,
    write_struct,
)

DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 0, 2, 3
UNORDERED = 0
LZ4, LZ4_RAW = 5, 7
PLAIN, RLE, BYTE_STREAM_SPLIT = 0, 3, 9
CODECS = {
    0: None,
    1: "snappy",
    2: "gzip",
    4: "brotli",
    LZ4: "lz4_raw",
    6: "zstd",
    LZ4_RAW: "lz4_raw",
}
"""CompressionCodec -> Arrow's name. LZ4, framed in two ways, is written as what replaced it."""

Buffer = Any
"""bytes, a contiguous NumPy array, pa.Buffer: what os.pwritev takes."""


@dataclass
class EncodedChunk:
    """A column chunk; every offset in it counts from its first byte."""

    meta: Struct
    """ColumnMetaData."""
    size: int
    column_index: bytes | None
    offset_index: Struct | None


@dataclass(frozen=True)
class PageFormat:
    """What a new column chunk is like, mostly after the one that it is computed from."""

    leaf: Leaf
    """Its own."""
    dtype: str
    """Of the values in the pages, little-endian."""
    codec: int
    split: bool
    """Whether its values are BYTE_STREAM_SPLIT."""
    version_2: bool
    """Whether its data pages have headers of version 2."""
    page_index: bool
    ordered: bool
    """Whether the footer says that min_value and max_value are in the type's own order."""


class Range:
    """The least and greatest value; NaN is neither, and zeros get the sign that includes both."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.ends: tuple[Any, Any] | None = None

    def add(self, values: NDArray[Any]) -> None:
        if values.size:
            with np.errstate(invalid="ignore"):
                low, high = np.fmin.reduce(values), np.fmax.reduce(values)
            if low == low:
                self.widen(low, high)

    def widen(self, low: Any, high: Any) -> None:
        if self.ends is not None:
            low, high = min(low, self.ends[0]), max(high, self.ends[1])
        self.ends = low, high

    def merge(self, other: Range) -> None:
        if other.ends is not None:
            self.widen(*other.ends)

    def encoded(self) -> tuple[bytes, bytes] | None:
        if self.ends is None:
            return None
        low = -0.0 if self.ends[0] == 0 else self.ends[0]
        high = 0.0 if self.ends[1] == 0 else self.ends[1]
        return np.array(low, self.dtype).tobytes(), np.array(high, self.dtype).tobytes()


class PageEncoder:
    """Makes one column chunk of values that come in parts: `page` for each, then `finish`."""

    def __init__(self, form: PageFormat) -> None:
        import pyarrow as pa

        self.form = form
        self.dtype = np.dtype(form.dtype)
        name = CODECS[form.codec]
        self.codec = None if name is None else pa.Codec(name)
        self.encoding = BYTE_STREAM_SPLIT if form.split else PLAIN
        self.max_definition = len(form.leaf.levels)
        self.max_repetition = form.leaf.depth
        self.size = self.uncompressed = self.slots = self.rows = self.nulls = 0
        self.range = Range(self.dtype)
        self._scratch = np.empty(0, np.uint8)
        self.pages: list[tuple[Struct, Range, int, bool]] = []
        """Of each page: its PageLocation, its range, its nulls, whether all of it is null."""

    def page(self, part: Values) -> list[Buffer]:
        """The bytes of one data page, to be written where the last page ended."""
        levels = []
        if self.max_repetition:
            levels.append(_hybrid(part.repetition, part.slots, self.max_repetition))
        if self.max_definition:
            levels.append(_hybrid(part.definition, part.slots, self.max_definition))
        values = np.ascontiguousarray(part.values, self.dtype)
        nulls = part.slots - values.size
        if self.encoding == BYTE_STREAM_SPLIT:
            values = np.ascontiguousarray(values.view(np.uint8).reshape(values.size, -1).T)
        if self.form.version_2:
            kind, field = DATA_PAGE_V2, 8
            details = _version_2_header(part, nulls, self.encoding, levels)
            plain = b"".join(levels)
            raw = len(plain) + values.nbytes
            body = [plain, self._compressed(values)]
        else:
            kind, field = DATA_PAGE, 5
            details = _version_1_header(part, self.encoding)
            plain = b"".join(len(level).to_bytes(4, "little") + level for level in levels)
            raw = len(plain) + values.nbytes
            if self.codec is None:
                body = [plain, values]
            else:
                body = [self._compressed(self._joined(plain, values))]
        stored = checksum = 0
        for buffer in body:
            stored += memoryview(buffer).nbytes
            checksum = crc32(buffer, checksum)
        header = write_struct(
            Struct(
                {
                    1: (I32, kind),
                    2: (I32, raw),
                    3: (I32, stored),
                    4: (I32, checksum - (checksum >> 31 << 32)),
                    field: (STRUCT, details),
                }
            )
        )
        self._count(part, nulls, len(header) + raw, len(header) + stored)
        return [header, *body]

    def _joined(self, levels: bytes, values: NDArray[Any]) -> Buffer:
        """Levels and values as one, in a buffer that serves for every page."""
        if not levels:
            return values
        size = len(levels) + values.nbytes
        if self._scratch.size < size:
            self._scratch = np.empty(size, np.uint8)
        self._scratch[: len(levels)] = np.frombuffer(levels, np.uint8)
        self._scratch[len(levels) : size] = values.reshape(-1).view(np.uint8)
        return self._scratch[:size]

    def _compressed(self, values: Buffer) -> Buffer:
        if self.codec is None:
            return values
        made = self.codec.compress(values)
        made.resize(made.size, shrink_to_fit=True)  # it has the room that the values could need
        return made

    def _count(self, part: Values, nulls: int, raw: int, stored: int) -> None:
        location = Struct({1: (I64, self.size), 2: (I32, stored), 3: (I64, self.rows)})
        span = Range(self.dtype)
        span.add(part.values)
        self.range.merge(span)
        self.pages.append((location, span, nulls, nulls == part.slots))
        self.size += stored
        self.uncompressed += raw
        self.slots += part.slots
        self.rows += part.rows
        self.nulls += nulls

    def finish(self) -> EncodedChunk:
        """The chunk's metadata, once all its pages are made."""
        meta = Struct()
        meta[Meta.TYPE] = I32, self.form.leaf.physical
        encodings = [self.encoding, RLE] if self.max_definition else [self.encoding]
        meta[Meta.ENCODINGS] = LIST, Items(I32, encodings)
        meta[Meta.PATH] = LIST, Items(BINARY, list(self.form.leaf.path))
        meta[Meta.CODEC] = I32, LZ4_RAW if self.form.codec == LZ4 else self.form.codec
        meta[Meta.VALUES] = I64, self.slots
        meta[Meta.UNCOMPRESSED] = I64, self.uncompressed
        meta[Meta.COMPRESSED] = I64, self.size
        meta[Meta.DATA_PAGE] = I64, 0
        meta[Meta.STATISTICS] = STRUCT, self._statistics()
        kind = DATA_PAGE_V2 if self.form.version_2 else DATA_PAGE
        stats = Struct({1: (I32, kind), 2: (I32, self.encoding), 3: (I32, len(self.pages))})
        meta[Meta.ENCODING_STATS] = LIST, Items(STRUCT, [stats])
        if not self.form.page_index:
            return EncodedChunk(meta, self.size, None, None)
        locations = [location for location, *_ in self.pages]
        offsets = Struct({1: (LIST, Items(STRUCT, locations))})
        return EncodedChunk(meta, self.size, self._column_index(), offsets)

    def _statistics(self) -> Struct:
        """Statistics, in the fields whose order the footer defines."""
        fields = Struct()
        ends = self.range.encoded()
        if ends is not None and not self.form.ordered:
            fields[1], fields[2] = (BINARY, ends[1]), (BINARY, ends[0])
        fields[3] = I64, self.nulls
        if ends is not None and self.form.ordered:
            fields[5], fields[6] = (BINARY, ends[1]), (BINARY, ends[0])
            fields[7] = fields[8] = TRUE, True
        return fields

    def _column_index(self) -> bytes | None:
        """ColumnIndex; the format has none for a chunk with a page of NaN and nothing else."""
        if not self.form.ordered:
            return None
        null_pages, lows, highs, nulls = [], [], [], []
        for _, span, page_nulls, is_null in self.pages:
            ends = span.encoded()
            if ends is None and not is_null:
                return None
            null_pages.append(TRUE if is_null else FALSE)
            lows.append(ends[0] if ends else b"")
            highs.append(ends[1] if ends else b"")
            nulls.append(page_nulls)
        return write_struct(
            Struct(
                {
                    1: (LIST, Items(TRUE, null_pages)),
                    2: (LIST, Items(BINARY, lows)),
                    3: (LIST, Items(BINARY, highs)),
                    4: (I32, UNORDERED),
                    5: (LIST, Items(I64, nulls)),
                }
            )
        )


def _version_1_header(part: Values, encoding: int) -> Struct:
    return Struct({1: (I32, part.slots), 2: (I32, encoding), 3: (I32, RLE), 4: (I32, RLE)})


def _version_2_header(part: Values, nulls: int, encoding: int, levels: list[bytes]) -> Struct:
    repetition, definition = [b"", b"", *levels][-2:]
    return Struct(
        {
            1: (I32, part.slots),
            2: (I32, nulls),
            3: (I32, part.rows),
            4: (I32, encoding),
            5: (I32, len(definition)),
            6: (I32, len(repetition)),
        }
    )


def _hybrid(levels: NDArray[np.uint8] | None, slots: int, highest: int) -> bytes:
    """Levels of at most `highest` (None: all of them) as one run, repeated or bit-packed."""
    if levels is None or (slots and levels.min() == levels.max()):
        level = highest if levels is None else int(levels[0])
        return varint(slots << 1) + bytes([level])
    width = highest.bit_length()
    bits = levels if width == 1 else (levels[:, None] >> np.arange(width, dtype=np.uint8)) & 1
    padded = np.zeros(-(-slots // 8) * 8 * width, np.uint8)
    padded[: slots * width] = bits.reshape(-1)
    return varint(-(-slots // 8) << 1 | 1) + np.packbits(padded, bitorder="little").tobytes()

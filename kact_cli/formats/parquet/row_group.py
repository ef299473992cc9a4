"""A row group of the new file: the old one's description, with what has moved, changed or come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kact_cli.errors import DataError
from kact_cli.files.descriptors import copy_range, read_part, size_of, write_full
from kact_cli.formats.parquet.metadata.chunk import (
    ABSENT,
    Chunk,
    ColumnChunk,
    Meta,
    chunk_meta,
    encodings,
)
from kact_cli.formats.parquet.metadata.footer import Footer, Group, RowGroup, group_bytes
from kact_cli.formats.parquet.metadata.thrift import (
    I32,
    I64,
    STRUCT,
    Items,
    Struct,
    write_struct,
    zigzag,
)
from kact_cli.formats.parquet.metadata.thrift_reader import read_struct
from kact_cli.formats.parquet.pages import DATA_PAGE_V2, DICTIONARY_PAGE, EncodedChunk, PageFormat
from kact_cli.formats.parquet.plan import Encoded

HEADER_BYTES = 4 << 10
"""Enough for the header of a bloom filter, or a page of numbers with its minimum and maximum."""
INDEX_BYTES = 1 << 20
"""Of indexes that are gathered before they are written."""

Range = tuple[int, int]
"""Where bytes of the old file start, and how many they are."""

OFFSETS = ("data_page", "index_page", "dictionary")
"""What of a chunk's description moves with the chunk."""


class NewRowGroup:
    """A row group of the new file, to be told the places of its chunks one by one."""

    def __init__(self, footer: Footer, old: RowGroup) -> None:
        self.old = old
        self._footer = footer
        self._moved: dict[int, int] = {}
        """Of chunks that were copied: by how many bytes they have moved."""
        self._encoded: dict[int, tuple[EncodedChunk, int]] = {}
        """Chunks that were encoded, and where they start."""
        self._indexes: dict[int, dict[str, Range]] = {}
        """Where what belongs to a chunk and lies near the footer is in the new file."""

    def move(self, leaf: int, by: int) -> None:
        """The chunk of `leaf` was copied to a place `by` bytes further on."""
        self._moved[leaf] = by

    def encode(self, leaf: int, chunk: EncodedChunk, start: int) -> None:
        """The chunk of `leaf` was encoded, to `start`."""
        self._encoded[leaf] = chunk, start

    def place(self, leaf: int, kind: str, at: int, size: int) -> None:
        """The index of `leaf` of this kind was written to `at`."""
        self._indexes.setdefault(leaf, {})[kind] = at, size

    def indexes(self, kind: str, source: int) -> Iterator[tuple[int, bytes | Range]]:
        """What there is of a kind of index, "bloom", "column" or "offset": bytes, or where they
        are in the old file, for each leaf that has one."""
        starts = self.old.each(INDEX_NAMES[kind])
        for leaf in self._leaves():
            found: bytes | Range | None = None
            if leaf in self._encoded:
                chunk, start = self._encoded[leaf]
                if kind == "column":
                    found = chunk.column_index
                elif kind == "offset" and chunk.offset_index is not None:
                    found = _shifted(chunk.offset_index, start)
            elif starts[leaf] != ABSENT:
                found = self._old_index(leaf, kind, source)
            if found is not None:
                yield leaf, found

    def _old_index(self, leaf: int, kind: str, source: int) -> bytes | Range:
        chunk = self.old.chunk(leaf)
        if kind == "bloom":
            return _bloom_filter(source, chunk.bloom, chunk.bloom_length)
        if kind == "column":
            return _inside(source, chunk.column_index, chunk.column_index_length)
        start, size = _inside(source, chunk.offset_index, chunk.offset_index_length)
        index, _ = read_struct(read_part(source, size, start))
        return _shifted(index, self._moved[leaf])

    def describe(self) -> bytes:
        """The description of the row group, once every chunk and index has its place."""
        struct = Struct(self.old.struct)
        growth, starts = {Group.BYTES: 0, Group.COMPRESSED: 0}, []
        chunks = []
        for leaf in self._leaves():
            if leaf in self._encoded:
                chunk, start = self._encoded[leaf]
                growth[Group.BYTES] += chunk.meta.integer(Meta.UNCOMPRESSED) or 0
                growth[Group.COMPRESSED] += chunk.size
                if leaf < len(self.old):
                    was = self.old.chunk(leaf)
                    growth[Group.BYTES] -= max(0, was.uncompressed)
                    growth[Group.COMPRESSED] -= was.compressed
                chunks.append(self._new_chunk(leaf))
            else:
                was, by = self.old.chunk(leaf), self._moved[leaf]
                start = was.span[0] + by
                chunks.append(self._moved_chunk(leaf, was, by))
            starts.append(start)
        for field, more in growth.items():
            if (old := struct.integer(field)) is not None:
                struct[field] = I64, old + more
        if Group.OFFSET in struct:
            struct[Group.OFFSET] = I64, min(starts, default=0)
        self._cut_order(struct)
        return group_bytes(struct, chunks)

    def _cut_order(self, struct: Struct) -> None:
        """The rows are still sorted by the columns before the first one that changed."""
        if Group.SORTING not in struct:
            return
        kind, items = struct[Group.SORTING]
        order = struct.structs(Group.SORTING)
        changed = [n for n, s in enumerate(order) if s.integer(1) in self._encoded]
        kept = order[: changed[0]] if changed else order
        if kept:
            struct[Group.SORTING] = kind, Items(items.kind, kept)
        else:
            del struct[Group.SORTING]

    def _leaves(self) -> list[int]:
        return sorted(self._moved.keys() | self._encoded.keys())

    def _moved_chunk(self, leaf: int, chunk: ColumnChunk, by: int) -> bytes:
        """The old description, in which nothing but some offsets is changed."""
        first, size = chunk.span
        new = {name: getattr(chunk, name) + by for name in OFFSETS if getattr(chunk, name) > 0}
        if chunk.file_offset != ABSENT:
            new["file_offset"] = _file_offset(chunk.file_offset, first, size, by)
        for kind, (at, length) in self._indexes.get(leaf, {}).items():
            new[INDEX_NAMES[kind]] = at
            if kind == "offset":
                new["offset_index_length"] = length
        data, (begin, end) = self._footer.data, self.old.span(leaf)
        pieces: list[bytes] = []
        for place, value in sorted((self.old.place(leaf, name), new[name]) for name in new):
            pieces += data[begin : place >> 4], zigzag(value)
            begin = (place >> 4) + (place & 15)
        return b"".join([*pieces, data[begin:end]])

    def _new_chunk(self, leaf: int) -> bytes:
        encoded, start = self._encoded[leaf]
        meta = Struct(encoded.meta)
        meta[Meta.DATA_PAGE] = I64, start
        chunk, offset = Struct(), 0
        if leaf < len(self.old):
            chunk, _ = read_struct(self._footer.data, self.old.span(leaf)[0])
            noted = chunk_meta(chunk).get(Meta.KEY_VALUES)
            if noted is not None:
                meta.put(Meta.KEY_VALUES, *noted)
            was = self.old.chunk(leaf)
            first, size = was.span
            if first <= was.file_offset < first + size:
                offset = start
        for fields in INDEX_FIELDS.values():
            for field in fields:
                chunk.pop(field, None)
        chunk.put(Chunk.OFFSET, I64, offset)
        chunk.put(Chunk.META, STRUCT, meta)
        for kind, (at, length) in self._indexes.get(leaf, {}).items():
            chunk.put(INDEX_FIELDS[kind][0], I64, at)
            chunk.put(INDEX_FIELDS[kind][1], I32, length)
        return write_struct(chunk)


INDEX_FIELDS = {
    "column": (Chunk.COLUMN_INDEX, Chunk.COLUMN_INDEX_LENGTH),
    "offset": (Chunk.OFFSET_INDEX, Chunk.OFFSET_INDEX_LENGTH),
}
INDEX_NAMES = {"bloom": "bloom", "column": "column_index", "offset": "offset_index"}
"""What ColumnChunk calls where each kind of index is."""


def _file_offset(offset: int, first: int, size: int, by: int) -> int:
    """file_offset has meant the chunk's start, its first data page, and a copy of its metadata
    behind it; 0 says, as it should now, that there is no such copy."""
    return offset + by if first <= offset < first + size else 0


def write_indexes(groups: Sequence[NewRowGroup], source: int, target: int, at: int) -> int:
    """Write bloom filters, column indexes and offset indexes to `target` from `at` on.

    Each kind lies together, as readers fetch them. Returns where what was written ends.
    """
    out = _Appender(source, target, at)
    for kind in INDEX_NAMES:
        for group in groups:
            for leaf, index in group.indexes(kind, source):
                start = out.end
                out.add(index)
                group.place(leaf, kind, start, out.end - start)
    out.flush()
    return out.end


class _Appender:
    """Writes pieces one after another, those of the old file that are adjacent there at once."""

    def __init__(self, source: int, target: int, at: int) -> None:
        self._source, self._target = source, target
        self.end = self._written = at
        self._run: Range = (0, 0)
        self._pieces: list[bytes] = []

    def add(self, piece: bytes | Range) -> None:
        start, size = self._run
        if isinstance(piece, bytes):
            if size or self.end - self._written > INDEX_BYTES:
                self.flush()
            self._pieces.append(piece)
            self.end += len(piece)
            return
        if self._pieces or start + size != piece[0]:
            self.flush()
            start, size = piece[0], 0
        self._run = start, size + piece[1]
        self.end += piece[1]

    def flush(self) -> None:
        start, size = self._run
        if size:
            copy_range(self._source, start, size, self._target, self._written)
        elif self._pieces:
            write_full(self._target, b"".join(self._pieces), self._written)
        self._run, self._pieces, self._written = (0, 0), [], self.end


def page_format(source: int, footer: Footer, group: RowGroup, column: Encoded) -> PageFormat:
    """What the new chunk of `column` is like: the old one in the file at descriptor `source`."""
    chunk = group.chunk(column.source)
    at, size = chunk.span
    version_2 = False
    if size:
        # ENCODING_STATS would say, but Arrow has version 1 in them for pages of version 2.
        header, length = read_struct(read_part(source, min(HEADER_BYTES, size), at))
        if header.integer(1) == DICTIONARY_PAGE:
            start = at + length + (header.integer(3) or 0)
            _inside(source, start, 0)
            if start < at + size:
                header, _ = read_struct(read_part(source, HEADER_BYTES, start))
        version_2 = header.integer(1) == DATA_PAGE_V2
    return PageFormat(
        leaf=column.leaf,
        dtype=column.dtype,
        codec=max(0, chunk.codec),
        split=9 in encodings(footer.data, chunk),
        version_2=version_2,
        page_index=chunk.offset_index != ABSENT,
        ordered=column.ordered,
    )


def _inside(source: int, start: int, size: int) -> Range:
    """A range of the old file. Raises DataError for what is not in it."""
    if start < 0 or size < 0 or start + size > size_of(source):
        count = None if size == ABSENT else size
        raise DataError(
            f"broken Parquet footer: {count} bytes at {start:,} are not inside the file"
        )
    return start, size


def _bloom_filter(source: int, start: int, length: int) -> Range:
    """A bloom filter is a header, whose first field says how many bytes follow it."""
    if length != ABSENT:
        return _inside(source, start, length)
    _inside(source, start, 0)
    header, end = read_struct(read_part(source, HEADER_BYTES, start))
    return _inside(source, start, end + (header.integer(1) or 0))


def _shifted(index: Struct, by: int) -> bytes:
    """An OffsetIndex whose pages (field 1, each with its offset in field 1) have moved."""
    for location in index.structs(1):
        location[1] = I64, (location.integer(1) or 0) + by
    return write_struct(index)

"""A row group of the new file: the old one's description, with what has moved or changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kact_cli.errors import DataError
from kact_cli.files.descriptors import copy_range, read_part, size_of, write_full
from kact_cli.formats.parquet.footer import Chunk, Group, Leaf, Meta, chunk_meta, chunk_span
from kact_cli.formats.parquet.pages import DATA_PAGE_V2, DICTIONARY_PAGE, EncodedChunk, PageFormat
from kact_cli.formats.parquet.thrift import I32, I64, STRUCT, Items, Struct, write_struct
from kact_cli.formats.parquet.thrift_reader import read_struct

HEADER_BYTES = 4 << 10
"""Enough for the header of a bloom filter, or a page of numbers with its minimum and maximum."""

Range = tuple[int, int]
"""Where bytes of the old file start, and how many they are."""

INDEX_FIELDS = {
    "column": (Chunk.COLUMN_INDEX, Chunk.COLUMN_INDEX_LENGTH),
    "offset": (Chunk.OFFSET_INDEX, Chunk.OFFSET_INDEX_LENGTH),
}


@dataclass
class Indexes:
    """What belongs to a column chunk and lies near the footer: bytes, or where they are."""

    bloom: Range | None = None
    column: Range | bytes | None = None
    offset: bytes | None = None


@dataclass
class FinishedGroup:
    """A row group whose chunks have their places, and whose indexes still need theirs."""

    raw: bytes
    indexes: dict[int, Indexes]


class MovedRowGroup:
    """A row group of the old file, to be told the new places of its chunks one by one."""

    def __init__(self, source: int, raw: bytes) -> None:
        self._source = source
        self._struct = read_struct(raw)[0]
        self.chunks: list[Struct] = self._struct.structs(Group.COLUMNS)
        self._starts: list[int] = []
        self._changed: set[int] = set()
        self._growth = {Group.BYTES: 0, Group.COMPRESSED: 0}
        self._indexes: dict[int, Indexes] = {}

    @property
    def rows(self) -> int:
        return self._struct.integer(Group.ROWS) or 0

    def move(self, leaf: int, by: int) -> None:
        """The chunk of `leaf` was copied to a place `by` bytes further on."""
        chunk = self.chunks[leaf]
        meta = chunk_meta(chunk)
        indexes = Indexes(bloom=_bloom_filter(self._source, meta))
        indexes.column = _span(self._source, chunk, *INDEX_FIELDS["column"])
        offsets = _span(self._source, chunk, *INDEX_FIELDS["offset"])
        if offsets:
            indexes.offset = _shifted(_read(self._source, offsets), by)
        start, size = chunk_span(chunk)
        self._place(leaf, start, size, start + by, indexes)
        for field in (Meta.DATA_PAGE, Meta.INDEX_PAGE, Meta.DICTIONARY):
            if old := meta.integer(field):
                meta[field] = I64, old + by

    def replace(self, leaf: int, new: EncodedChunk, start: int) -> None:
        """The chunk of `leaf` was encoded anew, to `start`."""
        chunk = self.chunks[leaf]
        old = chunk_meta(chunk)
        raw, new_raw = old.integer(Meta.UNCOMPRESSED), new.meta.integer(Meta.UNCOMPRESSED)
        old_start, size = chunk_span(chunk)
        self._changed.add(leaf)
        self._growth[Group.BYTES] += (new_raw or 0) - (raw or 0)
        self._growth[Group.COMPRESSED] += new.size - size
        for field in (f for fields in INDEX_FIELDS.values() for f in fields):
            chunk.pop(field, None)
        chunk[Chunk.META] = STRUCT, new.meta
        new.meta[Meta.DATA_PAGE] = I64, start
        indexes = Indexes(column=new.column_index)
        if new.offset_index is not None:
            indexes.offset = _shifted(new.offset_index, start)
        self._place(leaf, old_start, size, start, indexes)

    def _place(self, leaf: int, old: int, size: int, new: int, indexes: Indexes) -> None:
        # file_offset has meant the chunk's start, its first data page, and a copy of its metadata
        # behind it; 0 says, as it should now, that there is no such copy.
        chunk = self.chunks[leaf]
        offset = chunk.integer(Chunk.OFFSET) or 0
        if not old <= offset < old + size:
            offset = 0
        elif leaf in self._changed:
            offset = new
        else:
            offset += new - old
        chunk.put(Chunk.OFFSET, I64, offset)
        self._starts.append(new)
        if indexes != Indexes():
            self._indexes[leaf] = indexes

    def finish(self) -> FinishedGroup:
        """The row group's description, once every chunk has its place."""
        struct = self._struct
        for field, growth in self._growth.items():
            if (old := struct.integer(field)) is not None:
                struct[field] = I64, old + growth
        if Group.OFFSET in struct:
            struct[Group.OFFSET] = I64, min(self._starts, default=0)
        if Group.SORTING in struct:
            # Still sorted by the columns before the first one that changed.
            kind, items = struct[Group.SORTING]
            order = struct.structs(Group.SORTING)
            changed = [n for n, s in enumerate(order) if s.integer(1) in self._changed]
            kept = order[: changed[0]] if changed else order
            if kept:
                struct[Group.SORTING] = kind, Items(items.kind, kept)
            else:
                del struct[Group.SORTING]
        return FinishedGroup(write_struct(struct), self._indexes)


def write_indexes(
    groups: Sequence[FinishedGroup], source: int, target: int, at: int
) -> tuple[list[bytes], int]:
    """Write bloom filters, column indexes and offset indexes to `target` from `at` on.

    Each kind lies together, as readers fetch them. Returns the row groups' descriptions, and where
    what was written ends.
    """
    places: dict[str, dict[tuple[int, int], Range]] = {}
    for kind in ("bloom", "column", "offset"):
        found = places[kind] = {}
        for number, group in enumerate(groups):
            for leaf, indexes in group.indexes.items():
                index = getattr(indexes, kind)
                if index is None:
                    continue
                if isinstance(index, bytes):
                    size = len(index)
                    write_full(target, index, at)
                else:
                    size = index[1]
                    copy_range(source, index[0], size, target, at)
                found[number, leaf] = at, size
                at += size
    raw = []
    for number, group in enumerate(groups):
        if not group.indexes:
            raw.append(group.raw)
            continue
        struct, _ = read_struct(group.raw)
        chunks = struct.structs(Group.COLUMNS)
        for leaf in group.indexes:
            for kind, (offset, length) in INDEX_FIELDS.items():
                if (number, leaf) in places[kind]:
                    start, size = places[kind][number, leaf]
                    chunks[leaf].put(offset, I64, start)
                    chunks[leaf].put(length, I32, size)
            if (number, leaf) in places["bloom"]:
                chunk_meta(chunks[leaf]).put(Meta.BLOOM, I64, places["bloom"][number, leaf][0])
        raw.append(write_struct(struct))
    return raw, at


def page_format(source: int, leaf: Leaf, chunk: Struct, dtype: str, ordered: bool) -> PageFormat:
    """What a new chunk takes over from `chunk`, of the file open at descriptor `source`."""
    meta = chunk_meta(chunk)
    # ENCODING_STATS would say, but Arrow has version 1 in them for pages of version 2.
    at, size = chunk_span(chunk)
    header, length = read_struct(read_part(source, min(HEADER_BYTES, size), at))
    if header.integer(1) == DICTIONARY_PAGE:
        start, _ = _inside(source, at + length, header.integer(3) or 0)
        header, _ = read_struct(read_part(source, HEADER_BYTES, start + (header.integer(3) or 0)))
    return PageFormat(
        meta=write_struct(meta),
        leaf=leaf,
        dtype=dtype,
        version_2=header.integer(1) == DATA_PAGE_V2,
        page_index=Chunk.OFFSET_INDEX in chunk,
        ordered=ordered,
    )


def _span(source: int, struct: Struct, offset: int, length: int) -> Range | None:
    start = struct.integer(offset)
    return None if start is None else _inside(source, start, struct.integer(length))


def _inside(source: int, start: int, size: int | None) -> Range:
    if size is None or start < 0 or size < 0 or start + size > size_of(source):
        raise DataError(f"broken Parquet footer: {size} bytes at {start:,} are not inside the file")
    return start, size


def _bloom_filter(source: int, meta: Struct) -> Range | None:
    """A bloom filter is a header, whose first field says how many bytes follow it."""
    if Meta.BLOOM_LENGTH in meta:
        return _span(source, meta, Meta.BLOOM, Meta.BLOOM_LENGTH)
    start = meta.integer(Meta.BLOOM)
    if start is None:
        return None
    header, end = read_struct(read_part(source, HEADER_BYTES, _inside(source, start, 0)[0]))
    return _inside(source, start, end + (header.integer(1) or 0))


def _read(source: int, span: Range) -> Struct:
    start, size = span
    return read_struct(read_part(source, size, start))[0]


def _shifted(index: Struct, by: int) -> bytes:
    """An OffsetIndex whose pages (field 1, each with its offset in field 1) have moved."""
    for location in index.structs(1):
        location[1] = I64, (location.integer(1) or 0) + by
    return write_struct(index)

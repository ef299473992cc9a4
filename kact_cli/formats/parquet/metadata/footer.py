"""A Parquet file's footer: read, checked, and written again, with all that it says.

A file is `PAR1`, column chunks anywhere, the footer (a FileMetaData structure), its length in four
bytes, `PAR1`. Row groups, of which there may be thousands of thousands of columns, are passed over
once (`chunk`); the rest is a structure.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kact_cli.errors import DataError
from kact_cli.files.descriptors import read_part, size_of
from kact_cli.formats.parquet.metadata.chunk import ABSENT, SLOT, WIDTH, ColumnChunk, read_chunk
from kact_cli.formats.parquet.metadata.schema import FooterColumn, Leaf, read_schema
from kact_cli.formats.parquet.metadata.thrift import LIST, STRUCT, Items, Struct, write_struct
from kact_cli.formats.parquet.metadata.thrift_reader import read_struct

MAGIC, ENCRYPTED_MAGIC = b"PAR1", b"PARE"
MAX_FOOTER = 256 << 20
"""Bytes. 100 row groups of 2,000 columns need about 25 MiB."""
SLACK = 64
"""Bytes within which the start of a second file is looked for: some writers leave gaps."""


class File:
    SCHEMA, ROWS, GROUPS, METADATA, CREATED_BY, ORDERS, ENCRYPTION, SIGNING_KEY = range(2, 10)


class Group:
    COLUMNS, BYTES, ROWS, SORTING, OFFSET, COMPRESSED = 1, 2, 3, 4, 5, 6


@dataclass
class RowGroup:
    """A row group: its own fields, and its chunks as numbers, which take little memory."""

    struct: Struct = field(default_factory=Struct)
    """Its fields; the list of column chunks has none."""
    _spans: array[int] = field(default_factory=lambda: array("q"))
    _numbers: array[int] = field(default_factory=lambda: array("q"))
    _places: array[int] = field(default_factory=lambda: array("q"))

    @property
    def rows(self) -> int:
        return self.struct.integer(Group.ROWS) or 0

    def __len__(self) -> int:
        """How many chunks there are."""
        return len(self._spans) // 2

    def chunks(self) -> Iterator[ColumnChunk]:
        return (self.chunk(number) for number in range(len(self)))

    def chunk(self, number: int) -> ColumnChunk:
        return ColumnChunk._make(self._numbers[number * WIDTH : (number + 1) * WIDTH])

    def each(self, name: str) -> Sequence[int]:
        """The number of this name in ColumnChunk of every chunk."""
        return self._numbers[SLOT[name] :: WIDTH]

    def span(self, number: int) -> tuple[int, int]:
        """Where the description of a chunk starts and ends in the footer."""
        return self._spans[2 * number], self._spans[2 * number + 1]

    def place(self, number: int, name: str) -> int:
        """Where the number of this name of a chunk is in the footer, as `read_numbers` says it."""
        return self._places[number * WIDTH + SLOT[name]]

    def add(self, start: int, end: int, chunk: ColumnChunk, places: list[int]) -> None:
        self._spans.extend((start, end))
        self._numbers.extend(chunk)
        self._places.extend(places)


@dataclass(frozen=True)
class Footer:
    """The footer of a Parquet file."""

    data: bytes
    struct: Struct
    """All of it but the row groups."""
    start: int
    """Where the footer starts in the file: everything else lies before it."""
    leaves: tuple[Leaf, ...]
    columns: tuple[FooterColumn, ...]
    row_groups: tuple[RowGroup, ...]

    @property
    def rows(self) -> int:
        return self.struct.integer(File.ROWS) or 0


def ending(struct: Struct, groups: Sequence[bytes]) -> bytes:
    """The end of a file: a footer of these row groups, its length, and the magic."""
    made = Struct(struct)
    made.put(File.GROUPS, *_list_of(groups))
    footer = write_struct(made)
    return footer + len(footer).to_bytes(4, "little") + MAGIC


def group_bytes(struct: Struct, chunks: Sequence[bytes]) -> bytes:
    """The description of a row group of these column chunks."""
    made = Struct(struct)
    made.put(Group.COLUMNS, *_list_of(chunks))
    return write_struct(made)


def _list_of(structs: Sequence[bytes]) -> tuple[int, Items]:
    return LIST, Items(STRUCT, list(structs))


def read_footer(file: int) -> Footer:
    """Read the footer of the Parquet file open at descriptor `file`.

    Every row group is found to be sound: each chunk lies inside the file, and holds as many values
    as the row group has rows if its column is flat. Raises DataError where the footer is broken,
    or the file is encrypted.
    """
    data, start = _read(file)
    groups: list[RowGroup] = []
    leaves: tuple[Leaf, ...] = ()
    rows = end = 0

    def visit(fields: Struct, at: int) -> tuple[None, int]:
        nonlocal leaves, rows, end
        if not leaves:
            leaves, _ = read_schema(fields.structs(File.SCHEMA))
        group, last, at = _read_group(data, at, leaves, start)
        end = max(end, last)
        groups.append(group)
        rows += group.rows
        return None, at

    struct, _ = read_struct(data, items={File.GROUPS: visit})
    if File.ENCRYPTION in struct or File.SIGNING_KEY in struct:
        raise encrypted()
    if struct.integer(File.ROWS) != rows:
        raise DataError(
            f"broken Parquet footer: {struct.integer(File.ROWS)} rows in all, "
            f"but {rows} in the row groups"
        )
    struct.put(File.GROUPS, *_list_of([]))
    if groups:
        end = max(end, _end_of_indexes(groups[-1]))
    _refuse_a_second_file(file, start, end)
    return Footer(data, struct, start, *read_schema(struct.structs(File.SCHEMA)), tuple(groups))


def encrypted() -> DataError:
    return DataError("the file is encrypted, and kact has no keys")


def _read(file: int) -> tuple[bytes, int]:
    """The footer's bytes, and where they start."""
    size = size_of(file)
    tail = read_part(file, 8, max(0, size - 8))
    if size < 12 or tail[4:] not in (MAGIC, ENCRYPTED_MAGIC):
        raise DataError("not a Parquet file, or its end is missing (it does not end in PAR1)")
    if tail[4:] == ENCRYPTED_MAGIC:
        raise encrypted()
    length = int.from_bytes(tail[:4], "little")
    start = size - 8 - length
    if start < len(MAGIC):
        raise DataError(f"broken Parquet file: a footer of {length:,} bytes in {size:,}")
    if read_part(file, 4, 0) != MAGIC:
        raise DataError("broken Parquet file: it does not begin with PAR1")
    if length > MAX_FOOTER:
        raise DataError(f"the Parquet footer has {length:,} bytes; at most {MAX_FOOTER:,} are read")
    data = read_part(file, length, start)
    if len(data) != length:
        raise DataError("broken Parquet file: it became shorter while it was read")
    return data, start


def _read_group(
    data: bytes, at: int, leaves: Sequence[Leaf], end: int
) -> tuple[RowGroup, int, int]:
    """A row group; where the last of its chunks ends, all of which have to lie before `end`; and
    where its description ends."""
    group, last = RowGroup(), 0

    def visit(_: Struct, start: int) -> tuple[None, int]:
        nonlocal last
        chunk, places, after = read_chunk(data, start)
        if chunk.crypto != ABSENT or chunk.encrypted != ABSENT:
            raise encrypted()
        if chunk.path == ABSENT:  # else in another file
            first, length = chunk.span
            if length and (first < len(MAGIC) or length < 0 or first + length > end):
                name = leaves[len(group)].name if len(group) < len(leaves) else len(group)
                raise DataError(
                    f"broken Parquet footer: column {name} has {length:,} bytes at {first:,}, "
                    "which is not inside the file"
                )
            last = max(last, first + length)
        group.add(start, after, chunk, places)
        return None, after

    group.struct, at = read_struct(data, at, items={Group.COLUMNS: visit})
    rows = group.struct.integer(Group.ROWS)
    if rows is None or rows < 0 or len(group) != len(leaves):
        raise DataError("broken Parquet footer: a row group lacks columns or its row count")
    for leaf, values in zip(leaves, group.each("values"), strict=True):
        if values != rows and (values < 0 or leaf.depth == 0):
            count = None if values == ABSENT else values
            raise DataError(
                f"broken Parquet footer: a row group of {rows:,} rows has {count} values "
                f"of column {leaf.name}"
            )
    return group, last, at


def _refuse_a_second_file(file: int, start: int, end: int) -> None:
    """Raise DataError where another file stands before the one whose footer is at `start`.

    `end` is where everything before the footer ends, counted from the start of the footer's own
    file: that lies as far behind the start of what is read as `end` lies before the footer.
    """
    begins = max(0, start - end - SLACK)
    if MAGIC + MAGIC in read_part(file, min(2 * SLACK, start - begins), begins):
        raise DataError("two Parquet files, one after the other; give each by itself")


def _end_of_indexes(group: RowGroup) -> int:
    """Where the page indexes and Bloom filters of a row group end; writers put them last."""
    end = 0
    for chunk in group.chunks():
        for offset, length in (
            (chunk.offset_index, chunk.offset_index_length),
            (chunk.column_index, chunk.column_index_length),
            (chunk.bloom, chunk.bloom_length),
        ):
            end = max(end, max(0, offset) + max(0, length))
    return end

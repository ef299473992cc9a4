"""A Parquet file's footer: read, checked, and written again, with all that it says.

A file is `PAR1`, column chunks anywhere, the footer (a FileMetaData structure), its length in four
bytes, `PAR1`. The field numbers below are those of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from kact_cli.errors import DataError
from kact_cli.files.descriptors import read_part, size_of
from kact_cli.formats.parquet.thrift import Items, Struct, write_struct
from kact_cli.formats.parquet.thrift_reader import read_struct

MAGIC, ENCRYPTED_MAGIC = b"PAR1", b"PARE"
MAX_FOOTER = 256 << 20
"""Bytes. 100 row groups of 2,000 columns need about 25 MiB."""
SLACK = 64
"""Bytes within which the start of a second file is looked for: some writers leave gaps."""
MAX_NESTING = 100
"""Levels of the schema."""

REQUIRED, OPTIONAL, REPEATED = range(3)
"""FieldRepetitionType."""


class File:
    SCHEMA, ROWS, GROUPS, CREATED_BY, ORDERS, ENCRYPTION, SIGNING_KEY = 2, 3, 4, 6, 7, 8, 9


class Element:
    TYPE, LENGTH, REPETITION, NAME, CHILDREN = 1, 2, 3, 4, 5


class Group:
    COLUMNS, BYTES, ROWS, SORTING, OFFSET, COMPRESSED = 1, 2, 3, 4, 5, 6


class Chunk:
    PATH, OFFSET, META = 1, 2, 3
    OFFSET_INDEX, OFFSET_INDEX_LENGTH, COLUMN_INDEX, COLUMN_INDEX_LENGTH = 4, 5, 6, 7
    CRYPTO, ENCRYPTED = 8, 9


class Meta:
    TYPE, ENCODINGS, PATH, CODEC, VALUES, UNCOMPRESSED, COMPRESSED, KEY_VALUES = range(1, 9)
    DATA_PAGE, INDEX_PAGE, DICTIONARY, STATISTICS, ENCODING_STATS, BLOOM, BLOOM_LENGTH, SIZES = (
        range(9, 17)
    )


class NotByChunkError(Exception):
    """The file is sound, but cannot be rewritten by column chunk; the message says why."""


class EncryptedError(NotByChunkError):
    """The file is encrypted: its columns cannot even be looked at."""


@dataclass(frozen=True)
class Leaf:
    """A leaf of the schema: the values of one column chunk in each row group."""

    path: tuple[bytes, ...]
    physical: int
    """The physical type's number: 4 float, 5 double, 7 fixed_len_byte_array."""
    length: int
    """Bytes a value, of fixed_len_byte_array."""
    repetitions: tuple[int, ...]
    """Of every node from the top-level column down to this leaf."""

    @property
    def levels(self) -> tuple[int, ...]:
        """What gives each definition and repetition level its meaning."""
        return tuple(r for r in self.repetitions if r != REQUIRED)

    @property
    def name(self) -> str:
        return b".".join(self.path).decode(errors="replace")

    @property
    def value_bytes(self) -> int:
        """How many bytes a value takes; 16 where that differs from value to value."""
        return {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8, 7: self.length}.get(self.physical, 16)

    @property
    def depth(self) -> int:
        """How many lists a value is in: the highest repetition level."""
        return self.repetitions.count(REPEATED)


@dataclass(frozen=True)
class FooterColumn:
    """A top-level column: its leaves, as indexes into a row group's column chunks."""

    name: str
    leaves: range


@dataclass(frozen=True)
class Footer:
    """The footer of a Parquet file, row groups left as bytes."""

    struct: Struct
    start: int
    """Where the footer starts in the file: everything else lies before it."""
    leaves: tuple[Leaf, ...]
    columns: tuple[FooterColumn, ...]

    @property
    def row_groups(self) -> list[bytes]:
        groups: list[bytes] = self.struct.structs(File.GROUPS)
        return groups

    @property
    def rows(self) -> int:
        return self.struct.integer(File.ROWS) or 0

    @cached_property
    def type_ordered(self) -> list[bool]:
        """For each leaf, whether min_value and max_value are in the type's own order."""
        orders = self.struct.structs(File.ORDERS) or [Struct()] * len(self.leaves)
        return [1 in order for order in orders]

    def with_row_groups(self, groups: list[bytes]) -> bytes:
        """The end of a file like this one: a footer with other row groups, its length, magic."""
        struct = Struct(self.struct)
        kind, items = struct[File.GROUPS]
        struct[File.GROUPS] = kind, Items(items.kind, list(groups))
        footer = write_struct(struct)
        return footer + len(footer).to_bytes(4, "little") + MAGIC


Check = Callable[[Sequence[Leaf], Struct], None]


def read_footer(file: int, check: Check = lambda _leaves, _group: None) -> Footer:
    """Read the footer of the Parquet file open at descriptor `file`.

    `check` sees every row group once, in order, after it was found to be sound: every chunk lies
    inside the file, and holds as many values as the row group has rows if its column is flat.
    Raises DataError where the footer is broken, EncryptedError where the file is encrypted.
    """
    size = size_of(file)
    tail = read_part(file, 8, max(0, size - 8))
    if size < 12 or tail[4:] not in (MAGIC, ENCRYPTED_MAGIC):
        raise DataError("not a Parquet file, or its end is missing (it does not end in PAR1)")
    if tail[4:] == ENCRYPTED_MAGIC:
        raise EncryptedError("the file is encrypted")
    length = int.from_bytes(tail[:4], "little")
    start = size - 8 - length
    if start < len(MAGIC) or read_part(file, 4, 0) != MAGIC:
        raise DataError(f"broken Parquet file: a footer of {length:,} bytes in {size:,}")
    if length > MAX_FOOTER:
        raise DataError(f"the Parquet footer has {length:,} bytes; at most {MAX_FOOTER:,} are read")
    data = read_part(file, length, start)
    if len(data) != length:
        raise DataError("broken Parquet file: it became shorter while it was read")

    rows = end = 0
    leaves: tuple[Leaf, ...] = ()
    last = Struct()

    def visit(fields: Struct, group: Struct) -> None:
        nonlocal rows, leaves, end, last
        if not leaves:
            leaves, _ = _schema(fields)
        found, ends = _check_group(leaves, group, start)
        rows, end, last = rows + found, max(end, ends), group
        check(leaves, group)

    struct, _ = read_struct(data, visit={File.GROUPS: visit})
    if File.ENCRYPTION in struct or File.SIGNING_KEY in struct:
        raise EncryptedError("the file is encrypted")
    if struct.integer(File.ROWS) != rows:
        raise DataError(
            f"broken Parquet footer: {struct.integer(File.ROWS)} rows in all, "
            f"but {rows} in the row groups"
        )
    _refuse_a_second_file(file, start, max(end, _end_of_indexes(last)))
    return Footer(struct, start, *_schema(struct))


def _refuse_a_second_file(file: int, start: int, end: int) -> None:
    """Raise DataError where another file stands before the one whose footer is at `start`.

    `end` is where everything before the footer ends, counted from the start of the footer's own
    file: that lies as far behind the start of what is read as `end` lies before the footer.
    """
    begins = max(0, start - end - SLACK)
    if MAGIC + MAGIC in read_part(file, min(2 * SLACK, start - begins), begins):
        raise DataError("two Parquet files, one after the other; give each by itself")


def _end_of_indexes(group: Struct) -> int:
    """Where the page indexes and Bloom filters of a row group end; writers put them last."""
    end = 0
    for chunk in group.structs(Group.COLUMNS):
        meta = chunk_meta(chunk)
        for struct, offset, length in (
            (chunk, Chunk.OFFSET_INDEX, Chunk.OFFSET_INDEX_LENGTH),
            (chunk, Chunk.COLUMN_INDEX, Chunk.COLUMN_INDEX_LENGTH),
            (meta, Meta.BLOOM, Meta.BLOOM_LENGTH),
        ):
            end = max(end, (struct.integer(offset) or 0) + (struct.integer(length) or 0))
    return end


def _check_group(leaves: Sequence[Leaf], group: Struct, end: int) -> tuple[int, int]:
    """The row count of a row group, whose chunks all lie before `end`, and where the last ends."""
    last = 0
    rows = group.integer(Group.ROWS)
    chunks = group.structs(Group.COLUMNS)
    if rows is None or rows < 0 or len(chunks) != len(leaves):
        raise DataError("broken Parquet footer: a row group lacks columns or its row count")
    for leaf, chunk in zip(leaves, chunks, strict=True):
        if Chunk.PATH in chunk:
            raise NotByChunkError("its columns lie in other files")
        if Chunk.META not in chunk or Chunk.CRYPTO in chunk or Chunk.ENCRYPTED in chunk:
            raise EncryptedError("the file is encrypted")
        first, length = chunk_span(chunk)
        if length and (first < len(MAGIC) or length < 0 or first + length > end):
            raise DataError(
                f"broken Parquet footer: column {leaf.name} has {length:,} bytes at {first:,}, "
                "which is not inside the file"
            )
        last = max(last, first + length)
        values = chunk_meta(chunk).integer(Meta.VALUES)
        if values is None or values < 0 or (leaf.depth == 0 and values != rows):
            raise DataError(
                f"broken Parquet footer: a row group of {rows:,} rows has {values} values "
                f"of column {leaf.name}"
            )
    return rows, last


def chunk_meta(chunk: Struct) -> Struct:
    """A column chunk's ColumnMetaData."""
    meta = chunk.struct(Chunk.META)
    if meta is None:
        raise DataError("broken Parquet footer: a column chunk without metadata")
    return meta


def chunk_span(chunk: Struct) -> tuple[int, int]:
    """Where a column chunk's pages start, and how many bytes they take.

    A dictionary page comes first. Writers that leave its offset out, or set it to 0 or to something
    behind the first data page, have it at data_page_offset (parquet-mr before 1.8, Impala). A
    chunk without rows may be a dictionary page alone, with a data_page_offset of 0 (Arrow).
    """
    meta = chunk_meta(chunk)
    start, length = meta.integer(Meta.DATA_PAGE), meta.integer(Meta.COMPRESSED)
    if start is None or length is None:
        raise DataError("broken Parquet footer: a column chunk without an offset or a size")
    dictionary = meta.integer(Meta.DICTIONARY) or 0
    is_first = dictionary > 0 and (dictionary < start or start == 0)
    return (dictionary if is_first else start), length


def _schema(struct: Struct) -> tuple[tuple[Leaf, ...], tuple[FooterColumn, ...]]:
    """The leaves and top-level columns of a schema, which is a tree written depth first."""
    elements = struct.structs(File.SCHEMA)
    if not elements:
        raise DataError("broken Parquet footer: no schema")
    leaves: list[Leaf] = []
    columns: list[FooterColumn] = []
    # Each open group: its path, its repetitions, and how many of its children are still to come.
    stack: list[tuple[tuple[bytes, ...], tuple[int, ...], list[int]]] = []
    for number, element in enumerate(elements):
        name = element.binary(Element.NAME) or b""
        children = element.integer(Element.CHILDREN) or 0
        if number == 0:
            stack.append(((), (), [children]))
            continue
        while stack and stack[-1][2][0] == 0:
            stack.pop()
        if not stack or not 0 <= children < len(elements) or len(stack) > MAX_NESTING:
            raise DataError("broken Parquet footer: its schema is not a tree")
        parent, above, left = stack[-1]
        left[0] -= 1
        repetition = element.integer(Element.REPETITION) or REQUIRED
        path, repetitions = (*parent, name), (*above, repetition)
        if len(stack) == 1:
            columns.append(
                FooterColumn(name.decode(errors="replace"), range(len(leaves), len(leaves)))
            )
        if children:
            stack.append((path, repetitions, [children]))
            continue
        physical = element.integer(Element.TYPE)
        if physical is not None:  # else a group without fields: a column of nothing
            leaves.append(Leaf(path, physical, element.integer(Element.LENGTH) or 0, repetitions))
        columns[-1] = FooterColumn(columns[-1].name, range(columns[-1].leaves.start, len(leaves)))
    if any(left[0] for _, _, left in stack):
        raise DataError("broken Parquet footer: its schema is not a tree")
    return tuple(leaves), tuple(columns)

"""What pyarrow does not tell of Arrow's messages and footers, read from their FlatBuffers.

A FlatBuffer begins with a reference to its outermost table. A table begins with the distance back
to a list of where its fields are. A reference is the distance on from where it stands.
https://flatbuffers.dev/internals
"""

from __future__ import annotations

import struct
from collections.abc import Callable

CODECS = {0: "lz4", 1: "zstd"}
DICTIONARY_BATCH, RECORD_BATCH = 2, 3
BATCHES, DICTIONARIES = 3, 2
SIZE = struct.Struct("<q")
"""A size before compression, which a compressed buffer begins with; -1 says that it is not."""


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where a field of a FlatBuffer's table is; None where it is not given."""
    fields = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, fields)
    at = struct.unpack_from("<H", data, fields + 4 + 2 * number)[0] if 4 + 2 * number < size else 0
    return table + at if at else None


def _follow(data: bytes, at: int | None) -> int | None:
    """Where the reference at `at` leads to."""
    return None if at is None else at + int(struct.unpack_from("<I", data, at)[0])


def _vector(data: bytes, at: int | None) -> tuple[int, int]:
    """Where the elements of the vector begin that the reference at `at` leads to, and how many."""
    found = _follow(data, at)
    return (0, 0) if found is None else (found + 4, struct.unpack_from("<I", data, found)[0])


def _batch(message: bytes) -> int | None:
    """Where the table of the record batch is, or of that within a dictionary batch.

    Of a Message, field 1 is the kind and 2 the header; of a DictionaryBatch, 1 the record batch.
    """
    root = _follow(message, 0) or 0
    kind, header = _field(message, root, 1), _follow(message, _field(message, root, 2))
    if kind is None or header is None:
        return None
    if message[kind] == DICTIONARY_BATCH:
        return _follow(message, _field(message, header, 1))
    return header if message[kind] == RECORD_BATCH else None


def body_size(message: bytes) -> int:
    """The size of the body that comes after the metadata, its field 3; 0 where that is broken."""
    try:
        at = _field(message, _follow(message, 0) or 0, 3)
        return 0 if at is None else int(SIZE.unpack_from(message, at)[0])
    except (struct.error, IndexError):
        return 0


def memory_of(message: bytes, read: Callable[[int, int], bytes]) -> int:
    """How many bytes the batch of a message takes once it is no more compressed, or more.

    Of a RecordBatch, field 1 is the vector of the arrays' lengths, each of which counts as a byte a
    value at least: some arrays have no buffers. 2 is that of buffers, each its place in the body
    and its size, and 3 the compression. `read(size, at)` gives bytes of the body. 0 where the
    metadata are broken, which Arrow then says.
    """
    try:
        batch = _batch(message)
        if batch is None:
            return 0
        packed = _field(message, batch, 3) is not None
        at, count = _vector(message, _field(message, batch, 2))
        sizes = 0
        for start, size in struct.iter_unpack("<qq", message[at : at + 16 * count]):
            inside = read(SIZE.size, start) if packed and size >= SIZE.size and start >= 0 else b""
            unpacked = SIZE.unpack(inside)[0] if len(inside) == SIZE.size else -1
            sizes += max(0, size, unpacked)
        at, count = _vector(message, _field(message, batch, 1))
        arrays = struct.iter_unpack("<qq", message[at : at + 16 * count])
        return max([sizes, *(int(length) for length, _ in arrays)])
    except (struct.error, IndexError):
        return 0


def codec_of(message: bytes) -> str | None:
    """How the buffers of a batch are compressed, from its message's metadata.

    Of a RecordBatch, field 3 is the compression; of a BodyCompression, 0 the codec. None for what
    is not compressed, or no batch.
    """
    try:
        batch = _batch(message)
        if batch is None:
            return None
        compression = _follow(message, _field(message, batch, 3))
        if compression is None:
            return None
        codec = _field(message, compression, 0)
        return CODECS.get(0 if codec is None else message[codec])
    except (struct.error, IndexError):
        return None


def blocks_of(footer: bytes, field: int) -> list[tuple[int, int, int]]:
    """Where the messages of a file lie: of each its offset, the metadata's length, the body's.

    Of a Footer, field 2 is the vector of dictionaries and 3 that of record batches. A vector's
    length stands before its elements.
    """
    try:
        at, count = _vector(footer, _field(footer, _follow(footer, 0) or 0, field))
        return list(struct.iter_unpack("<qi4xq", footer[at : at + 24 * count]))
    except (struct.error, IndexError):
        return []

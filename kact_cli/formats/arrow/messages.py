"""What pyarrow does not tell of Arrow's messages and footers, read from their FlatBuffers.

A FlatBuffer begins with a reference to its outermost table. A table begins with the distance back
to a list of where its fields are. A reference is the distance on from where it stands.
https://flatbuffers.dev/internals
"""

from __future__ import annotations

import struct

CODECS = {0: "lz4", 1: "zstd"}
RECORD_BATCH = 3
BATCHES, DICTIONARIES = 3, 2


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where a field of a FlatBuffer's table is; None where it is not given."""
    fields = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, fields)
    at = struct.unpack_from("<H", data, fields + 4 + 2 * number)[0] if 4 + 2 * number < size else 0
    return table + at if at else None


def _follow(data: bytes, at: int | None) -> int | None:
    """Where the reference at `at` leads to."""
    return None if at is None else at + int(struct.unpack_from("<I", data, at)[0])


def codec_of(message: bytes) -> str | None:
    """How the buffers of a record batch are compressed, from its message's metadata.

    Of a Message, field 1 is the kind and 2 the header; of a RecordBatch, 3 the compression; of a
    BodyCompression, 0 the codec. None for what is not compressed, or no record batch.
    """
    try:
        root = _follow(message, 0) or 0
        kind, batch = _field(message, root, 1), _follow(message, _field(message, root, 2))
        if kind is None or message[kind] != RECORD_BATCH or batch is None:
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
        at = _follow(footer, _field(footer, _follow(footer, 0) or 0, field))
        if at is None:
            return []
        (count,) = struct.unpack_from("<I", footer, at)
        return list(struct.iter_unpack("<qi4xq", footer[at + 4 : at + 4 + 24 * count]))
    except struct.error:
        return []

"""Arrow IPC, files (`ARROW1`, footer at the end) and streams (messages in order).

https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from kact_cli.formats.tables import Sink, naming

if TYPE_CHECKING:
    from kact_cli.storage import Source
    from kact_cli.target import Target

CODECS = {0: "lz4", 1: "zstd"}
RECORD_BATCH = 3
FILE_HEAD = 8
"""The magic of a file and its padding; then come messages, as in a stream."""


def codec_of(message: bytes) -> str | None:
    """How the buffers of a record batch are compressed, from its message's metadata.

    That is a FlatBuffer, in which a table starts with the distance back to a list of where its
    fields are. Message: 1 is the kind and 2 the header; RecordBatch: 3 the compression;
    BodyCompression: 0 the codec. Returns None for what is not compressed, or no record batch.
    """

    def field(table: int, number: int) -> int | None:
        fields = table - struct.unpack_from("<i", message, table)[0]
        (size,) = struct.unpack_from("<H", message, fields)
        if 4 + 2 * number >= size:
            return None
        (at,) = struct.unpack_from("<H", message, fields + 4 + 2 * number)
        return table + at if at else None

    def follow(at: int | None) -> int | None:
        return None if at is None else at + struct.unpack_from("<I", message, at)[0]

    try:
        root = struct.unpack_from("<I", message)[0]
        kind, batch = field(root, 1), follow(field(root, 2))
        if kind is None or message[kind] != RECORD_BATCH or batch is None:
            return None
        compression = follow(field(batch, 3))
        if compression is None:
            return None
        codec = field(compression, 0)
        return CODECS.get(0 if codec is None else message[codec])
    except (struct.error, IndexError):
        return None


class _Stream(io.RawIOBase):
    """A source as the file object that pyarrow reads a stream from, in the calling thread.

    pyarrow reads the length of a message's metadata, the metadata and the body one by one: so the
    codec is seen in passing, and whether the stream ended without saying so.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0
        self._length = b""
        self.codec: str | None = None
        self.broke_off = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        got = self._source.read_at(view, self._position)
        self._position += got
        self.broke_off = got < len(view)
        if got == int.from_bytes(self._length, "little"):
            self.codec = self.codec or codec_of(bytes(view[:got]))
        self._length = bytes(view[:got]) if got == 4 else b""
        return got


class StreamReader:
    """An Arrow stream, from a pipe (once) or a file (as often as is asked)."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._first: Any = self._open()
        self.schema: pa.Schema = self._first.schema

    def _open(self) -> Any:
        self._stream = _Stream(self._source)
        with naming(self._source.name):
            return pa.ipc.open_stream(self._stream)

    @property
    def codec(self) -> str | None:
        """How the batches that have been read are compressed."""
        return self._stream.codec

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        reader, self._first = self._first or self._open(), None
        while True:
            with naming(self._source.name):
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
            yield batch if columns is None else batch.select(list(columns))

    def remarks(self) -> Iterator[str]:
        if self._stream.broke_off:
            yield "the stream has no end mark; if its writer failed, rows are missing"

    def close(self) -> None:
        self._first = None


class FileReader:
    """An Arrow file, read batch by batch."""

    def __init__(self, source: Source) -> None:
        self._name, self._path = source.name, source.openable()
        with naming(source.name):
            self._reader = pa.ipc.open_file(pa.OSFile(self._path))
        self.schema: pa.Schema = self._reader.schema
        self.count: int = self._reader.num_record_batches

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        for number in range(self.count):
            with naming(self._name):
                batch = self._reader.get_batch(number)
            yield batch if columns is None else batch.select(list(columns))

    @property
    def codec(self) -> str | None:
        """How the first batch is compressed."""
        with naming(self._name), pa.OSFile(self._path) as file:
            file.seek(FILE_HEAD)
            for message in pa.ipc.MessageReader.open_stream(file):
                if message.type == "record batch":
                    return codec_of(message.metadata.to_pybytes())
        return None

    def remarks(self) -> Iterator[str]:
        yield from ()

    def close(self) -> None:
        pass


class Writer:
    """An Arrow file or stream, batch by batch as they come, compressed as `like` is."""

    def __init__(
        self,
        target: Target,
        schema: pa.Schema,
        like: StreamReader | FileReader | None = None,
        *,
        stream: bool,
    ) -> None:
        self._name, self._schema, self._like, self._stream = target.name, schema, like, stream
        self._sink = Sink(target)
        self._writer: Any = None
        self._dictionaries: dict[int, pa.Array] = {}

    def _open(self) -> Any:
        """The writer, once a batch has been read and `like` knows its codec."""
        options = pa.ipc.IpcWriteOptions(
            emit_dictionary_deltas=True, compression=self._like.codec if self._like else None
        )
        make = pa.ipc.new_stream if self._stream else pa.ipc.new_file
        return make(self._sink, self._schema, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        with naming(self._name):
            self._writer = self._writer or self._open()
            self._writer.write_batch(batch if self._stream else self._extended(batch))

    def _extended(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with dictionaries that add to those before: a file cannot replace them."""
        columns = batch.columns
        for i, column in enumerate(columns):
            if pa.types.is_dictionary(column.type):
                columns[i] = self._extend(i, column)
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema)

    def _extend(self, number: int, column: pa.DictionaryArray) -> pa.DictionaryArray:
        new, known = column.dictionary, self._dictionaries.get(number)
        if known is None or new.slice(0, len(known)).equals(known):
            self._dictionaries[number] = new
            return column
        unknown = pc.is_null(pc.index_in(new, value_set=known))
        known = pa.concat_arrays([known, pc.unique(new.filter(unknown))])
        self._dictionaries[number] = known
        indices = pc.index_in(new, value_set=known).take(column.indices)
        return pa.DictionaryArray.from_arrays(
            indices.cast(column.type.index_type), known, ordered=column.type.ordered
        )

    def close(self) -> None:
        with naming(self._name):
            (self._writer or self._open()).close()

    def abandon(self) -> None:
        self._sink.abandoned = True

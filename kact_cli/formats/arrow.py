"""Arrow IPC, files (`ARROW1`, footer at the end) and streams (messages in order).

https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from kact_cli.formats.base import Sink, TableReader, naming

if TYPE_CHECKING:
    from kact_cli.files.source import Source
    from kact_cli.files.target import Target
    from kact_cli.options import Options

CODECS = {0: "lz4", 1: "zstd"}
RECORD_BATCH = 3
MAGIC = b"ARROW1"


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where a field of a FlatBuffer's table is; None where it is not given.

    A table starts with the distance back to a list of where its fields are.
    """
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


def first_batch(footer: bytes) -> tuple[int, int] | None:
    """Where in a file the first record batch lies, and how long its metadata is.

    Of a Footer, field 3 is a vector of blocks: an offset, a length, and more. None without batches.
    """
    try:
        blocks = _follow(footer, _field(footer, _follow(footer, 0) or 0, 3))
        if blocks is None or struct.unpack_from("<I", footer, blocks)[0] == 0:
            return None
        offset, length = struct.unpack_from("<qi", footer, blocks + 4)
        return offset, length
    except struct.error:
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


class ArrowStreamReader:
    """An Arrow stream, from a pipe (once) or a file (as often as is asked)."""

    rows: int | None = None

    def __init__(self, source: Source, options: Options) -> None:
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


class ArrowFileReader:
    """An Arrow file, read batch by batch."""

    rows: int | None = None

    def __init__(self, source: Source, options: Options) -> None:
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
            end = file.size() - len(MAGIC) - 4
            size = int.from_bytes(file.read_at(4, end), "little")
            found = first_batch(file.read_at(size, end - size))
            if found is None:
                return None
            message = file.read_at(found[1], found[0])
        # Before the metadata are its length and, since Arrow 0.15, four bytes of ones
        return codec_of(message[8 if message.startswith(b"\xff" * 4) else 4 :])

    def remarks(self) -> Iterator[str]:
        yield from ()

    def close(self) -> None:
        pass


class _ArrowWriter:
    """Record batches as they come, compressed as `like`, an Arrow input, is."""

    stream: ClassVar[bool]

    def __init__(
        self,
        target: Target,
        schema: pa.Schema,
        computed: Sequence[int],
        options: Options,
        like: TableReader | None = None,
    ) -> None:
        self._name, self._schema = target.name, schema
        self._like = like if isinstance(like, ArrowStreamReader | ArrowFileReader) else None
        self._sink = Sink(target)
        self._writer: Any = None
        self._dictionaries: dict[int, pa.Array] = {}

    def _open(self) -> Any:
        """The writer, once a batch has been read and `like` knows its codec."""
        options = pa.ipc.IpcWriteOptions(
            emit_dictionary_deltas=True, compression=self._like.codec if self._like else None
        )
        make = pa.ipc.new_stream if self.stream else pa.ipc.new_file
        return make(self._sink, self._schema, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        with naming(self._name):
            self._writer = self._writer or self._open()
            self._writer.write_batch(batch if self.stream else self._extended(batch))

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


class ArrowStreamWriter(_ArrowWriter):
    """An Arrow stream."""

    stream = True


class ArrowFileWriter(_ArrowWriter):
    """An Arrow file."""

    stream = False

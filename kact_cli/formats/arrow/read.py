"""Arrow files and streams as record batches."""

from __future__ import annotations

import contextlib
import io
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kact_cli.errors import DataError, prefixed
from kact_cli.files.source import open_source
from kact_cli.files.temporary import temporary_file
from kact_cli.formats.arrow.messages import (
    BATCHES,
    DICTIONARIES,
    blocks_of,
    body_size,
    codec_of,
    memory_of,
)
from kact_cli.formats.base import FAULTS, TableReader, sound
from kact_cli.formats.declared import ARROW, ARROW_STREAM

if TYPE_CHECKING:
    from kact_cli.files.source import Source
    from kact_cli.options import Options

MAGIC = b"ARROW1"
BETWEEN_FILES = MAGIC + MAGIC + bytes(2)
"""The end of a file and the start of the next."""
SLACK = 64
"""Bytes within which it is looked for: writers end their messages in more ways than one."""


class _Stream(io.RawIOBase):
    """A source as the file object that pyarrow reads a stream from, in the calling thread.

    pyarrow reads the length of a message's metadata, the metadata and the body one by one: so the
    codec is seen in passing, how much memory the body needs before it gets any, and whether the
    stream ended without saying so.
    """

    def __init__(self, source: Source, options: Options) -> None:
        self._source, self._options = source, options
        self._position = 0
        self._length = self._message = b""
        self.codec: str | None = None
        self.broke_off = False

    @property
    def more(self) -> bool:
        """Whether anything comes after what has been read."""
        if self._source.size is None:
            return bool(self._source.peek(1))
        return self._position < self._source.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        got = self._source.read_at(view, self._position)
        self._position += got
        self.broke_off = got < len(view)
        if got == int.from_bytes(self._length, "little"):
            self._message = bytes(view[:got])
            self.codec = self.codec or codec_of(self._message)
            self._check(body_size(self._message))
        elif self._message:
            self._check(memory_of(self._message, lambda size, at: bytes(view[at : at + size])))
            self._message = b""
        self._length = bytes(view[:got]) if got == 4 else b""
        return got

    def _check(self, size: int) -> None:
        ARROW_STREAM.check_unit(f"{self._source.name}: a record batch", size, self._options)


def _check_fields(schema: pa.Schema) -> None:
    """Check names and types, however deep, of which pyarrow takes any.

    Raises UnicodeDecodeError where a name is no UTF-8, ArrowInvalid for nulls that may be none.
    """
    fields = list(schema)
    while fields:
        field = fields.pop()
        held = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_null(held) and not field.nullable:
            raise pa.ArrowInvalid(f"field '{field.name}' is of type null, and said to hold none")
        _ = field.name
        fields += [field.type.field(i) for i in range(field.type.num_fields)]


class ArrowReader(TableReader):
    """What a writer of Arrow keeps of an Arrow input beside its rows."""

    footer: Mapping[bytes, bytes] | None = None
    """The metadata of a file as a whole."""

    def __init__(self) -> None:
        self.noted: deque[Mapping[bytes, bytes] | None] = deque()
        """The metadata of each batch that the last call of `batches` has given, in order; whoever
        writes the batches takes them out."""

    @property
    @abstractmethod
    def codec(self) -> str | None:
        """How the batches, as far as they have been read, are compressed."""

    def _taken(
        self, batch: pa.RecordBatch, noted: Any, columns: Sequence[int] | None
    ) -> pa.RecordBatch:
        self.noted.append(noted)
        return batch if columns is None else batch.select(list(columns))


class ArrowStreamReader(ArrowReader):
    """An Arrow stream, from a pipe (once) or a file (as often as is asked).

    Streams of the same schema that follow it, as `cat a.arrows b.arrows` makes them, are read on.
    """

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__()
        self._source, self._options = source, options
        self._first: Any = self._open()
        self.schema: pa.Schema = self._first.schema

    def _open(self) -> Any:
        self._stream = _Stream(self._source, self._options)
        with prefixed(self._source.name, *FAULTS):
            reader = pa.ipc.open_stream(self._stream)
            _check_fields(reader.schema)
            return reader

    @property
    def codec(self) -> str | None:
        return self._stream.codec

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        reader, self._first = self._first or self._open(), None
        self.noted.clear()
        while True:
            with prefixed(self._source.name, *FAULTS):
                try:
                    batch, noted = reader.read_next_batch_with_custom_metadata()
                    sound(batch)
                except StopIteration:
                    if not self._stream.more:
                        return
                    reader = self._following()
                    continue
            yield self._taken(batch, noted, columns)

    def _following(self) -> Any:
        """The stream that begins where the one before has ended."""
        try:
            reader = pa.ipc.open_stream(self._stream)
        except pa.ArrowException as e:
            name = self._source.name
            raise DataError(f"{name}: what follows the end of the stream is no stream") from e
        if not reader.schema.equals(self.schema):
            raise DataError(
                f"{self._source.name}: a second stream follows, whose columns are others; "
                "give each stream by itself"
            )
        return reader

    def remarks(self) -> Iterator[str]:
        if self._stream.broke_off:
            yield "the stream has no end mark; if its writer failed, rows are missing"


class ArrowFileReader(ArrowReader):
    """An Arrow file, read batch by batch."""

    def __init__(self, source: Source, options: Options) -> None:
        super().__init__()
        self._name, self._options = source.name, options
        with prefixed(source.name, *FAULTS):
            self._file = pa.OSFile(source.openable())
            self._reader = pa.ipc.open_file(self._file)
            start, footer = self._footer()
            self._blocks = blocks_of(footer, BATCHES)
            dictionaries = blocks_of(footer, DICTIONARIES)
            self._refuse_a_second_file(start, self._blocks + dictionaries)
            if len(self._blocks) != self._reader.num_record_batches:
                raise DataError("the footer of the file is broken")
            # Arrow reads all of them before the first batch
            self._check("the set of its dictionaries", sum(map(self._memory_of, dictionaries)))
            _check_fields(self._reader.schema)
        self.schema: pa.Schema = self._reader.schema
        # pyarrow 18 has not heard of it
        self.footer = getattr(self._reader, "metadata", None)

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        self.noted.clear()
        for number, block in enumerate(self._blocks):
            with prefixed(self._name, *FAULTS):
                self._check(f"record batch {number}", self._memory_of(block))
                batch, noted = self._reader.get_batch_with_custom_metadata(number)
                sound(batch)
            yield self._taken(batch, noted, columns)

    def close(self) -> None:
        # What was read has been read, whatever the system says now
        with contextlib.suppress(OSError):
            self._file.close()

    def _footer(self) -> tuple[int, bytes]:
        """Where the footer begins, and what it is."""
        file = self._file
        end = file.size() - len(MAGIC) - 4
        size = int.from_bytes(file.read_at(4, end), "little")
        return end - size, file.read_at(size, end - size)

    def _message(self, block: tuple[int, int, int]) -> bytes:
        """The metadata of a batch, which has to lie within the file with its body."""
        offset, length, body = block
        if min(block) < 0 or offset + length + body > self._file.size():
            raise DataError("a record batch does not lie within the file")
        # Before the metadata are its length and, since Arrow 0.15, four bytes of ones
        message: bytes = self._file.read_at(length, offset)
        return message[8 if message.startswith(b"\xff" * 4) else 4 :]

    def _memory_of(self, block: tuple[int, int, int]) -> int:
        start, end = block[0] + block[1], block[2]

        def read(size: int, at: int) -> bytes:
            found: bytes = self._file.read_at(size, start + at) if at + size <= end else b""
            return found

        return memory_of(self._message(block), read)

    def _check(self, what: str, size: int) -> None:
        ARROW.check_unit(f"{self._name}: {what}", size, self._options)

    def _refuse_a_second_file(self, start: int, blocks: Sequence[tuple[int, int, int]]) -> None:
        """Raise DataError where the footer is that of a file which another stands before."""
        schema = 16 + int.from_bytes(self._file.read_at(4, 12), "little")
        # The footer counts from the start of its own file, which lies as far behind the start of
        # what is read as the last message lies before the footer
        begins = start - max([schema, *(sum(block) for block in blocks)])
        near = max(0, begins - SLACK)
        if BETWEEN_FILES in self._file.read_at(min(2 * SLACK, start - near), near):
            raise DataError(
                f"{self._name} holds two Arrow files, one after the other; give each by itself"
            )

    @property
    def codec(self) -> str | None:
        if not self._blocks:
            return None
        with prefixed(self._name, *FAULTS):
            return codec_of(self._message(self._blocks[0]))

    def facts(self) -> dict[str, Any]:
        return {"record_batches": self._reader.num_record_batches}


@contextlib.contextmanager
def spooled_rows(reader: TableReader, name: str, options: Options) -> Iterator[TableReader]:
    """The rows of a table that can be read once, in a temporary file, to be read again and again.

    Raises DataError where the input, called `name`, is broken or the temporary file is full.
    """
    options_ = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    with temporary_file() as file:
        with (
            prefixed(file.name, *FAULTS),  # an error of the reader names its own file
            pa.OSFile(file.path, "wb") as sink,
            pa.ipc.new_stream(sink, reader.schema, options=options_) as writer,
        ):
            for batch in reader.batches():
                writer.write_batch(batch)
        with contextlib.closing(open_source(file.path)) as source:
            source.name = name
            yield ArrowStreamReader(source, options)

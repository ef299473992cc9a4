"""Arrow IPC, files (`ARROW1`, footer at the end) and streams (messages in order).

https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kact_cli.formats.tables import Sink, naming

if TYPE_CHECKING:
    from kact_cli.storage import Source
    from kact_cli.target import Target


class _Stream(io.RawIOBase):
    """A source as the file object that pyarrow reads a stream from, in the calling thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        got = self._source.read_at(memoryview(buffer).cast("B"), self._position)
        self._position += got
        return got


class StreamReader:
    """An Arrow stream, from a pipe (once) or a file (as often as is asked)."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._first: Any = self._open()
        self.schema: pa.Schema = self._first.schema

    def _open(self) -> Any:
        with naming(self._source.name):
            return pa.ipc.open_stream(_Stream(self._source))

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        reader, self._first = self._first or self._open(), None
        while True:
            with naming(self._source.name):
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
            yield batch if columns is None else batch.select(list(columns))

    def close(self) -> None:
        self._first = None


class FileReader:
    """An Arrow file, read batch by batch."""

    def __init__(self, source: Source) -> None:
        self._name = source.name
        with naming(source.name):
            self._reader = pa.ipc.open_file(pa.OSFile(source.openable()))
        self.schema: pa.Schema = self._reader.schema

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        for number in range(self._reader.num_record_batches):
            with naming(self._name):
                batch = self._reader.get_batch(number)
            yield batch if columns is None else batch.select(list(columns))

    def close(self) -> None:
        pass


class Writer:
    """An Arrow file or stream, batch by batch as they come."""

    def __init__(self, target: Target, schema: pa.Schema, *, stream: bool) -> None:
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
        make = pa.ipc.new_stream if stream else pa.ipc.new_file
        self._name = target.name
        with naming(self._name):
            self._writer = make(Sink(target), schema, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        with naming(self._name):
            self._writer.write_batch(batch)

    def close(self) -> None:
        with naming(self._name):
            self._writer.close()

"""Record batches as Arrow files and streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from kact_cli.errors import prefixed
from kact_cli.formats.arrow.read import ArrowReader
from kact_cli.formats.base import FAULTS, Sink, TableReader, TableWriter
from kact_cli.messages import listed

if TYPE_CHECKING:
    from kact_cli.files.target import Target
    from kact_cli.options import Options


class _ArrowWriter(TableWriter):
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
        self._name, self._schema, self._options = target.name, schema, options
        self._like = like if isinstance(like, ArrowReader) else None
        self._sink = Sink(target)
        self._writer: Any = None
        self._dictionaries: dict[int, pa.Array] = {}

    def _open(self) -> Any:
        """The writer, once a batch has been read and `like` knows its codec."""
        options = pa.ipc.IpcWriteOptions(
            emit_dictionary_deltas=True, compression=self._like.codec if self._like else None
        )
        footer = self._like.footer if self._like else None
        if self.stream:
            if footer:
                self._options.observer.warn(
                    f"{self._name} is left without the metadata of the input as a file, "
                    f"{listed([key.decode(errors='replace') for key in footer])}: it is a stream"
                )
            return pa.ipc.new_stream(self._sink, self._schema, options=options)
        more = {"metadata": footer} if footer else {}
        return pa.ipc.new_file(self._sink, self._schema, options=options, **more)

    def write(self, batch: pa.RecordBatch) -> None:
        with prefixed(self._name, *FAULTS):
            self._writer = self._writer or self._open()
            noted = self._like.noted.popleft() if self._like else None
            batch = batch if self.stream else self._extended(batch)
            self._writer.write_batch(batch, custom_metadata=noted)

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
        with prefixed(self._name, *FAULTS):
            (self._writer or self._open()).close()

    def abandon(self) -> None:
        self._sink.abandoned = True


class ArrowStreamWriter(_ArrowWriter):
    """An Arrow stream."""

    stream = True


class ArrowFileWriter(_ArrowWriter):
    """An Arrow file."""

    stream = False

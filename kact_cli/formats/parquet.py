"""Parquet as record batches: the general way, for conversions and for files that `parquet_chunks`
cannot rewrite column chunk by column chunk.

https://parquet.apache.org/docs/file-format/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from kact_cli.errors import DataError
from kact_cli.formats.tables import Sink, naming, rows_of

if TYPE_CHECKING:
    from kact_cli.storage import Source
    from kact_cli.target import Target

GROUP_BYTES = 32 * 1024 * 1024
"""What a row group is gathered up to, where the source has no row groups to keep."""
READ_BYTES = 256 * 1024


class Reader:
    """A Parquet file, some thousand rows at a time."""

    def __init__(self, source: Source) -> None:
        self._name = source.name
        with naming(self._name):
            self._file = pq.ParquetFile(
                pa.OSFile(source.openable()),
                buffer_size=READ_BYTES,
                pre_buffer=False,
                page_checksum_verification=True,
            )
            self.metadata = self._file.metadata
            self.schema: pa.Schema = self._file.schema_arrow
            self.rows: int = self.metadata.num_rows
        self._file.reader.set_use_threads(False)

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        for group in range(self.metadata.num_row_groups):
            yield from self.group(group, columns)

    def group(self, number: int, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one row group; DataError where they are fewer than its footer says."""
        every = columns is None or len(set(self.schema.names)) < len(self.schema)
        names = None if every else [self.schema.names[i] for i in columns or ()]
        fields = self.schema if columns is None else pa.schema([self.schema[i] for i in columns])
        rows, expected = 0, self.metadata.row_group(number).num_rows
        batches = self._file.iter_batches(rows_of(fields), [number], names, use_threads=False)
        while True:
            with naming(self._name):
                batch = next(batches, None)
            if batch is None:
                break
            rows += batch.num_rows
            if columns is None:
                yield batch
            elif every:
                yield batch.select(list(columns))
            else:
                yield batch.select([batch.schema.get_field_index(f.name) for f in fields])
        if rows != expected:
            raise DataError(f"{self._name}: row group {number} has {rows} of {expected} rows")

    def group_rows(self) -> list[int]:
        """The number of rows of each row group."""
        return [self.metadata.row_group(i).num_rows for i in range(self.metadata.num_row_groups)]

    def close(self) -> None:
        self._file.close()


class Writer:
    """A Parquet file in the manner of the file that it is made from, if that is Parquet too.

    Codec by column, row groups, format version and metadata are the source's. `computed` are the
    columns that are tensors: a dictionary of floats only costs, so they get none. Pages carry
    checksums.
    """

    def __init__(
        self, target: Target, schema: pa.Schema, computed: Sequence[int], like: Reader | None
    ) -> None:
        self._groups = iter(like.group_rows()) if like else iter(())
        self._remaining = next(self._groups, None)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._schema = schema
        options: dict[str, Any] = {"compression": "snappy", "version": "2.6"}
        tensors = {schema.names[i] for i in computed}
        dictionary: list[str] = [n for n in schema.names if n not in tensors]
        if like is not None and like.metadata.num_row_groups:
            group = like.metadata.row_group(0)
            chunks = [group.column(i) for i in range(group.num_columns)]
            options["compression"] = {c.path_in_schema: _codec(c.compression) for c in chunks}
            dictionary = [
                c.path_in_schema
                for c in chunks
                if c.has_dictionary_page and c.path_in_schema.split(".")[0] not in tensors
            ]
            options["version"] = like.metadata.format_version
            options["write_page_index"] = any(c.has_column_index for c in chunks)
        self._name = target.name
        with naming(self._name):
            self._writer = pq.ParquetWriter(
                Sink(target),
                schema,
                use_dictionary=dictionary if dictionary else False,
                write_page_checksum=True,
                store_schema=True,
                **options,
            )

    def write(self, batch: pa.RecordBatch) -> None:
        while self._remaining is not None and batch.num_rows >= self._remaining - self._rows:
            cut = self._remaining - self._rows
            self._gather(batch.slice(0, cut))
            self._flush()
            batch = batch.slice(cut)
            self._remaining = next(self._groups, None)
        if batch.num_rows:
            self._gather(batch)
        if self._bytes >= GROUP_BYTES:
            if self._remaining is not None:
                self._remaining -= self._rows
            self._flush()

    def _gather(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes

    def _flush(self) -> None:
        if self._rows:
            table = pa.Table.from_batches(self._waiting, self._schema)
            with naming(self._name):
                self._writer.write_table(table, row_group_size=self._rows)
        self._waiting, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        self._flush()
        with naming(self._name):
            self._writer.close()


def _codec(name: str) -> str:
    return {"UNCOMPRESSED": "none", "LZ4_RAW": "lz4"}.get(name, name.lower())

"""Parquet as record batches: the general way, for conversions and for files that `rewrite` cannot
treat column chunk by column chunk.

https://parquet.apache.org/docs/file-format/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from kact_cli.errors import prefixed
from kact_cli.formats.base import BATCH_BYTES, FAULTS, Sink, TableReader, rows_of, sound
from kact_cli.formats.parquet.read import ChunkFacts, RowGroupReader, check_nanoseconds, read_facts

if TYPE_CHECKING:
    from kact_cli.files.source import Source
    from kact_cli.files.target import Target
    from kact_cli.options import Options

GROUP_BYTES = 32 * 1024 * 1024
"""What a row group is gathered up to, where the source has no row groups to keep."""
LEAST_BYTES = 4
"""What a value in memory takes, more or less."""


class ParquetReader(TableReader):
    """A Parquet file, some thousand rows at a time."""

    def __init__(self, source: Source, options: Options) -> None:
        self._name = source.name
        self._facts = read_facts(source)
        with prefixed(self._name):
            self._file = RowGroupReader(source.openable())
        self.metadata, self.schema = self._file.metadata, self._file.schema
        self.rows: int = self.metadata.num_rows
        counts = [_leaves(field.type) for field in self.schema]
        ends = list(accumulate(counts))
        known = sum(counts) == self.metadata.num_columns
        described = self.metadata.schema
        physical = [described.column(i).physical_type for i in range(self.metadata.num_columns)]
        self._coarse: RowGroupReader | None = None
        """Reads INT96 timestamps once more, where there are any, to find those out of range."""
        if "INT96" in physical:
            with prefixed(self._name):
                self._coarse = RowGroupReader(source.openable(), self.metadata, coarse=True)
        self._leaves = [range(e - n, e) for e, n in zip(ends, counts, strict=True)] if known else []

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        for group in range(self.metadata.num_row_groups):
            yield from self.group(group, columns)

    def group(self, number: int, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one row group; DataError where they are fewer than its footer says."""
        known = self.schema.names
        unique = columns is not None and len(set(known)) == len(known)
        names = [known[i] for i in columns or ()] if unique else None
        fields = self.schema if columns is None else pa.schema([self.schema[i] for i in columns])
        each = min(rows_of(fields), self._rows(number, columns))
        batches = self._file.batches(number, names, each)
        again = self._coarse.batches(number, names, each) if self._coarse else iter(())
        while True:
            with prefixed(self._name, *FAULTS):
                batch, coarse = next(batches, None), next(again, None)
                if batch is not None:
                    sound(batch)
                if coarse is not None:
                    for name, column in zip(coarse.schema.names, coarse.columns, strict=True):
                        check_nanoseconds(name, column)
            if batch is None:
                return
            yield batch if names or columns is None else batch.select(list(columns))

    def _rows(self, number: int, columns: Sequence[int] | None) -> int:
        """How many rows of a row group take about BATCH_BYTES, by what its footer says."""
        size, rows = 0, int(self.metadata.row_group(number).num_rows)
        every = range(len(self._leaves)) if columns is None else columns
        for chunk in self._chunks(number, every):
            # A dictionary can make long lists small, but not in memory
            size += max(chunk.memory, chunk.values * LEAST_BYTES)
        return max(1, BATCH_BYTES * max(1, rows) // max(1, size))

    def _chunks(self, group: int, columns: Sequence[int]) -> list[ChunkFacts]:
        """The chunks of some columns of a row group, of which a nested column has several."""
        known = self._facts[group] if self._leaves and self._facts else []
        return [known[leaf] for i in columns if known for leaf in self._leaves[i]]

    def group_rows(self) -> list[int]:
        """The number of rows of each row group."""
        return [self.metadata.row_group(i).num_rows for i in range(self.metadata.num_row_groups)]

    def first_group(self) -> list[ChunkFacts]:
        """The chunks of the first row group, after which a writer of all of them goes."""
        return self._facts[0] if self._facts else []

    def facts(self) -> dict[str, Any]:
        sizes = self.group_rows()
        return {
            "rows": self.rows,
            "row_groups": len(sizes),
            "rows_per_group": [min(sizes), max(sizes)] if sizes else [],
            "version": self.metadata.format_version,
            "created_by": self.metadata.created_by or "",
        }

    def column_facts(self) -> list[dict[str, Any]]:
        found = []
        for column in range(len(self.schema)):
            chunks = [c for n in range(len(self._facts)) for c in self._chunks(n, [column])]
            facts: dict[str, Any] = {}
            if chunks:
                # Every value once, in the order of appearance
                facts["codec"] = list(dict.fromkeys(c.codec for c in chunks))
                facts["encodings"] = list(dict.fromkeys(e for c in chunks for e in c.encodings))
                facts["bytes"] = sum(c.bytes for c in chunks)
                nulls = [c.nulls for c in chunks if c.nulls is not None]
                if len(nulls) == len(chunks):
                    facts["nulls"] = sum(nulls)
            found.append(facts)
        return found

    def close(self) -> None:
        self._file.close()


class ParquetWriter:
    """A Parquet file in the manner of the file that it is made from, if that is Parquet too.

    Codec by column, row groups, names in lists and metadata are the source's. `computed` are the
    columns that are tensors: a dictionary of floats only costs, so they get none. Pages carry
    checksums. The format version is the newest: files that say they are of the first hold types
    that it had not, such as nanoseconds.
    """

    def __init__(
        self,
        target: Target,
        schema: pa.Schema,
        computed: Sequence[int],
        options: Options,
        like: TableReader | None = None,
    ) -> None:
        if not isinstance(like, ParquetReader):
            like = None
        self._groups = iter(like.group_rows()) if like else iter(())
        self._remaining = next(self._groups, None)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._schema = schema
        made: dict[str, Any] = {"compression": "snappy"}
        names = schema.names
        tensors = {names[i] for i in computed}
        dictionary: list[str] = [n for n in names if n not in tensors]
        chunks = _chunks_of(schema, like, options.suffix) if like is not None else {}
        if chunks:
            made["use_compliant_nested_type"] = False
            made["compression"] = {path: _codec(c.codec) for path, c in chunks.items()}
            inside = tuple(f"{name}." for name in tensors)
            dictionary = [
                path
                for path, c in chunks.items()
                if c.dictionary and path not in tensors and not path.startswith(inside)
            ]
            made["write_page_index"] = any(c.indexed for c in chunks.values())
        self._name = target.name
        self._sink = Sink(target)
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            use_dictionary=dictionary if dictionary else False,
            write_page_checksum=True,
            store_schema=True,
            **made,
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
            with prefixed(self._name, *FAULTS):
                self._writer.write_table(table, row_group_size=self._rows)
        self._waiting, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        self._flush()
        with prefixed(self._name, *FAULTS):
            self._writer.close()

    def abandon(self) -> None:
        self._sink.abandoned = True


def _leaves(type_: pa.DataType) -> int:
    """How many columns of Parquet a column of Arrow is."""
    if isinstance(type_, pa.BaseExtensionType):
        return _leaves(type_.storage_type)
    return sum(_leaves(type_.field(i).type) for i in range(type_.num_fields)) or 1


def _chunks_of(schema: pa.Schema, like: ParquetReader, suffix: str | None) -> dict[str, ChunkFacts]:
    """By the path of each column that is written, the chunk in `like` that it is written as: its
    own, or that of the column which it was computed from. Empty where that is not known."""
    known, group = _paths(like.schema), like.first_group()
    if len(known) != len(group):
        return {}
    chunks = dict(zip(known, group, strict=True))
    added = schema.names[len(like.schema) :]
    found = {}
    for path in _paths(schema):
        name = next((name for name in added if path == name or path.startswith(f"{name}.")), "")
        source = name.removesuffix(suffix or "") + path.removeprefix(name)
        found[path] = chunks[source] if source in chunks else next(iter(chunks.values()))
    return found


def _paths(schema: pa.Schema) -> list[str]:
    """What the columns of Parquet are called that pyarrow makes of `schema`."""
    made = pa.BufferOutputStream()
    pq.ParquetWriter(made, schema, use_compliant_nested_type=False).close()
    described = pq.read_metadata(pa.BufferReader(made.getvalue())).schema
    return [described.column(i).path for i in range(len(described))]


def _codec(name: str) -> str:
    return {"uncompressed": "none", "lz4_raw": "lz4"}.get(name, name)

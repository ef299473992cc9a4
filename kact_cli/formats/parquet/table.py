"""Parquet as record batches: the general way, for conversions and for files that `rewrite` cannot
treat column chunk by column chunk.

https://parquet.apache.org/docs/file-format/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from kact_cli.errors import DataError, prefixed
from kact_cli.formats.base import (
    BATCH_BYTES,
    FAULTS,
    Sink,
    TableReader,
    TableWriter,
    rows_of,
    sound,
)
from kact_cli.formats.parquet.metadata.footer import File
from kact_cli.formats.parquet.metadata.schema import (
    INT96,
    arrow_elements,
    beyond_arrow,
    read_schema,
)
from kact_cli.formats.parquet.read import (
    CODECS,
    LEAST_BYTES,
    ChunkFacts,
    Description,
    RowGroupReader,
    check_nanoseconds,
)

if TYPE_CHECKING:
    from kact_cli.files.source import Source
    from kact_cli.files.target import Target
    from kact_cli.options import Options

GROUP_BYTES = 32 * 1024 * 1024
"""What a row group is gathered up to, where the source has no row groups to keep."""


class ParquetReader(TableReader):
    """A Parquet file, some thousand rows at a time."""

    def __init__(
        self, source: Source, options: Options, described: Description | None = None
    ) -> None:
        self._name = source.name
        with prefixed(self._name, OSError):
            self._described = described or Description.of(source.openable(), options)
            self._file = RowGroupReader(self._described)
            self._coarse = RowGroupReader(self._described, coarse=True)
            """Reads INT96 timestamps once more, to find those out of range."""
        self._footer, self.schema = self._described.footer, self._described.schema
        self.rows: int = self._footer.rows

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        for group in range(len(self._footer.row_groups)):
            yield from self.group(group, columns)

    def group(self, number: int, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one row group; DataError where they are fewer than its footer says."""
        columns = range(len(self.schema)) if columns is None else columns
        each = min(rows_of([self.schema[i] for i in columns]), self._rows(number, columns))
        batches = self._file.batches(number, columns, each)
        wide = [i for i in columns if self._has_int96(i)]
        again = self._coarse.batches(number, wide, each) if wide else iter(())
        while True:
            with prefixed(self._name, *FAULTS):
                batch, coarse = next(batches, None), next(again, None)
                if batch is not None:
                    sound(batch)
                if coarse is not None:
                    for i, column in zip(wide, coarse.columns, strict=True):
                        check_nanoseconds(self._footer.columns[i].name, column)
            if batch is None:
                return
            yield batch

    def _has_int96(self, column: int) -> bool:
        leaves = self._footer.columns[column].leaves
        return any(self._footer.leaves[leaf].physical == INT96 for leaf in leaves)

    def _rows(self, number: int, columns: Sequence[int]) -> int:
        """How many rows of a row group take about BATCH_BYTES, by what its footer says."""
        group, size = self._footer.row_groups[number], 0
        for i in columns:
            for leaf in self._footer.columns[i].leaves:
                chunk = group.chunk(leaf)
                # A dictionary can make long lists small, but not in memory
                size += max(chunk.uncompressed, chunk.values * LEAST_BYTES)
        return max(1, BATCH_BYTES * max(1, group.rows) // max(1, size))

    def group_rows(self) -> list[int]:
        """The number of rows of each row group."""
        return [group.rows for group in self._footer.row_groups]

    def first_group(self) -> list[ChunkFacts]:
        """The chunks of the first row group, after which a writer of all of them goes."""
        first = self._footer.row_groups[:1]
        return [ChunkFacts.of(self._footer, chunk) for group in first for chunk in group.chunks()]

    def check_kept(self, schema: pa.Schema, computed: set[str]) -> None:
        """Raise DataError for a column, not one of `computed`, that would lose what it is where
        pyarrow writes it anew, as one of `schema`."""
        made = beyond_arrow(arrow_elements(schema))
        for path, kind in beyond_arrow(self._footer.struct.structs(File.SCHEMA)).items():
            if path[0].decode(errors="replace") not in computed and made.get(path) != kind:
                name = b".".join(path).decode(errors="replace")
                raise DataError(
                    f"{self._name}: column {name} is {kind}, which Arrow has no type for, and "
                    "this file has to be written anew by Arrow; --verbose says why"
                )

    def facts(self) -> dict[str, Any]:
        sizes = self.group_rows()
        metadata = self._described.metadata
        return {
            "rows": self.rows,
            "row_groups": len(sizes),
            "rows_per_group": [min(sizes), max(sizes)] if sizes else [],
            "version": metadata.format_version,
            "created_by": metadata.created_by or "",
        }

    def column_facts(self) -> list[dict[str, Any]]:
        return [self._facts_of(column.leaves) for column in self._footer.columns]

    def _facts_of(self, leaves: range) -> dict[str, Any]:
        footer = self._footer
        chunks = [
            ChunkFacts.of(footer, group.chunk(n)) for group in footer.row_groups for n in leaves
        ]
        if not chunks:
            return {}
        facts: dict[str, Any] = {
            # Every value once, in the order of appearance
            "codec": list(dict.fromkeys(c.codec for c in chunks)),
            "encodings": list(dict.fromkeys(e for c in chunks for e in c.encodings)),
            "bytes": sum(c.bytes for c in chunks),
        }
        nulls = [c.nulls for c in chunks if c.nulls is not None]
        if len(nulls) == len(chunks):
            facts["nulls"] = sum(nulls)
        return facts

    def close(self) -> None:
        self._file.close()
        self._coarse.close()


class ParquetWriter(TableWriter):
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
        names = schema.names
        tensors = {names[i] for i in computed}
        if like is not None:
            like.check_kept(schema, tensors)
        self._groups = iter(like.group_rows()) if like else iter(())
        self._remaining = next(self._groups, None)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._schema = schema
        made: dict[str, Any] = {"compression": "snappy"}
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
        table = pa.Table.from_batches(self._waiting, self._schema)
        with prefixed(self._name, *FAULTS):
            self._writer.write_table(table, row_group_size=max(1, self._rows))
        self._waiting, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        if self._rows:
            self._flush()
        while self._remaining == 0:
            self._flush()
            self._remaining = next(self._groups, None)
        with prefixed(self._name, *FAULTS):
            self._writer.close()

    def abandon(self) -> None:
        self._sink.abandoned = True


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
    return [leaf.name for leaf in read_schema(arrow_elements(schema))[0]]


def _codec(name: str) -> str:
    # What Arrow has no codec for it does not read either, and says so in its turn
    names = {"uncompressed": "none", "lz4_raw": "lz4"}
    return names.get(name, name if name in CODECS and name != "lzo" else "none")

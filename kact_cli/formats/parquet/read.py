"""Row groups as record batches, decoded by pyarrow a few thousand rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kact_cli.errors import DataError, prefixed, reason
from kact_cli.files.descriptors import opened
from kact_cli.formats.parquet.footer import (
    Chunk,
    EncryptedError,
    Group,
    Leaf,
    Meta,
    NotByChunkError,
    chunk_meta,
    read_footer,
)
from kact_cli.formats.parquet.thrift import Struct
from kact_cli.messages import listed

if TYPE_CHECKING:
    from kact_cli.files.source import Source

READ_BYTES, READ_TOGETHER = 256 << 10, 4 << 20
"""Read at once from a column chunk; from all of them, where most are longer than that."""


CODECS = ("uncompressed", "snappy", "gzip", "lzo", "brotli", "lz4", "zstd", "lz4_raw")
ENCODINGS = ("PLAIN", "GROUP_VAR_INT", "PLAIN_DICTIONARY", "RLE", "BIT_PACKED",
             "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY",
             "RLE_DICTIONARY", "BYTE_STREAM_SPLIT")  # fmt: skip
"""Names of CompressionCodec and Encoding, by number."""


class ChunkFacts(NamedTuple):
    """What a footer says of a column chunk."""

    codec: str
    encodings: tuple[str, ...]
    values: int
    bytes: int
    memory: int
    """Bytes that its pages take uncompressed."""
    nulls: int | None
    dictionary: bool
    indexed: bool
    """Whether there is a column index."""

    @classmethod
    def of(cls, chunk: Struct) -> ChunkFacts:
        meta = chunk_meta(chunk)
        statistics = meta.struct(Meta.STATISTICS) or Struct()
        return cls(
            _name(CODECS, meta.integer(Meta.CODEC) or 0),
            tuple(_name(ENCODINGS, number) for number in meta.integers(Meta.ENCODINGS)),
            meta.integer(Meta.VALUES) or 0,
            meta.integer(Meta.COMPRESSED) or 0,
            meta.integer(Meta.UNCOMPRESSED) or 0,
            statistics.integer(3),
            bool(meta.integer(Meta.DICTIONARY)),
            Chunk.COLUMN_INDEX in chunk,
        )


def read_facts(source: Source) -> list[list[ChunkFacts]]:
    """Of each row group of a file, what the footer says of its column chunks.

    From kact's own reading of it: asked about a chunk whose description is broken, or encrypted,
    pyarrow ends the process. Raises DataError where the footer is either; there are no chunks
    where the columns lie in other files.
    """
    found: list[list[ChunkFacts]] = []

    def visit(_: Sequence[Leaf], group: Struct) -> None:
        found.append([ChunkFacts.of(chunk) for chunk in group.structs(Group.COLUMNS)])

    with prefixed(source.name, OSError), opened(source.openable(), os.O_RDONLY) as file:
        try:
            read_footer(file, visit)
        except EncryptedError as e:
            raise DataError(f"{e}, and kact has no keys") from e
        except NotByChunkError:
            return []
    return found


def check_nanoseconds(name: str, array: pa.Array) -> None:
    """Raise DataError for timestamps, read as microseconds, that nanoseconds have no room for.

    INT96 goes on to the year 5874897; Arrow reads it as nanoseconds, and from 1677 and 2262 on
    wraps around.
    """
    if pa.types.is_timestamp(array.type):
        ends = pc.min_max(array.cast(pa.int64())).as_py()
        for end in ends.values():
            if end is not None and not -(2**63) // 1000 < end < 2**63 // 1000:
                raise DataError(
                    f"column {name} holds INT96 timestamps before 1677 or after 2262; only Parquet "
                    "to Parquet, with types that do not change, keeps them"
                )
    elif array.type.num_fields:
        for child in array.flatten() if pa.types.is_struct(array.type) else [array.flatten()]:
            check_nanoseconds(name, child)


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)


class RowGroupReader:
    """A Parquet file open for decoding; for one thread at a time.

    `metadata` spares parsing the footer again. Raises DataError where the file is broken.
    """

    def __init__(
        self, path: str, metadata: pq.FileMetaData | None = None, *, coarse: bool = False
    ) -> None:
        """Open the file; `coarse`: its INT96 timestamps as microseconds, not as nanoseconds."""
        with _as_data_error():
            file = pa.OSFile(path)
            self.metadata: pq.FileMetaData = metadata or pq.read_metadata(file)
            self._file = pq.ParquetFile(
                file,
                metadata=self.metadata,
                pre_buffer=False,
                buffer_size=_buffer_size(self.metadata),
                page_checksum_verification=True,
                coerce_int96_timestamp_unit="us" if coarse else None,
            )
            self.schema: pa.Schema = self._file.schema_arrow

    def batches(
        self, row_group: int, columns: Sequence[str] | None, batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The columns (top-level, in the file's order; None: all) of a row group, some rows at a
        time.

        Raises DataError where pages are broken, checksums differ, or there are more or fewer rows
        than the footer says.
        """
        expected = self.metadata.row_group(row_group).num_rows
        rows = 0
        names = self.schema.names if columns is None else list(columns)
        with _as_data_error(f"row group {row_group}, column {listed(names)}: "):
            for batch in self._file.iter_batches(
                batch_rows,
                row_groups=[row_group],
                columns=None if columns is None else names,
                use_threads=False,
            ):
                rows += batch.num_rows
                # pyarrow takes a name for that of every column that begins with it and a dot
                yield batch if batch.schema.names == names else batch.select(names)
        if rows != expected:
            raise DataError(
                f"broken Parquet file: row group {row_group} has {rows:,} rows, "
                f"its footer says {expected:,}"
            )

    def close(self) -> None:
        self._file.close()


def _buffer_size(metadata: pq.FileMetaData) -> int:
    """Bytes read at once from each column chunk, so that all of them take little memory."""
    columns: int = max(1, metadata.num_columns)
    if metadata.num_row_groups and metadata.row_group(0).total_byte_size > READ_BYTES * columns:
        return max(1, min(READ_BYTES, READ_TOGETHER // columns))
    return READ_BYTES


@contextmanager
def _as_data_error(where: str = "") -> Iterator[None]:
    """What pyarrow says is wrong, as a DataError; whoever knows the file's name puts it before."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"broken Parquet file: {where}{reason(error)}") from error

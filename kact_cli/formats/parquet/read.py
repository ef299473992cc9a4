"""Row groups as record batches, decoded by pyarrow a few thousand rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from kact_cli.errors import DataError, reason
from kact_cli.messages import listed

READ_BYTES, READ_TOGETHER = 256 << 10, 4 << 20
"""Read at once from a column chunk; from all of them, where most are longer than that."""


class RowGroupReader:
    """A Parquet file open for decoding; for one thread at a time.

    `metadata` spares parsing the footer again. Raises DataError where the file is broken.
    """

    def __init__(self, path: str, metadata: pq.FileMetaData | None = None) -> None:
        with _as_data_error():
            file = pa.OSFile(path)
            self.metadata: pq.FileMetaData = metadata or pq.read_metadata(file)
            self._file = pq.ParquetFile(
                file,
                metadata=self.metadata,
                pre_buffer=False,
                buffer_size=_buffer_size(self.metadata),
                page_checksum_verification=True,
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

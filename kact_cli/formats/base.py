"""What reading and writing tables have in common, whatever the format."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from kact_cli.errors import DataError

if TYPE_CHECKING:
    from kact_cli.files.target import Target

BATCH_BYTES = 4 * 1024 * 1024
"""Of rows in memory at a time; a batch is the unit of reading, computing and writing."""


class TableReader(Protocol):
    """Reads a table as record batches, as often as is asked, unless it is a stream."""

    schema: pa.Schema

    @property
    def rows(self) -> int | None:
        """How many rows there are, where that is known before they are read."""
        ...

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows in order, of the columns at these positions (None: all).

        Raises DataError where the input is broken, or has not the rows that it claims.
        """
        ...

    def remarks(self) -> Iterator[str]:
        """What the user should know of the input, once all of it has been read."""
        ...

    def close(self) -> None: ...


class TableWriter(Protocol):
    """Writes record batches of one schema; nothing is complete before `close`."""

    def write(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...

    def abandon(self) -> None:
        """Write no more, and above all nothing that makes half a table look whole."""
        ...


class Sink(io.RawIOBase):
    """A target as the file object that pyarrow's writers take; in order, without seeking.

    pyarrow's Parquet writer writes a footer when it is destroyed, come what may; what is written to
    an `abandoned` sink is dropped.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._position = 0
        self.abandoned = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if not self.abandoned:
            self._target.write(view)
        self._position += len(view)
        return len(view)

    def tell(self) -> int:
        return self._position


def rows_of(schema: pa.Schema, bytes_: int = BATCH_BYTES) -> int:
    """How many rows of `schema` take about `bytes_`; wide tables get fewer."""
    return max(16, min(64 * 1024, bytes_ // max(1, sum(_width(f.type) for f in schema))))


def _width(type_: pa.DataType) -> int:
    """The bytes of a value, or a guess where that varies."""
    with contextlib.suppress(ValueError):
        return max(1, int(type_.bit_width) // 8)
    if pa.types.is_fixed_size_list(type_):
        return int(type_.list_size) * _width(type_.value_type)
    if isinstance(type_, pa.BaseExtensionType):
        return _width(type_.storage_type)
    return 32


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Turn what pyarrow raises while it reads or writes `name` into a DataError of one line."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as e:
        if isinstance(e, BrokenPipeError):
            raise
        said = " ".join(str(e).split())
        raise DataError(f"{name}: {said[:300]}") from e

"""What reading and writing tables have in common, whatever the format."""

from __future__ import annotations

import contextlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kact_cli.tables.arrays import block_of
from kact_cli.tables.columns import Column, ColumnBlock
from kact_cli.tables.fields import fields_of
from kact_cli.tables.schema import describe

if TYPE_CHECKING:
    from kact_cli.files.target import Target

BATCH_BYTES = 4 * 1024 * 1024
"""Of rows in memory at a time; a batch is the unit of reading, computing and writing."""


FAULTS = (pa.ArrowException, OSError, EOFError, UnicodeDecodeError)
"""What pyarrow raises where a file is broken, or cannot be read or written."""


def sound(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch, once all of its offsets, indices and lengths are known to lie within its buffers.

    Nothing but this stands between a broken file and reading memory that is another's: Arrow takes
    a file at its word, as it does the pages of Parquet. Nor has it nulls where its schema says
    that there are none. Raises ArrowInvalid.
    """
    batch.validate(full=True)
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if not field.nullable and column.null_count:
            raise pa.ArrowInvalid(f"column '{field.name}' holds nulls, and is said to hold none")
    return batch


class TableReader(ABC):
    """Reads a table as record batches, as often as is asked, unless it is a stream.

    A subclass takes a `Source` and `Options` and gives the schema and the batches; it says more
    where it knows more.
    """

    schema: pa.Schema
    rows: int | None = None
    """How many rows there are, where that is known before they are read."""
    nulls: Sequence[str] = ()
    """What is read as null, for people, where a value is text."""

    @abstractmethod
    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows in order, of the columns at these positions (None: all).

        Raises DataError where the input is broken, or has not the rows that it claims.
        """

    @property
    def columns(self) -> Sequence[Column]:
        """The columns, by what they hold."""
        return [describe(field) for field in self.schema]

    @property
    def fields(self) -> Sequence[Column]:
        """The columns, then the fields of structs in them: whatever may be named."""
        return [field.column for field in fields_of(self.schema)]

    def numbers(self, columns: Sequence[int]) -> Iterator[list[ColumnBlock]]:
        """The values of the `fields` at these positions, rising, some rows at a time."""
        every = fields_of(self.schema)
        fields = [every[i] for i in columns]
        sources = sorted({field.path[0] for field in fields})
        for batch in self.batches(sources):
            arrays = dict(zip(sources, batch.columns, strict=True))
            yield [block_of(field.of(arrays[field.path[0]])) for field in fields]

    def facts(self) -> dict[str, Any]:
        """What the file says of itself beside its columns, for `inspect`."""
        return {}

    def column_facts(self) -> list[dict[str, Any]]:
        """What the file says of each column beside its name and type, for `inspect`."""
        return [{} for _ in self.columns]

    def remarks(self) -> Iterator[str]:
        """What the user should know of the input, once all of it has been read."""
        yield from ()

    def close(self) -> None:
        """Let go of what the reader has opened beside the source."""
        return


class TableWriter(ABC):
    """Writes record batches of one schema; nothing is complete before `close`."""

    def prepared(self, batch: pa.RecordBatch) -> Any:
        """What `write` takes of a batch; several threads prepare batches at once."""
        return batch

    @abstractmethod
    def write(self, prepared: Any) -> None:
        """Write what `prepared` gave, in the order of the rows."""

    @abstractmethod
    def close(self) -> None:
        """Write what comes after the last batch."""

    @abstractmethod
    def abandon(self) -> None:
        """Write no more, and above all nothing that makes half a table look whole."""


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


def rows_of(schema: Iterable[pa.Field], bytes_: int = BATCH_BYTES) -> int:
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

"""A chain over CSV text, block by block, and CSV as a source and a target of record batches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kact_cli.errors import DataError, prefixed
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.formats.base import TableReader
from kact_cli.formats.csv.blocks import CsvBlock, iter_blocks
from kact_cli.formats.csv.cells import RecordError
from kact_cli.formats.csv.compression import codec_for, codec_of, compress, decompressed
from kact_cli.formats.csv.dialect import BOM, HEAD, Dialect, sniff
from kact_cli.formats.csv.dialect import Kind as CellKind
from kact_cli.formats.csv.parse import parse
from kact_cli.formats.declared import CSV
from kact_cli.formats.detect import by_head
from kact_cli.formats.foreign import HEAD_BYTES, refuse_foreign
from kact_cli.options import Options
from kact_cli.parallel.pools import in_order, thread_pool
from kact_cli.tables.columns import Column, ColumnBlock, Kind, select

if TYPE_CHECKING:
    import pyarrow as pa

Result = TypeVar("Result", bound=tuple[Any, ...])

KINDS = {
    CellKind.FLOAT: Kind.FLOAT,
    CellKind.INTEGER: Kind.INTEGER,
    CellKind.EMPTY: Kind.EMPTY,
    CellKind.TEXT: Kind.OTHER,
}


class Text:
    """An input of CSV, plain or compressed, its dialect found; blocks as often as is asked."""

    def __init__(self, source: Source, options: Options) -> None:
        self._source = source
        self._read, self._head = self._start()
        if options.source_format is None:
            self._refuse_other_formats()
        with prefixed(source.name):
            self.dialect: Dialect = sniff(
                self._head,
                delimiter=options.delimiter,
                header=options.header,
                whole=len(self._head) < HEAD,
            )
        self.columns = [
            Column(name, KINDS[kind], kind.value)
            for name, kind in zip(self.dialect.names, self.dialect.kinds, strict=True)
        ]

    def _start(self) -> tuple[Callable[[int], bytes], bytes]:
        """Reading from the start: the first bytes, and a function for the others."""
        self.codec = codec_of(self._source.peek(4))
        raw = self._source.reader()
        read = raw if self.codec is None else self._named(decompressed(raw, self.codec))
        head = b""
        while len(head) < HEAD and (more := read(HEAD - len(head))):
            head += more
        return read, head

    def _refuse_other_formats(self) -> None:
        """Raise DataError for what is compressed and no text; what is not, `detect` has seen."""
        if self.codec is None:
            return
        name, codec = self._source.name, self.codec
        inside = by_head(self._head[:16])
        if inside is not None and inside is not CSV:
            what = f"{name} is {inside.suffixes[0]} data compressed with {codec}"
            raise DataError(f"{what}; `{codec} -dc {name} | kact …` reads it")
        refuse_foreign(name, self._head[:HEAD_BYTES])

    def _named(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """`read`, its errors naming the file."""

        def named(count: int) -> bytes:
            with prefixed(self._source.name):
                return read(count)

        return named

    def blocks(self) -> Iterator[CsvBlock]:
        """Whole records, from the first. A stream has them once."""
        if self._head == b"" and self._source.size is not None:
            self._read, self._head = self._start()
        head, self._head = self._head[len(self.dialect.preamble) :], b""
        yield from iter_blocks(self._read, self.dialect, head=head)

    def in_order(
        self, function: Callable[[CsvBlock], Result], jobs: int | None
    ) -> Iterator[Result]:
        """`function` of each block, from several threads, in order.

        It returns the number of records first. Errors name the file, and the record in it.
        """
        before = 0
        with thread_pool(jobs) as (pool, count):
            try:
                for result in in_order(pool, count + 1, function, self.blocks()):
                    yield result
                    before += result[0]
            except RecordError as e:
                raise DataError(f"{self._source.name}: {e.after(before)}") from e


def overflowed(count: int) -> str:
    return f"{count:,} number{'s are' if count > 1 else ' is'} too large: read as inf"


def translates(source: str, target: str) -> bool:
    """Whether a CSV of the name `source` must not keep its delimiter, as a file called `target`.

    Names that say nothing, and .csv for other delimiters, keep what there is.
    """
    names = (_delimiter(source), _delimiter(target))
    return None not in names and names[0] != names[1]


def _delimiter(name: str) -> str | None:
    """The delimiter that a name stands for."""
    stem, suffix = os.path.splitext(name.lower())
    if codec_for(name) is not None:
        suffix = os.path.splitext(stem)[1]
    return {".csv": ",", ".tsv": "\t"}.get(suffix)


def writing(target: Target) -> Callable[[memoryview], None]:
    """Writes text to the target, compressed if its name asks for it."""
    codec = codec_for(target.name)
    if codec is None:
        return target.write
    return lambda data: target.write(memoryview(compress(data, codec))) if len(data) else None


class CsvReader(TableReader):
    """A CSV as record batches: the tensor's columns as floats, all others as text."""

    def __init__(self, source: Source, options: Options) -> None:
        self._text = Text(source, options)
        self._options = options
        self._dtype = options.compute_dtype or np.dtype(np.float64)
        self._overflows = 0
        self.header = self._text.dialect.preamble not in (b"", BOM)
        """Whether the first record names the columns."""

    @property
    def columns(self) -> Sequence[Column]:
        return self._text.columns

    @cached_property
    def _selected(self) -> list[int]:
        options = self._options
        return select(self.columns, options.columns, options.exclude, options.observer.warn)

    @cached_property
    def schema(self) -> pa.Schema:
        import pyarrow as pa

        float_, tensor = pa.from_numpy_dtype(self._dtype), set(self._selected)
        types = [float_ if i in tensor else pa.string() for i in range(len(self.columns))]
        return pa.schema([(c.name, t) for c, t in zip(self.columns, types, strict=True)])

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        from kact_cli.formats.csv.batches import to_record_batch

        def batch(block: CsvBlock) -> tuple[int, pa.RecordBatch, int]:
            parsed = parse(block, self._text.dialect, self._selected, self._dtype)
            return parsed.records, to_record_batch(parsed, parsed.numbers), parsed.overflows

        self._overflows = 0
        for _, found, overflows in self._text.in_order(batch, self._options.jobs):
            self._overflows += overflows
            yield found if columns is None else found.select(list(columns))

    def numbers(self, columns: Sequence[int]) -> Iterator[list[ColumnBlock]]:
        def read(block: CsvBlock) -> tuple[int, list[ColumnBlock]]:
            parsed = parse(block, self._text.dialect, list(columns))
            values, nulls = parsed.numbers, parsed.nulls
            return parsed.records, [
                ColumnBlock(values[:, i], None if nulls is None else nulls[:, i])
                for i in range(len(columns))
            ]

        for _, blocks in self._text.in_order(read, None):
            yield blocks

    def facts(self) -> dict[str, Any]:
        dialect = self._text.dialect
        endings = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}
        codec = self._text.codec
        return {
            "delimiter": dialect.delimiter.decode(),
            "header": self.header,
            "line_ending": endings[dialect.line_ending],
            "byte_order_mark": dialect.preamble.startswith(BOM),
            "compression": codec.value if codec else None,
        }

    def remarks(self) -> Iterator[str]:
        if self._overflows:
            yield overflowed(self._overflows)


class CsvWriter:
    """Record batches as CSV, compressed if the target's name asks for it.

    With a header, unless the user says no or the input is a CSV, `like`, that has none.
    """

    def __init__(
        self,
        target: Target,
        schema: pa.Schema,
        computed: Sequence[int],
        options: Options,
        like: TableReader | None = None,
    ) -> None:
        from kact_cli.formats.csv.batches import header

        self._write = writing(target)
        self._format = options.float_format
        named = _delimiter(target.name)
        # What the user says of a CSV is said of the input
        csv = like if isinstance(like, CsvReader) else None
        self._delimiter = (None if csv else options.delimiter) or named or ","
        if csv.header if csv else options.header is not False:
            self._write(memoryview(header(list(schema.names), self._delimiter)))

    def write(self, batch: pa.RecordBatch) -> None:
        from kact_cli.formats.csv.batches import to_csv

        if batch.num_rows:
            self._write(to_csv(batch, self._delimiter, float_format=self._format))

    def close(self) -> None:
        pass

    def abandon(self) -> None:
        pass

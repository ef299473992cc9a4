"""CSV as a source and a target of record batches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.formats.base import BATCH_BYTES, TableReader, TableWriter
from kact_cli.formats.csv.batches import header, to_csv, to_record_batch
from kact_cli.formats.csv.compression import codec_for, compress
from kact_cli.formats.csv.dialect import BOM
from kact_cli.formats.csv.parse import ParsedBlock
from kact_cli.formats.csv.spelling import NULL_NAMES
from kact_cli.formats.csv.text import CsvText
from kact_cli.options import Options
from kact_cli.tables.columns import Column, ColumnBlock


class CsvReader(TableReader):
    """A CSV as record batches: the tensor's columns as floats, all others as text."""

    def __init__(self, source: Source, options: Options) -> None:
        self._text = CsvText(source, options)
        self._jobs = options.jobs
        self._dtype = options.compute_dtype or np.dtype(np.float64)
        self.nulls = (*NULL_NAMES, *map(repr, options.nulls))

    @property
    def columns(self) -> Sequence[Column]:
        return self._text.columns

    @property
    def fields(self) -> Sequence[Column]:
        return self.columns

    @cached_property
    def _selected(self) -> tuple[list[int], list[int]]:
        return self._text.select()

    @cached_property
    def schema(self) -> pa.Schema:
        float_, tensor = pa.from_numpy_dtype(self._dtype), set(self._selected[0])
        types = [float_ if i in tensor else pa.string() for i in range(len(self.columns))]
        return pa.schema([(c.name, t) for c, t in zip(self.columns, types, strict=True)])

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        selected, unseen = self._selected
        for batch in self._text.each(
            lambda parsed: to_record_batch(parsed, parsed.numbers),
            selected,
            unseen=unseen,
            dtype=self._dtype,
            jobs=self._jobs,
        ):
            yield batch if columns is None else batch.select(list(columns))

    def numbers(self, columns: Sequence[int]) -> Iterator[list[ColumnBlock]]:
        return self._text.each(_column_blocks, columns)

    def facts(self) -> dict[str, Any]:
        dialect, codec = self._text.dialect, self._text.codec
        endings = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}
        return {
            "delimiter": dialect.delimiter.decode(),
            "header": dialect.header,
            "line_ending": endings[dialect.line_ending],
            "byte_order_mark": dialect.preamble.startswith(BOM),
            "compression": codec.value if codec else None,
        }

    def remarks(self) -> Iterator[str]:
        return self._text.remarks()


def _column_blocks(parsed: ParsedBlock) -> list[ColumnBlock]:
    values, nulls = parsed.numbers, parsed.nulls
    return [
        ColumnBlock(values[:, i], None if nulls is None else nulls[:, i])
        for i in range(values.shape[1])
    ]


class CsvWriter(TableWriter):
    """Record batches as CSV, compressed if the target's name asks for it.

    With a header, unless the user says no. From CSV to CSV goes another way.
    """

    def __init__(
        self,
        target: Target,
        schema: pa.Schema,
        computed: Sequence[int],
        options: Options,
        like: TableReader | None = None,
    ) -> None:
        self._write = target.write
        self._encode = encoder(target)
        self._format, self._decimal = options.float_format, options.decimal
        self._delimiter = options.delimiter or _delimiter_for(target, self._decimal)
        if options.header is not False:
            names = header(list(schema.names), self._delimiter)
            self._write(self._encode(memoryview(names)))

    def prepared(self, batch: pa.RecordBatch) -> list[memoryview]:
        """The text of the rows, compressed if it is to be: the most of the work."""
        each = _rows_of(batch)
        texts = []
        for start in range(0, batch.num_rows, each):
            rows = batch.slice(start, each)
            text = to_csv(rows, self._delimiter, float_format=self._format, decimal=self._decimal)
            texts.append(self._encode(text))
        return texts

    def write(self, prepared: list[memoryview]) -> None:
        for text in prepared:
            self._write(text)

    def close(self) -> None:
        pass

    def abandon(self) -> None:
        pass


def _rows_of(batch: pa.RecordBatch) -> int:
    """How many rows to write at once: a batch may be large, and its dictionaries small."""
    row = batch.nbytes // max(1, batch.num_rows)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and _is_text(column.type.value_type):
            row += pc.max(pc.binary_length(column.dictionary)).as_py() or 0
    return max(1, 4 * BATCH_BYTES // max(1, int(row)))


def _is_text(type_: pa.DataType) -> bool:
    t = pa.types
    return any(f(type_) for f in (t.is_string, t.is_large_string, t.is_binary, t.is_large_binary))


def new_delimiter(source: Source, target: Target, decimal: str) -> str | None:
    """The delimiter that a CSV gets which must not keep its own: the files' names say another.

    None where names say nothing, and of .csv for other delimiters: they keep what there is.
    """
    names = (_named_delimiter(source), _named_delimiter(target))
    return None if None in names or names[0] == names[1] else _delimiter_for(target, decimal)


def _delimiter_for(target: Target, decimal: str) -> str:
    named = _named_delimiter(target) or ","
    # Beside decimal commas, as spreadsheets have it
    return ";" if named == decimal else named


def _named_delimiter(file: Source | Target) -> str | None:
    """The delimiter that a file's name stands for."""
    name = file.name.lower()
    stem, suffix = os.path.splitext(name)
    if codec_for(name) is not None:
        suffix = os.path.splitext(stem)[1]
    return {".csv": ",", ".tsv": "\t"}.get(suffix)


def encoder(target: Target) -> Callable[[memoryview], memoryview]:
    """What makes the target's bytes of text: compressed if its name asks for it. Any thread may."""
    codec = codec_for(target.name)
    if codec is None:
        return lambda text: text
    return lambda text: memoryview(compress(text, codec)) if len(text) else text

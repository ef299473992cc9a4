"""CSV text from and to Arrow record batches, for the conversion of tables between formats.

Going from CSV, the selected columns are floats and all others text: nothing is guessed. Coming
from Arrow, a cell is quoted only if it has to be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kact_cli.errors import DataError
from kact_cli.formats.csv.cells import Records, locate, piece_offsets
from kact_cli.formats.csv.dialect import Dialect
from kact_cli.formats.csv.floats import written
from kact_cli.formats.csv.parse import ParsedBlock
from kact_cli.tables.arrays import arrow_array, text_array, values

Bytes = NDArray[np.uint8]

_QUOTE = ord('"')
EMPTY, QUOTE, QUOTED_NOTHING = text_array(["", '"', '""'])
NULL = pa.nulls(1, pa.string())[0]


def to_record_batch(parsed: ParsedBlock, numbers: NDArray[Any]) -> pa.RecordBatch:
    """The block as a batch: `numbers` (records, columns) as floats, every other column as text.

    An empty cell is null, a quoted empty one the empty string. Names are those of the header.
    """
    names = parsed.dialect.names
    tensor = {int(column): i for i, column in enumerate(parsed.columns)}
    others = np.array([i for i in range(len(names)) if i not in tensor], np.intp)
    texts = dict(zip(others.tolist(), _text_columns(parsed.located, others), strict=True))
    arrays = []
    for column in range(len(names)):
        if column in tensor:
            i = tensor[column]
            null = None if parsed.nulls is None else parsed.nulls[:, i]
            arrays.append(arrow_array(numbers[:, i], null))
        else:
            arrays.append(texts[column])
    return pa.RecordBatch.from_arrays(arrays, names=list(names))


def translated(text: memoryview, dialect: Dialect, width: int, delimiter: str) -> memoryview:
    """Whole records of `width` cells, written in `dialect`, as kact writes them: with that
    delimiter, line feeds, and quotes where they must be."""
    data, end = text.tobytes(), dialect.record_end
    if not data:
        return text
    located = locate(data.removesuffix(end) + end, dialect.delimiter, end, width)
    columns = _text_columns(located, np.arange(width))
    return to_csv(pa.RecordBatch.from_arrays(columns, names=[""] * width), delimiter)


def _text_columns(located: Records, columns: NDArray[np.intp]) -> list[pa.StringArray]:
    data = located.data
    cells = located.cells(columns)
    bytes_ = np.frombuffer(data, np.uint8)
    arrays = []
    for i in range(len(columns)):
        starts, ends = cells.starts[:, i].copy(), cells.ends[:, i].copy()
        null = starts == ends
        quoted = ~null & (bytes_[starts] == _QUOTE) & (bytes_[ends - 1] == _QUOTE)
        quoted &= ends - starts >= 2
        starts += quoted
        ends -= quoted
        array = _pieces(data, starts, ends)
        if quoted.any():
            array = pc.if_else(arrow_array(quoted), pc.replace_substring(array, '""', '"'), array)
        if null.any():
            array = pc.if_else(arrow_array(null), NULL, array)
        arrays.append(array)
    return arrays


def _pieces(
    data: bytes | Bytes, starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> pa.StringArray:
    buffers = [None, pa.py_buffer(piece_offsets(starts, ends)), pa.py_buffer(data)]
    pieces = pa.Array.from_buffers(pa.string(), 2 * len(starts), buffers)
    return pieces.take(arrow_array(np.arange(0, 2 * len(starts), 2, dtype=np.int32)))


def header(names: list[str], delimiter: str = ",", line_ending: str = "\n") -> bytes:
    """The header record, its names quoted where they must be."""
    cells = _quoted(text_array(names), delimiter).to_pylist()
    if len(cells) > 1:
        cells = ["" if cell == '""' else cell for cell in cells]
    return (delimiter.join(cells) + line_ending).encode()


def translated_header(dialect: Dialect, names: Sequence[str], delimiter: str) -> bytes:
    """What precedes the first record where another dialect is written: the header, if there is
    one, with `names` added."""
    return header([*dialect.names, *names], delimiter) if dialect.header else b""


def longer_preamble(dialect: Dialect, names: Sequence[str]) -> bytes:
    """The preamble of a CSV, `names` added to its header, if it has one: quoted where they must be,
    or where all of them are."""
    if not dialect.header:
        return dialect.preamble
    delimiter = dialect.delimiter.decode()
    cells = _quoted(text_array(names), delimiter).to_pylist()
    if dialect.quoted:
        cells = [cell if cell.startswith('"') else f'"{cell}"' for cell in cells]
    kept = dialect.preamble.removesuffix(dialect.record_end)
    if dialect.record_end == b"\n":
        kept = kept.removesuffix(b"\r")
    more = "".join(delimiter + cell for cell in cells).encode()
    return kept + more + dialect.preamble[len(kept) :]


def to_csv(
    batch: pa.RecordBatch,
    delimiter: str = ",",
    line_ending: str = "\n",
    float_format: str | None = None,
    decimal: str = ".",
) -> memoryview:
    """The batch as CSV text without a header: null as an empty cell, quotes where they must be.

    Floats are the shortest text that reads back the same, or `format(x, float_format)`, with the
    `decimal` mark; all else is as Arrow casts it to text. In a table of one column a null is `""`:
    many readers skip blank lines.
    Raises DataError for columns that no cell can hold: lists, structs.
    """
    columns = [
        _cells(column, name, delimiter, float_format, decimal)
        for column, name in zip(batch.columns, batch.schema.names, strict=True)
    ]
    if len(columns) == 1:
        blank = pc.equal(pc.fill_null(columns[0], EMPTY), EMPTY)
        columns = [pc.if_else(blank, QUOTED_NOTHING, columns[0])]
    between, end = text_array([delimiter, line_ending])
    options = {"null_handling": "replace", "null_replacement": ""}
    records = pc.binary_join_element_wise(*columns, between, **options)
    lines = pc.binary_join_element_wise(records, EMPTY, end)
    offsets = np.frombuffer(lines.buffers()[1], np.int32)
    text = lines.buffers()[2]
    return memoryview(text)[: offsets[len(lines)]] if text is not None else memoryview(b"")


def _cells(
    column: pa.Array, name: str, delimiter: str, float_format: str | None, decimal: str
) -> pa.StringArray:
    if isinstance(column, pa.ExtensionArray):
        if column.type.extension_name == "arrow.uuid":  # its bytes may happen to be text
            texts = text_array([str(value) for value in column.to_pylist()])
            column = pc.if_else(column.is_valid(), texts, NULL)
        else:
            column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        return _float_cells(column, delimiter, float_format, decimal)
    try:
        cells = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise DataError(
            f"column {name!r} ({column.type}) does not fit into CSV, whose cells are text:"
            " write Parquet or Arrow"
        ) from None
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        return cells
    return _quoted(cells, delimiter)


def _float_cells(
    column: pa.Array, delimiter: str, float_format: str | None, decimal: str
) -> pa.StringArray:
    texts = written(values(column), float_format, delimiter.encode(), decimal)
    cells = _pieces(texts.data, texts.starts + 1, texts.ends)
    if column.null_count:
        cells = pc.if_else(column.is_valid(), cells, NULL)
    return cells


def _quoted(cells: pa.StringArray, delimiter: str) -> pa.StringArray:
    """The cells, with quotes around those that would not read back the same without.

    That is those with a quote, a delimiter or a line ending, and the empty string, which is not
    null.
    """
    needs = pc.match_substring_regex(cells, f'["\r\n{re.escape(delimiter)}]|^$')
    if not pc.any(needs).as_py():
        return cells
    doubled = pc.replace_substring(cells, '"', '""')
    return pc.if_else(needs, pc.binary_join_element_wise(QUOTE, doubled, QUOTE, EMPTY), cells)

"""A .npy of one or two axes as a table, and the numeric columns of a table as a .npy.

Rows are the first axis; the columns are named c0, c1, ... A null becomes NaN.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from kact_cli.engine.bfloat16 import as_floats
from kact_cli.errors import DataError, UsageError
from kact_cli.files.source import Source
from kact_cli.files.target import Target, as_regular_file, give_up
from kact_cli.formats.base import TableReader, TableWriter, rows_of
from kact_cli.formats.npy import Header, NpyTensor, write_header
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.tables.arrays import Leaves, arrow_array, null_mask, values
from kact_cli.tables.schema import arrow_type, is_list, item_shape, numpy_dtype, storage_of
from kact_cli.types import BFLOAT16, Array

COLUMNS = 100_000
"""The most columns that a tensor may have to be written as a table."""
HEADER_BYTES = 512
"""Room for the header, whose shape is known last; one of AXES axes takes some 300."""
AXES = 64
"""The most that a NumPy array has."""


class NpyTableReader(TableReader):
    """The rows of a tensor of one or two axes as record batches."""

    def __init__(self, source: Source, options: Options) -> None:
        self._tensor = NpyTensor.open(source, options.source_dtype)
        self._opened = contextlib.ExitStack()
        shape, dtype = self._tensor.header.shape, self._tensor.header.dtype
        if len(shape) not in (1, 2):
            raise UsageError(
                f"{source.name}: a tensor of shape {shape} is no table; one or two axes are needed"
            )
        if shape[1:] > (COLUMNS,):
            raise UsageError(
                f"{source.name}: a table of {shape[1]:,} columns; at most {COLUMNS:,} are possible"
            )
        self.rows: int = shape[0]
        self._rows = self._tensor
        if self._tensor.header.fortran_order and 0 not in shape:
            # Columns lie one after another, and rows are read
            self._rows = self._tensor.seekable(self._opened)
        width = shape[1] if len(shape) == 2 else 1
        type_ = pa.float32() if dtype == BFLOAT16 else arrow_type(dtype)
        self.schema = pa.schema([(f"c{i}", type_) for i in range(width)])

    def batches(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        each, width = rows_of(self.schema), len(self.schema)
        axes = len(self._tensor.header.shape)
        for first in range(0, self.rows, each):
            count = min(each, self.rows - first)
            block = as_floats(self._rows.box((first, 0)[:axes], (count, width)[:axes]))
            arrays = [arrow_array(column) for column in block.reshape(count, width).T]
            batch = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
            yield batch if columns is None else batch.select(list(columns))

    def remarks(self) -> Iterator[str]:
        if extra := self._tensor.source.after(self._tensor.header.end):
            yield f"{extra} after the tensor were ignored"

    def close(self) -> None:
        self._opened.close()


class NpyTableWriter(TableWriter):
    """The columns at some positions as one tensor (rows, columns), in the widest of their dtypes.

    One column of lists of one length is a tensor (rows, length), one of tensors (rows, *shape).
    Raises UsageError for lists among other columns, DataError for lists of different lengths.
    """

    def __init__(
        self,
        target: Target,
        schema: pa.Schema,
        computed: Sequence[int],
        options: Options,
        like: TableReader | None = None,
    ) -> None:
        self._columns = columns = list(computed)
        chosen = set(columns)
        left = [name for i, name in enumerate(schema.names) if i not in chosen]
        if left:
            options.observer.note(f"a .npy holds numbers only; left out: {listed(left)}")
        types = [schema.field(i).type for i in columns]
        self._lists = any(is_list(storage_of(t)) for t in types)
        if self._lists and len(types) > 1:
            names = listed([schema.names[i] for i in columns])
            raise UsageError(f"a .npy is one tensor; choose lists or numbers of: {names}")
        if self._lists and None in (item := item_shape(types[0])[0]) and len(item) > 1:
            raise UsageError(
                f"column '{schema.names[columns[0]]}': lists of lists of any length"
                " are no .npy tensor"
            )
        self._item: tuple[int, ...] | None = None if self._lists else (len(types),)
        self._dtype = np.result_type(*(numpy_dtype(t) for t in types))
        self._rows = 0
        self._stack = contextlib.ExitStack()
        self._out = self._stack.enter_context(as_regular_file(target))
        self._out.write(bytes(HEADER_BYTES))

    def write(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        block = self._list(batch) if self._lists else self._scalars(batch)
        self._out.write(block)
        self._rows += batch.num_rows

    def _scalars(self, batch: pa.RecordBatch) -> Array:
        block = np.empty((batch.num_rows, len(self._columns)), self._dtype)
        names = batch.schema.names
        for column, i in zip(block.T, self._columns, strict=True):
            column[:] = values(batch.column(i))
            self._blank(column, null_mask(batch.column(i)), names[i])
        return block

    def _list(self, batch: pa.RecordBatch) -> Array:
        name = batch.schema.names[self._columns[0]]
        leaves = Leaves.of(batch.column(self._columns[0]))
        item, permutation = item_shape(batch.schema.field(self._columns[0]).type)
        if len(item) >= AXES:
            raise DataError(f"column '{name}': {1 + len(item)} axes are more than a .npy can have")
        if leaves.offsets is not None:
            lengths = np.unique(np.diff(leaves.offsets))
            item = (int(lengths[0]),)
            if len(lengths) != 1 or self._item not in (None, item):
                raise DataError(f"column '{name}': lists of different lengths are no .npy tensor")
        shape = tuple(n or 0 for n in item)
        block = np.array(values(leaves.values), self._dtype)
        self._blank(block, leaves.nulls(), name)
        if permutation is not None:
            # In memory a tensor's axes may lie in another order than its own
            block = block.reshape(-1, *shape).transpose(0, *(1 + p for p in permutation))
            shape = block.shape[1:]
        self._item = shape
        return np.ascontiguousarray(block)

    def _blank(self, data: Array, nulls: Array | None, name: str) -> None:
        if nulls is None:
            return
        if self._dtype.kind != "f":
            raise DataError(f"column '{name}' has nulls, which a .npy of integers cannot hold")
        data[nulls] = np.nan

    def close(self) -> None:
        header = Header(self._dtype, (self._rows, *(self._item or (0,))), False)
        self._out.write(write_header(header, HEADER_BYTES), 0)
        self._stack.close()

    def abandon(self) -> None:
        # An error, so that what there is of the tensor is not copied into a pipe
        give_up(self._stack)

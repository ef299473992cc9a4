"""A chain over a table: which columns are the tensor, and what becomes of the schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kact_cli.chain import Chain
from kact_cli.engine.advice import SAMPLE, FirstLook, advise_table
from kact_cli.options import Options
from kact_cli.tables.arrays import (
    describe,
    is_list,
    item_shape,
    null_mask,
    numpy_dtype,
    result_type,
    values,
    with_values,
)
from kact_cli.tables.columns import Kind, added, excluded, select
from kact_cli.tables.compute import compute, merge, reduce
from kact_cli.tables.parts import Part, part_of_list, parts_of_columns
from kact_cli.types import State


@dataclass(frozen=True)
class TableJob:
    """Everything that is decided from the schema, before any row is read."""

    schema: pa.Schema
    parts: tuple[Part, ...]
    result: pa.Schema
    computed: Mapping[int, int]
    """Where in `result` that is which comes of each selected column, by its position: in the
    column's place, or after the last one."""
    options: Options

    @classmethod
    def make(cls, chain: Chain, schema: pa.Schema, options: Options) -> TableJob:
        """Select columns and plan; raises UsageError for a column or axis that there is not."""
        columns = [describe(field) for field in schema]
        selected = select(columns, options.columns, options.exclude, options.observer.warn)
        kinds: dict[str, Any] = {
            "dtype": options.dtype,
            "compute_dtype": options.compute_dtype,
            "exact": options.exact,
        }
        scalars = [i for i in selected if columns[i].kind is not Kind.LIST]
        parts = []
        if scalars:
            dtypes = [numpy_dtype(schema.field(i).type) for i in scalars]
            parts += parts_of_columns(chain, scalars, dtypes, columnar=True, **kinds)
        for i in selected:
            if columns[i].kind is Kind.LIST:
                type_ = schema.field(i).type
                item, permutation = item_shape(type_)
                parts.append(
                    part_of_list(
                        chain,
                        i,
                        columns[i].name,
                        item,
                        numpy_dtype(type_),
                        permutation=permutation,
                        **kinds,
                    )
                )
        advise_table(chain, [columns[i].name for i in scalars], options)
        fields, computed = list(schema), {i: i for i in selected}
        for part in parts:
            for i, dtype in zip(part.columns, part.results, strict=True):
                fields[i] = fields[i].with_type(result_type(fields[i].type, dtype))
        if options.suffix is not None:
            names = added(columns, selected, options.suffix)
            new = [_new_field(fields[i], name) for i, name in zip(selected, names, strict=True)]
            fields = [*schema, *new]
            computed = {i: len(schema) + n for n, i in enumerate(selected)}
        return cls(schema, tuple(parts), pa.schema(fields, schema.metadata), computed, options)

    def dropped(self, options: Options) -> list[str]:
        """The columns that are not computed though nobody left them out, where none passes."""
        if options.columns:
            return []
        columns = [describe(field) for field in self.schema]
        chosen = {*self.selected, *excluded(columns, options.exclude)}
        return [column.name for i, column in enumerate(columns) if i not in chosen]

    @property
    def selected(self) -> tuple[int, ...]:
        """The positions of the columns that are computed, rising."""
        return tuple(self.computed)

    @property
    def passes(self) -> int:
        """How often the rows are read: once, and once more for each reduction down the rows."""
        return 1 + max((len(part.streamed) for part in self.parts), default=0)

    @property
    def across(self) -> bool:
        """Whether the columns of a row have to be computed together."""
        return any(len(part.columns) > 1 for part in self.parts)

    @property
    def streamed_columns(self) -> list[int]:
        """The columns that every pass but the last has to read."""
        return sorted(i for part in self.parts if part.streamed for i in part.columns)


def _new_field(field: pa.Field, name: str) -> pa.Field:
    """The field of a result that is added: what is noted of its source is not noted of it."""
    type_ = field.type
    if is_list(type_) and not isinstance(type_, pa.BaseExtensionType):
        inner = type_.value_field
        type_ = with_values(type_, _new_field(inner, inner.name))
    return pa.field(name, type_, field.nullable)


class TableRun:
    """A job in progress: the states found so far."""

    def __init__(self, job: TableJob) -> None:
        self.job = job
        self.states: list[State] = [{} for _ in job.parts]
        self._looks = [FirstLook(part.program.chain, job.options) for part in job.parts]

    def collect(self, passed: int, batches: Iterable[Sequence[pa.Array]]) -> None:
        """Pass number `passed` over the table, whose batches are the `streamed_columns`."""
        order = {column: n for n, column in enumerate(self.job.streamed_columns)}
        found: list[State] = [{} for _ in self.job.parts]
        for batch in batches:
            for part, state, new in zip(self.job.parts, self.states, found, strict=True):
                if passed >= len(part.streamed):
                    continue
                reduction = part.streamed[passed]
                arrays = [batch[order[i]] for i in part.columns]
                more = reduce(part, arrays, reduction, state)
                if more is not None:
                    old = new.get(reduction.step)
                    new[reduction.step] = more if old is None else merge(part, reduction, old, more)
        for state, new in zip(self.states, found, strict=True):
            state.update(new)

    def look(self, number: int, arrays: Sequence[pa.Array]) -> None:
        """Warn of what the chain makes of the first rows of part `number`, once."""
        look = self._looks[number]
        if look.pending and self.job.parts[number].item is None:
            first = [a.slice(0, max(1, SAMPLE // len(arrays))) for a in arrays]
            masks = [null_mask(a) for a in first]
            none = np.zeros(len(first[0]), bool)
            nulls = np.column_stack([none if mask is None else mask for mask in masks])
            look(np.column_stack([values(a) for a in first]), nulls)

    def transform(self, number: int, arrays: Sequence[pa.Array]) -> list[pa.Array]:
        """The columns of part `number`, computed."""
        part = self.job.parts[number]
        types = [self.job.result.field(self.job.computed[i]).type for i in part.columns]
        if len(arrays[0]) == 0:
            return [pa.nulls(0, t) for t in types]
        self.look(number, arrays)
        return compute(part, arrays, types, self.states[number])

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch of the whole table, computed: rows of the schema `result`."""
        arrays = dict(enumerate(batch.columns))
        done = self._computed(arrays)
        arrays |= {self.job.computed[i]: array for i, array in done.items()}
        columns = [arrays[i] for i in range(len(self.job.result))]
        return pa.RecordBatch.from_arrays(columns, schema=self.job.result)

    def named(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """What comes of each column of a batch of some whole parts; the names are the schema's."""
        positions = [self.job.schema.get_field_index(name) for name in batch.schema.names]
        done = self._computed(dict(zip(positions, batch.columns, strict=True)))
        return [done[i] for i in positions]

    def _computed(self, arrays: Mapping[int, pa.Array]) -> dict[int, pa.Array]:
        """What comes of the columns of each part that is there, by their positions."""
        done: dict[int, pa.Array] = {}
        for number, part in enumerate(self.job.parts):
            if part.columns[0] in arrays:
                made = self.transform(number, [arrays[i] for i in part.columns])
                done.update(zip(part.columns, made, strict=True))
        return done

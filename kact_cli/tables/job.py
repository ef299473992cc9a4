"""A chain over a table: which columns are the tensor, and what becomes of the schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kact_cli.chain import Chain
from kact_cli.engine.advice import SAMPLE, FirstLook, advise_table
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.tables.arrays import null_mask, values
from kact_cli.tables.columns import added, columns_named, excluded, select
from kact_cli.tables.compute import compute, merge, reduce
from kact_cli.tables.fields import Field, fields_of
from kact_cli.tables.metadata import true_metadata
from kact_cli.tables.parts import Part, part_of_list, parts_of_columns
from kact_cli.tables.schema import (
    is_list,
    item_shape,
    leaf_type,
    numpy_dtype,
    plain,
    result_type,
    storage_of,
)
from kact_cli.types import State


@dataclass(frozen=True)
class TableJob:
    """Everything that is decided from the schema, before any row is read."""

    schema: pa.Schema
    fields: tuple[Field, ...]
    """The columns in order, then the fields of structs in them; parts name these by their
    positions."""
    parts: tuple[Part, ...]
    types: Mapping[int, pa.DataType]
    """What comes of each selected field, by its position, rising."""
    result: pa.Schema
    computed: Mapping[int, int]
    """Where in `result` it is: in the column's place, or after the last one."""
    options: Options

    @classmethod
    def make(cls, chain: Chain, schema: pa.Schema, options: Options) -> TableJob:
        """Select columns and plan; raises UsageError for a column or axis that there is not."""
        fields = fields_of(schema)
        columns = [field.column for field in fields]
        selected = select(columns, options.columns, options.exclude, options.observer.warn)
        lists = [i for i in selected if is_list(storage_of(fields[i].type))]
        scalars = [i for i in selected if i not in lists]
        kinds: dict[str, Any] = {
            "dtype": options.dtype,
            "compute_dtype": options.compute_dtype,
            "exact": options.exact,
        }
        parts = []
        if scalars:
            dtypes = [numpy_dtype(fields[i].type) for i in scalars]
            parts += parts_of_columns(chain, scalars, dtypes, columnar=True, **kinds)
        for i in lists:
            item, permutation = item_shape(fields[i].type)
            dtype = numpy_dtype(fields[i].type)
            name = columns[i].name
            parts.append(
                part_of_list(chain, i, name, item, dtype, permutation=permutation, **kinds)
            )
        advise_table(chain, [columns[i].name for i in scalars], options)
        results = {i: d for part in parts for i, d in zip(part.columns, part.results, strict=True)}
        types = {i: result_type(fields[i].type, results[i]) for i in selected}
        _say_of_decimals([fields[i] for i in selected], options)
        result, computed = _result(schema, fields, types, options)
        return cls(schema, tuple(fields), tuple(parts), types, result, computed, options)

    def dropped(self, options: Options) -> list[str]:
        """The columns that are not computed though nobody left them out, where none passes."""
        if options.columns:
            return []
        left_out = excluded([field.column for field in self.fields], options.exclude)
        chosen = {*self.sources, *left_out}
        return [name for i, name in enumerate(self.schema.names) if i not in chosen]

    @property
    def selected(self) -> tuple[int, ...]:
        """The positions of the fields that are computed, rising."""
        return tuple(self.computed)

    @property
    def sources(self) -> list[int]:
        """The positions of the columns that these are in, rising."""
        return sorted({self.fields[i].path[0] for i in self.selected})

    @property
    def names(self) -> list[str]:
        """The names of the fields that are computed."""
        return [self.fields[i].column.name for i in self.selected]

    def inputs(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """What is computed, in a batch of the schema."""
        return [self.fields[i].of(batch.column(self.fields[i].path[0])) for i in self.selected]

    def outputs(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """What came of it, in a batch of the schema `result`."""
        if self.options.suffix is None:
            return self.inputs(batch)
        return [batch.column(i) for i in self.computed.values()]

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
        streamed = {i for part in self.parts if part.streamed for i in part.columns}
        return sorted({self.fields[i].path[0] for i in streamed})


def _result(
    schema: pa.Schema, fields: Sequence[Field], types: Mapping[int, pa.DataType], options: Options
) -> tuple[pa.Schema, dict[int, int]]:
    """The schema of the results, of `types`, in their sources' places or added; and where each is.

    Raises UsageError for a name that there is already.
    """
    made = list(schema)
    if options.suffix is None:
        for i, type_ in types.items():
            column = fields[i].path[0]
            made[column] = made[column].with_type(fields[i].typed(made[column].type, type_))
        computed = {i: fields[i].path[0] for i in types}
    else:
        names = added([field.column for field in fields], types, options.suffix)
        for (i, type_), name in zip(types.items(), names, strict=True):
            made.append(pa.field(name, plain(type_), fields[i].nullable))
        computed = {i: len(schema) + n for n, i in enumerate(types)}
    result = pa.schema(made)
    metadata, left_out = true_metadata(
        schema, result, [(fields[i].path[0], at) for i, at in computed.items()]
    )
    if left_out:
        options.observer.warn(
            f"the metadata {listed(left_out)} are left out, which say what the columns were"
        )
    return pa.schema(made, metadata), computed


def _say_of_decimals(fields: Sequence[Field], options: Options) -> None:
    """Say that the results of decimals are none, unless the user has chosen what they are."""
    names = [f.column.name for f in fields if pa.types.is_decimal(leaf_type(f.type))]
    if names and options.dtype is None:
        options.observer.warn(
            f"{columns_named(names)} holds decimals, whose results are float64; "
            "--dtype float64 says that this is meant"
        )


class TableRun:
    """A job in progress: the states found so far."""

    def __init__(self, job: TableJob) -> None:
        self.job = job
        self.states: list[State] = [{} for _ in job.parts]
        self._looks = [FirstLook(part.program.chain, job.options) for part in job.parts]

    def collect(self, passed: int, batches: Iterable[Sequence[pa.Array]]) -> None:
        """Pass number `passed` over the table, whose batches are the `streamed_columns`."""
        streamed = self.job.streamed_columns
        found: list[State] = [{} for _ in self.job.parts]
        for batch in batches:
            columns = dict(zip(streamed, batch, strict=True))
            for number, part in enumerate(self.job.parts):
                if passed >= len(part.streamed):
                    continue
                reduction, state, new = part.streamed[passed], self.states[number], found[number]
                more = reduce(part, self.taken(number, columns), reduction, state)
                if more is not None:
                    old = new.get(reduction.step)
                    new[reduction.step] = more if old is None else merge(part, reduction, old, more)
        for state, new in zip(self.states, found, strict=True):
            state.update(new)

    def look(
        self, number: int, arrays: Sequence[pa.Array], results: Sequence[pa.Array] | None = None
    ) -> None:
        """Warn of what the chain makes of the first rows of part `number`, once.

        Where a chain without axes has made `results` of them already, and none is infinite, there
        is nothing to warn of: computing them again would take as long in many columns as all rows.
        """
        part, look = self.job.parts[number], self._looks[number]
        if not look.pending or part.item is not None:
            return
        count = max(1, SAMPLE // len(arrays))
        made = [values(r.slice(0, count)) for r in results or ()]
        if made and not part.reductions and not any(np.isinf(m).any() for m in made):
            look.pending = False
            return
        first = [a.slice(0, count) for a in arrays]
        masks = [null_mask(a) for a in first]
        none = np.zeros(len(first[0]), bool)
        nulls = np.column_stack([none if mask is None else mask for mask in masks])
        look(np.column_stack([values(a) for a in first]), nulls)

    def transform(self, number: int, arrays: Sequence[pa.Array]) -> list[pa.Array]:
        """The columns of part `number`, computed."""
        part = self.job.parts[number]
        types = [self.job.types[i] for i in part.columns]
        if len(arrays[0]) == 0:
            return [pa.nulls(0, t) for t in types]
        results = compute(part, arrays, types, self.states[number])
        self.look(number, arrays, results)
        return results

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch of the whole table, computed: rows of the schema `result`."""
        columns = batch.columns
        for i, array in self._computed(dict(enumerate(columns))).items():
            at = self.job.computed[i]
            if at == len(columns):
                columns.append(array)
            else:
                columns[at] = self.job.fields[i].put(columns[at], array)
        return pa.RecordBatch.from_arrays(columns, schema=self.job.result)

    def columns(self, positions: Sequence[int], arrays: Sequence[pa.Array]) -> list[pa.Array]:
        """What comes of some rows of the columns of some whole parts, by their positions."""
        done = self._computed(dict(zip(positions, arrays, strict=True)))
        return [done[i] for i in positions]

    def _computed(self, columns: Mapping[int, pa.Array]) -> dict[int, pa.Array]:
        """What comes of each field of the parts that are in `columns`, in the order of fields."""
        done: dict[int, pa.Array] = {}
        for number, part in enumerate(self.job.parts):
            if self.job.fields[part.columns[0]].path[0] in columns:
                made = self.transform(number, self.taken(number, columns))
                done.update(zip(part.columns, made, strict=True))
        return dict(sorted(done.items()))

    def taken(self, number: int, columns: Mapping[int, pa.Array]) -> list[pa.Array]:
        """The values that part `number` is made of, out of columns by their positions."""
        fields = [self.job.fields[i] for i in self.job.parts[number].columns]
        return [field.of(columns[field.path[0]]) for field in fields]

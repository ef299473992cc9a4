"""A look at what a chain makes of a file: some rows, and the statistics of a bounded sample.

A sample holds whole rows, and a row comes out right by itself unless an activation works down the
rows (along axis 0). There it takes the whole tensor, or none: a preview never shows numbers that
the output would not have.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kact_cli.chain import Chain, resolve_axes
from kact_cli.engine.advice import advise_tensor, advise_values
from kact_cli.engine.apply import apply
from kact_cli.engine.bfloat16 import as_floats
from kact_cli.errors import UsageError, prefixed
from kact_cli.files.descriptors import STANDARD
from kact_cli.formats.detect import check_typed, output_format
from kact_cli.formats.npy import NpyTensor
from kact_cli.options import Observer, Options
from kact_cli.reports.numbers import OpenArchive, OpenTable, open_numbers
from kact_cli.reports.summary import Summary
from kact_cli.types import Array, dtype_name

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE = 1 << 20
"""Values that a preview reads at most."""
PIECES = 16
"""A sample of a file that is larger comes from so many places, the first and last included."""

MOST_TEXT = 200
"""Characters of a cell that a preview takes along."""


@dataclass(frozen=True)
class Layer:
    """The shown rows at one point of the chain: the input, or what a step made of it."""

    label: str
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Preview:
    """What is shown. `layers` are the input, then the result or every step's."""

    result: str
    columns: tuple[str, ...]
    rows: tuple[int, ...]
    layers: tuple[Layer, ...]
    summary: Summary
    """Of the result, in the rows that were sampled."""
    sampled: int
    total: int | None
    """Rows of the sample, and of the file; None: it was not read to its end."""
    kept: tuple[str, ...] = ()
    """The other columns of a table, which stay as they are."""
    kept_rows: Sequence[Sequence[Any]] = ()
    """What is in them, in the shown rows: numbers, text, or None for null."""


def preview(
    chain: Chain, path: str, options: Options, *, rows: int = 3, each: bool = False
) -> Preview:
    """Look at the first and last `rows` rows of a sample; `each`: after every step of the chain.

    Raises UsageError where only the whole tensor would do, and is too large.
    """
    with open_numbers(path, options) as numbers, prefixed(numbers.source.name):
        wanted = output_format(STANDARD, numbers.format, options.target_format)
        check_typed(options, [numbers.format], [wanted])
        if isinstance(numbers, NpyTensor):
            return _tensor(numbers, chain, options, rows, each)
        if isinstance(numbers, OpenArchive):
            chosen = numbers.chosen(options)
            found = _tensor(numbers.tensor(chosen[0]), chain, options, rows, each)
            name = numbers.columns[chosen[0]].name
            of = f"{name} (1 of {len(chosen)} tensors)" if len(chosen) > 1 else name
            return replace(found, result=f"{of}: {found.result}")
        return _table(numbers, chain, options, rows, each)


def _prefixes(chain: Chain, each: bool) -> list[tuple[str, Chain]]:
    """What is computed, and how it is called."""
    if not each:
        return [("out", chain)]
    return [(str(step), Chain(chain.steps[: n + 1])) for n, step in enumerate(chain.steps)]


def _too_large(chain: Chain) -> UsageError:
    return UsageError(
        f"'{chain}' works down all rows, of which there are more than a preview reads: name an "
        "OUTPUT"
    )


def _tensor(tensor: NpyTensor, chain: Chain, options: Options, rows: int, each: bool) -> Preview:
    shape = tensor.header.shape
    axes = [resolve_axes(step, shape) for step in chain.steps if step.axis_name]
    advise_tensor(chain, shape, options)
    array, numbers = _sample(tensor, whole=any(0 in a for a in axes) or not shape, chain=chain)
    shown = _ends(len(array) if shape else 1, rows)
    if shape:
        advise_values(chain, array, options, shape[0])

    def cells(values: Array) -> list[list[Any]]:
        values = as_floats(values)
        flat = values.reshape(len(numbers), values.size // max(1, len(numbers)))
        return [flat[i].tolist() for i in shown]

    layers, result = [Layer("in", cells(array))], array
    for label, prefix in _prefixes(chain, each):
        last = prefix == chain
        dtype = options.dtype if last else None
        result = apply(
            prefix,
            array,
            dtype=dtype,
            compute_dtype=options.compute_dtype,
            exact=options.exact,
            quantize_in=options.quantize_in,
            quantize_out=options.quantize_out if last else None,
        )
        layers.append(Layer(label, cells(result)))
    width = len(layers[0].rows[0]) if layers[0].rows else 0
    return Preview(
        f"{dtype_name(result.dtype)}, shape {shape}",
        tuple(f"[{i}]" for i in range(width)),
        tuple(numbers[i] for i in shown),
        tuple(layers),
        Summary.of(as_floats(result.reshape(-1))),
        len(numbers),
        shape[0] if shape else 1,
    )


def _sample(tensor: NpyTensor, *, whole: bool, chain: Chain) -> tuple[Array, list[int]]:
    """Rows of a tensor, from its start to its end, and their numbers."""
    header = tensor.header
    shape, size = header.shape, header.size
    ends = (0,) * len(shape)
    if size <= SAMPLE:
        array = tensor.box(ends, shape) if size else np.zeros(shape, header.dtype)
        return array, list(range(shape[0] if shape else 1))
    row = size // shape[0]
    if whole:
        raise _too_large(chain)
    if row > SAMPLE or (header.fortran_order and tensor.source.size is None):
        raise UsageError(f"{tensor.source.name}: too large for a preview: name an OUTPUT")
    count = SAMPLE // row
    if tensor.source.size is None:
        return tensor.box(ends, (count, *shape[1:])), list(range(count))
    each = max(1, count // PIECES)
    starts = sorted({round(s) for s in np.linspace(0, shape[0] - each, min(PIECES, count))})
    parts: list[Array] = []
    numbers: list[int] = []
    for start, after in itertools.pairwise([*starts, shape[0]]):
        length = min(each, after - start)
        parts.append(tensor.box((start, *ends[1:]), (length, *shape[1:])))
        numbers += range(start, start + length)
    return np.concatenate(parts), numbers


def _ends(count: int, rows: int) -> list[int]:
    """The first and the last rows of so many, none twice."""
    return sorted({*range(min(rows, count)), *range(max(0, count - rows), count)})


def _table(table: OpenTable, chain: Chain, options: Options, rows: int, each: bool) -> Preview:
    import pyarrow as pa

    from kact_cli.tables.job import TableJob, TableRun
    from kact_cli.tables.schema import type_name

    reader = table.reader
    job = TableJob.make(chain, reader.schema, options)
    batches: list[pa.RecordBatch] = []
    values, ended = 0, True
    for batch in reader.batches():
        batches.append(batch)
        values += batch.num_rows * max(1, len(job.selected))
        if values >= SAMPLE:
            ended = False
            break
    for remark in reader.remarks():
        options.observer.warn(remark)
    if job.passes > 1 and not ended:
        raise _too_large(chain)
    count = sum(b.num_rows for b in batches)
    total = count if ended else reader.rows
    shown = _ends(count, rows)

    def done(prefix: Chain) -> list[list[pa.Array]]:
        last = prefix == chain
        step = job if last else TableJob.make(prefix, reader.schema, _quietly(options))
        work = TableRun(step)
        for passed in range(step.passes - 1):
            work.collect(passed, ([b.column(i) for i in step.streamed_columns] for b in batches))
        return [step.outputs(work.batch(b)) for b in batches]

    def cells(made: list[list[pa.Array]]) -> list[list[Any]]:
        columns = [pa.chunked_array(chunks) for chunks in zip(*made, strict=True)]
        return [[column[i].as_py() for column in columns] for i in shown]

    result = [job.inputs(b) for b in batches]
    layers = [Layer("in", cells(result))]
    for label, prefix in _prefixes(chain, each):
        result = done(prefix)
        layers.append(Layer(label, cells(result)))
    size = "rows" if total is None else f"{total:,} rows"
    types = sorted(set(map(type_name, job.types.values())))
    kept = [i for i in range(len(reader.schema)) if i not in job.sources]
    others = [
        pa.chunked_array([b.column(i) for b in batches], reader.schema.types[i]) for i in kept
    ]
    how = "computed" if options.suffix is None else f"computed and added as NAME{options.suffix}"
    return Preview(
        f"{size}, {len(job.names):,} of {len(reader.schema):,} columns {how}: {', '.join(types)}",
        tuple(job.names),
        tuple(shown),
        tuple(layers),
        _summary(result),
        count,
        total,
        tuple(reader.schema.names[i] for i in kept),
        [[_kept(column[row]) for column in others] for row in shown],
    )


def _kept(scalar: pa.Scalar) -> Any:
    """A value that nothing is computed from: a number, the start of a text, or None."""
    import pyarrow as pa

    if not scalar.is_valid:
        return None
    if pa.types.is_integer(scalar.type) or pa.types.is_floating(scalar.type):
        return scalar.as_py()
    for text in (lambda: scalar.cast(pa.string()).as_py(), lambda: str(scalar.as_py())):
        with contextlib.suppress(pa.ArrowException, ValueError, OverflowError):
            return text()[:MOST_TEXT]
    return str(scalar.type)


def _quietly(options: Options) -> Options:
    """For a part of the chain: its last dtype is not the result's, and what is amiss was said."""
    return replace(options, dtype=None, observer=Observer())


def _summary(batches: Iterable[Iterable[pa.Array]]) -> Summary:
    from kact_cli.tables.arrays import block_of

    total = Summary()
    for chunk in itertools.chain.from_iterable(batches):
        block = block_of(chunk)
        total = total.merge(Summary.of(block.values, block.nulls))
    return total

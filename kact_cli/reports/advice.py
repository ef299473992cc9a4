"""Chains and inputs that are sound, but probably not what was meant.

What follows from the chain, the shape and the columns' names is always found. What depends on the
values is looked for in the first few thousand of them alone, and not in a pipe: it costs a
millisecond, and is advice, no proof.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Sequence

import numpy as np

from kact_cli.chain import Chain, resolve_axes
from kact_cli.engine.engine import apply
from kact_cli.errors import KactError
from kact_cli.files.source import is_named_file
from kact_cli.formats.npy import NpyTensor
from kact_cli.options import Options
from kact_cli.reports.values import OpenTable, open_numbers
from kact_cli.tables.columns import Column, Kind, select
from kact_cli.types import Array

SAMPLE = 16 * 1024
"""Values that are looked at."""
MOST_COLUMNS = 64
"""In wider tables no values are: a file gives the first page of each column, and not less."""
_IDENTIFIER = r"(?i)(.*[_ .-])?(id|ids|uuid|key|index|idx|code|zip)"
_CAMEL = r".*[a-z](Id|ID|Key|Index)"


def advise(chain: Chain, path: str, options: Options) -> None:
    """Warn the observer of `options` of what `chain` will probably do wrong to the file `path`.

    What is wrong with the file itself is for those who read it to say.
    """
    found = list(of_chain(chain))
    if is_named_file(path):
        with contextlib.suppress(KactError), open_numbers(path, options) as numbers:
            if isinstance(numbers, NpyTensor):
                found += _tensor(numbers, chain, options)
            else:
                found += _table(numbers, chain, options)
    for message in dict.fromkeys(found):
        options.observer.warn(message)


def of_chain(chain: Chain) -> Iterator[str]:
    """What the steps alone say."""
    for before, step in zip(chain.steps, chain.steps[1:], strict=False):
        if not step.axis_name:
            continue
        if before.axis_name:
            yield f"{step.name} after {before.name}: probabilities are taken for logits"
        elif before.name == "sigmoid":
            yield f"sigmoid before {step.name}: it flattens the logits to between 0 and 1"


def of_shape(chain: Chain, shape: Sequence[int]) -> Iterator[str]:
    """What a tensor of that shape makes of the axes."""
    for step in chain.steps:
        if step.axis_name and 0 not in shape:
            axes = resolve_axes(step, shape)
            if math.prod(shape[a] for a in axes) == 1:
                yield f"{step.name} over an axis of size 1: every value becomes 1"


def of_columns(columns: Sequence[Column]) -> Iterator[str]:
    """What the names of the selected columns say."""
    for column in columns:
        name = column.name
        if column.kind is Kind.INTEGER and _identifies(name):
            yield f"column '{name}' looks like identifiers, not values; --exclude leaves it alone"


def of_left_out(chain: Chain, columns: Sequence[Column], chosen: Sequence[int]) -> Iterator[str]:
    """What a CSV leaves out of a reduction across its columns, for its first numbers are whole."""
    across = any(s.axis_name and 1 in resolve_axes(s, (2, len(chosen))) for s in chain.steps)
    for i, column in enumerate(columns):
        whole = column.kind is Kind.INTEGER and i not in chosen
        if across and whole and not _identifies(column.name):
            yield (
                f"column '{column.name}' begins with whole numbers and takes no part; "
                "--columns takes it in"
            )


def _identifies(name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in (_IDENTIFIER, _CAMEL))


def of_values(chain: Chain, sample: Array, options: Options, *, whole: bool) -> Iterator[str]:
    """What becomes of the first rows of a tensor, or of all of it."""
    work = sample
    for number, step in enumerate(chain.steps):
        if step.axis_name:
            axes = resolve_axes(step, sample.shape)
            if 0 in axes and not whole:
                return
            if not (number and chain.steps[number - 1].axis_name) and _sums_to_one(work, axes):
                yield (
                    f"the input of {step.name} already sums to 1 along the axis: it holds "
                    "probabilities, not logits?"
                )
        last = number == len(chain.steps) - 1
        dtype = options.dtype if last else None
        work = apply(Chain((step,)), work, dtype=dtype, compute_dtype=options.compute_dtype)
    if work.dtype.kind == "f" and (np.isinf(work) & np.isfinite(sample)).any():
        yield f"values overflow to inf in {work.dtype.newbyteorder('=')}"


def _sums_to_one(values: Array, axes: frozenset[int]) -> bool:
    """Whether all groups of more than one value are not negative and sum to 1."""
    if values.size < 2 or math.prod(values.shape[a] for a in axes) < 2:
        return False
    sums = values.sum(axis=tuple(axes), dtype=np.float64)
    return bool((values >= 0).all() and (np.abs(sums - 1) < 1e-3).all())


def _tensor(tensor: NpyTensor, chain: Chain, options: Options) -> Iterator[str]:
    shape = tensor.header.shape
    yield from of_shape(chain, shape)
    row = math.prod(shape[1:])
    if not shape or not tensor.header.size or row > SAMPLE:
        return
    count = min(shape[0], SAMPLE // row)
    sample = tensor.box((0,) * len(shape), (count, *shape[1:]))
    yield from of_values(chain, sample, options, whole=count == shape[0])


def _table(table: OpenTable, chain: Chain, options: Options) -> Iterator[str]:
    chosen = select(table.columns, options.columns, options.exclude)
    columns = [table.columns[i] for i in chosen]
    yield from of_columns(columns)
    if not table.format.typed and not options.columns:
        yield from of_left_out(chain, table.columns, chosen)
    numbers = [i for i, c in zip(chosen, columns, strict=True) if c.kind is not Kind.LIST]
    if not numbers:
        return
    yield from of_shape(chain, (2, len(numbers)))
    if len(numbers) > MOST_COLUMNS:
        return
    blocks = next(table.reader.numbers(numbers), None)
    if blocks is None:
        return
    blocks = [block.slice(0, max(1, SAMPLE // len(numbers))) for block in blocks]
    sample = np.column_stack([block.values for block in blocks])
    nulls = [block.nulls for block in blocks if block.nulls is not None]
    if nulls:
        sample = sample[~np.logical_or.reduce(nulls)]
    if len(sample):
        yield from of_values(chain, sample, options, whole=False)

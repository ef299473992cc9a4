"""A chain over a table in memory, and the same in float64, nulls taking no part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from kact_cli.chain import Chain
from kact_cli.options import Options
from kact_cli.tables.job import TableJob, TableRun
from kact_cli.tables.schema import numpy_dtype
from tests.tools.numbers import Array, exactly

F16, F32, F64 = pa.float16(), pa.float32(), pa.float64()
NAN, INF = float("nan"), float("inf")
ACROSS, DOWN, BOTH = "softmax", "softmax(axis=0)", "softmax(axis=none)"


def job_of(chain: str, schema: pa.Schema, **options: Any) -> TableJob:
    for name in ("dtype", "compute_dtype"):
        if name in options:
            options[name] = np.dtype(options[name])
    return TableJob.make(Chain.parse(chain), schema, Options(**options))


def run(chain: str, table: pa.Table, cuts: Sequence[int] = (), **options: Any) -> pa.Table:
    """The chain over the table, in batches that end at the rows `cuts` (slices of one another)."""
    work = TableRun(job_of(chain, table.schema, **options))
    job = work.job
    (whole,) = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
    ends = [0, *sorted(cuts), whole.num_rows]
    batches = [whole.slice(a, b - a) for a, b in pairwise(ends)]
    for passed in range(job.passes - 1):
        streamed = ([b.column(i) for i in job.streamed_columns] for b in batches)
        work.collect(passed, streamed)
    done = pa.Table.from_batches([work.batch(b) for b in batches], job.result)
    done.validate(full=True)
    return done


def softmax(x: Array, absent: Array, axis: Any) -> Array:
    """Softmax in float64 over what is there."""
    with np.errstate(all="ignore"):
        x = np.where(absent, -np.inf, x)
        e = np.exp(x - x.max(axis=axis, keepdims=True, initial=-np.inf))
        return e / e.sum(axis=axis, keepdims=True)


def expected(chain: str, x: Array, absent: Array) -> Array:
    """The chain of (rows, columns) in float64; parameters are the defaults."""
    for step in Chain.parse(chain).steps:
        if step.name == "softmax":
            x = softmax(x, absent, step.axis)
        else:
            with np.errstate(all="ignore"):
                x = exactly(step.name, x)
    return x


def columns_of(x: Array, absent: Array, types: Sequence[pa.DataType]) -> pa.Table:
    """A table of the columns of `x`, null where `absent`, between others that pass through."""
    arrays = {
        f"x{n}": pa.array(x[:, n].astype(numpy_dtype(t)), t, mask=absent[:, n])
        for n, t in enumerate(types)
    }
    rows = pa.array(range(len(x)))
    return pa.table({"id": rows, **arrays, "text": rows.cast(pa.string())})


def numbers(table: pa.Table, count: int) -> tuple[Array, Array]:
    """The columns x0, x1, ... as float64, and where they are null."""
    found = [table[f"x{n}"].combine_chunks() for n in range(count)]
    values = [c.cast(F64).fill_null(0).to_numpy(zero_copy_only=False) for c in found]
    masks = [c.is_null().to_numpy(zero_copy_only=False) for c in found]
    return np.stack(values, 1), np.stack(masks, 1)


def data(seed: int, rows: int, width: int, nulls: float = 0.2) -> tuple[Array, Array]:
    """Normal numbers that are the same in every dtype, and where they are null."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 4, (rows, width)).astype(np.float16).astype(np.float64)
    return x, rng.random((rows, width)) < nulls


def softmax_error(x: Array, absent: Array, axis: Any, bits: int = 23) -> Array:
    """The most that a softmax may be off, as a share of the result."""
    shown = np.where(absent, -np.inf, x)
    peak = shown.max(axis=axis, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        return (4 + np.abs(x - peak) / 2) * 2.0**-bits


def lists(seed: int, rows: int = 40) -> tuple[list[Any], list[Any]]:
    """Lists with nulls, empty and null lists; and how softmax(relu) comes out, in float64."""
    rng = np.random.default_rng(seed)
    before: list[Any] = []
    after: list[Any] = []
    for _ in range(rows):
        if rng.random() < 0.15:
            before.append(None)
            after.append(None)
            continue
        x = rng.normal(0, 3, rng.integers(0, 6)).astype(np.float16).astype(np.float64)
        absent = rng.random(len(x)) < 0.2
        done = softmax(np.maximum(x, 0), absent, -1) if len(x) else x
        for found, given_ in ((before, x), (after, done)):
            found.append([None if n else v for v, n in zip(given_.tolist(), absent, strict=True)])
    return before, after


def pairs(found: Any, exact: Any) -> Iterator[tuple[float, float]]:
    """The numbers of two nested lists side by side; nulls and lengths have to be the same."""
    assert (found is None) == (exact is None)
    if isinstance(exact, list):
        assert len(found) == len(exact)
        for a, b in zip(found, exact, strict=True):
            yield from pairs(a, b)
    elif exact is not None:
        yield found, exact


def assert_close(found: Any, exact: Any, rtol: float = 1e-6) -> None:
    both = np.array(list(pairs(found, exact))).reshape(-1, 2)
    np.testing.assert_allclose(both[:, 0], both[:, 1], rtol=rtol)

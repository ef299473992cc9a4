"""A table as tensors: the parts that a chain works on, whatever the format.

The selected scalar columns are one tensor of shape (rows, columns): `axis=-1` runs across them and
`axis=0` down the rows. A chain that never runs across works on each column by itself, in its own
dtype; otherwise the columns meet in the widest of their dtypes and go back to their own.
A column of lists, or of tensors of a fixed shape, is a part of its own, of shape (rows, ...), and
`axis=-1` runs within each list.

An axis that runs down the rows is streamed: a pass over the table collects its state. A null
takes no part in a reduction: what stands in its place there is the activation's neutral value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kact_cli.chain import Chain, Step, resolve_axes
from kact_cli.engine.engine import engine_for
from kact_cli.engine.plan import Reduction, collecting, rounds
from kact_cli.engine.program import Program, dtype_path
from kact_cli.errors import UsageError
from kact_cli.types import BFLOAT16, Array, ReductionState, State

BLOCK_ELEMENTS = 64 * 1024
"""A block of columns side by side that stays in the second-level cache."""
LEAST_ROWS = 256
"""In a table of thousands of columns a block has at least so many rows: short runs cost more."""


@dataclass(frozen=True)
class Part:
    """One tensor of a table, of shape (rows, *item), and the chain resolved for it.

    `columns` are the positions of its columns in the table; `columnar` says how its blocks lie in
    memory: one column after another, `(*item, rows)`, or row by row, `(rows, *item)`.
    """

    columns: tuple[int, ...]
    program: Program
    results: tuple[np.dtype[Any], ...]
    reductions: tuple[Reduction, ...]
    columnar: bool
    item: tuple[int | None, ...] | None = None
    """The shape of a row of a list column, None where lengths vary; None for scalar columns."""

    @property
    def ragged(self) -> bool:
        """Whether rows are lists of no fixed length: `axis=-1` is all that they have in common."""
        return self.item is not None and None in self.item

    @property
    def streamed(self) -> tuple[Reduction, ...]:
        """The reduction of each pass that collects."""
        return collecting(self.reductions)

    def transform(self, block: Array, state: State, nulls: Array | None = None) -> Array:
        """The chain of a block (of the source's dtype, which it may overwrite), as a new block.

        `nulls` is a boolean array of the same shape, or None. The result has the program's result
        dtype; it is `block` itself where it can be.
        """
        program = self.program
        same = program.result == block.dtype
        out = block if same else np.empty(block.shape, program.result)
        engine_for(program, self.reductions).transform(block, out, state, nulls)
        return out

    def reduce(
        self, block: Array, reduction: Reduction, state: State, nulls: Array | None = None
    ) -> ReductionState:
        """The state of a block for a streamed reduction; may overwrite the block."""
        engine = engine_for(self.program, self.reductions)
        return engine.reduce(block, reduction.step, state, nulls)

    def block_rows(self) -> int:
        """How many rows a block of a columnar part should have."""
        return max(LEAST_ROWS, BLOCK_ELEMENTS // len(self.columns))


def parts_of_columns(
    chain: Chain,
    columns: Sequence[int],
    dtypes: Sequence[np.dtype[Any]],
    *,
    columnar: bool,
    dtype: np.dtype[Any] | None = None,
    compute_dtype: np.dtype[Any] | None = None,
    exact: bool = False,
) -> list[Part]:
    """The parts of scalar columns at the positions `columns`, of the given dtypes.

    Columnar: one part for each column unless the chain runs across them. Row by row: always one.
    Raises UsageError for an axis that a tensor of shape (rows, columns) does not have.
    """
    # resolve_axes needs the rank; the number of rows does not matter
    what = "a tensor (rows, columns)"
    axes = {i: resolve_axes(s, (2, 2), what) for i, s in enumerate(chain.steps) if s.axis_name}
    for step, found in axes.items():
        if 0 in found:
            _check_down(chain.steps[step])
    across = any(1 in found for found in axes.values())
    together = across or not columnar
    groups = [range(len(columns))] if together else [range(i, i + 1) for i in range(len(columns))]
    each = {source: dtype or dtype_path(chain, source)[-1] for source in set(dtypes)}
    programs: dict[np.dtype[Any], Program] = {}
    parts = []
    for group in groups:
        sources = {dtypes[i] for i in group}
        widest = np.result_type(*sources) if len(sources) > 1 else dtypes[group[0]]
        results = tuple(each[dtypes[i]] for i in group)
        if widest not in programs:
            programs[widest] = _program(
                chain, widest, dtype=dtype, compute_dtype=compute_dtype, exact=exact
            )
        program = programs[widest]
        if len(set(results)) > 1:
            # What the columns have in common until each goes back to its own dtype
            program = program._replace(result=program.work)
        reductions = tuple(
            Reduction(
                step,
                _dims(found, across=across, columnar=columnar),
                0 in found,
                rounds(chain.steps[step], exact),
            )
            for step, found in axes.items()
        )
        positions = tuple(columns[i] for i in group)
        parts.append(Part(positions, program, results, reductions, columnar and across))
    return parts


def _check_down(step: Step) -> None:
    """Refuse an activation down the rows of a table that would have to see them all at once."""
    if step.activation.streamed is None:
        raise UsageError(
            f"{step.name}: the rows of a table do not pass together; a .npy is computed along any "
            "axis"
        )


def _dims(axes: Iterable[int], *, across: bool, columnar: bool) -> tuple[int, ...]:
    """Which dims of a block the axes of the table (rows, columns) are.

    A column by itself is a vector; columnar blocks lie in memory as (columns, rows).
    """
    if not across:
        return (0,)
    return tuple(sorted(1 - a if columnar else a for a in axes))


def part_of_list(
    chain: Chain,
    column: int,
    name: str,
    item: Sequence[int | None],
    source: np.dtype[Any],
    *,
    permutation: Sequence[int] | None = None,
    dtype: np.dtype[Any] | None = None,
    compute_dtype: np.dtype[Any] | None = None,
    exact: bool = False,
) -> Part:
    """The part of a column whose rows are lists or tensors of shape `item`; None: any length.

    `item` is the shape in memory; `permutation` says which of its axes each axis of the tensor is.

    Raises UsageError for an axis that it does not have, and for one that lists of different
    lengths do not have in common.
    """
    rank = 1 + len(item)
    lengths = ("rows", *("any" if n is None else str(n) for n in item))
    what = f"column '{name}', a tensor ({', '.join(lengths)}),"
    axes = {i: resolve_axes(s, (2,) * rank, what) for i, s in enumerate(chain.steps) if s.axis_name}
    ragged = any(n is None for n in item)
    if ragged:
        for step, found in axes.items():
            if found != {rank - 1}:
                raise UsageError(
                    f"{chain.steps[step].name}: column '{name}' holds lists of different lengths, "
                    f"which have no axis but the last (axis=-1); --exclude leaves it as it is"
                )
        reductions = tuple(Reduction(i, (1,), False) for i in axes)
    else:
        for step, found in axes.items():
            if 0 in found:
                _check_down(chain.steps[step])
        in_memory = [0, *(1 + p for p in permutation or range(len(item)))]
        reductions = tuple(
            Reduction(
                i,
                tuple(sorted(in_memory[d] for d in a)),
                0 in a,
                rounds(chain.steps[i], exact),
            )
            for i, a in axes.items()
        )
    program = _program(chain, source, dtype=dtype, compute_dtype=compute_dtype, exact=exact)
    return Part((column,), program, (program.result,), reductions, False, tuple(item))


def _program(
    chain: Chain,
    source: np.dtype[Any],
    *,
    dtype: np.dtype[Any] | None,
    compute_dtype: np.dtype[Any] | None,
    exact: bool,
) -> Program:
    if dtype == BFLOAT16:
        raise UsageError("a table has no bfloat16; .npy, .npz and safetensors have")
    return Program.make(chain, source, dtype=dtype, compute_dtype=compute_dtype, exact=exact)

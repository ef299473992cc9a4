"""A chain and a tensor's shape -> stages, passes and chunks. `explain` prints what is decided here.

Every chain must come out right on a tensor larger than memory. What makes that hard is an
activation along an axis (softmax): a group of values that belong together may lie far apart in the
file, or be larger than memory. The planner cuts the tensor twice:

- into *slabs*: boxes that hold whole groups of every reduction of the stage, so that a slab is a
  problem of its own;
- each slab into *chunks*, the boxes that are read, computed and written in one go.

A reduction is *resident* when every chunk holds whole groups. Otherwise it is *streamed*: one more
pass over the slab collects its statistics (for softmax the maximum and the sum), and what follows
uses them. Where the statistics of a slab would not fit in memory either, the chain is cut into
*stages* with a temporary file between them.

Everything here depends on the shape, the chain and the chunk size alone, never on how many workers
there are: that is why the output is the same bytes for any `--jobs`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kact_cli.chain import Chain, resolve_axes
from kact_cli.engine.layout import Grid, grow, merge_axes, run_length
from kact_cli.types import Shape

if TYPE_CHECKING:
    import numpy as np

KIB = 1024
MIB = 1024 * KIB
CHUNK_BYTES = 2 * MIB
"""The default chunk: the fewer there are, the less the threads wait for the interpreter."""
GROUP_BYTES = 4 * MIB
"""How far a chunk may grow, unless the user said, to keep a softmax group whole: the second pass
that streaming costs is dearer than leaving the cache."""
STATE_BYTES = 12 * MIB
"""The most that the statistics of a slab may take."""
RUN_BYTES = 4 * KIB
"""Reads shorter than this cost more than another pass over longer ones."""
DISTINCT = 6
"""The most sets of axes that one stage streams some of: to weigh n of them takes 2^n tries."""
UNIT_BYTES = 8 * MIB
"""The least that is worth handing to a worker."""


class Reduction(NamedTuple):
    """A step that works along an axis: which dims it reduces, and whether it is streamed.

    `step` counts from the stage's first.
    """

    step: int
    dims: Shape
    streamed: bool

    def kept(self, shape: Sequence[int]) -> Shape:
        """`shape` with the reduced dims taken as one: the shape of the statistics."""
        return tuple(1 if d in self.dims else n for d, n in enumerate(shape))


class Stage(NamedTuple):
    """Steps `first` to `last` (exclusive) of the chain, done in `passes` over each slab."""

    first: int
    last: int
    dims: Shape
    reductions: tuple[Reduction, ...]
    slab: Shape
    chunk: Shape

    @property
    def streamed(self) -> tuple[Reduction, ...]:
        return tuple(r for r in self.reductions if r.streamed)

    @property
    def passes(self) -> int:
        return 1 + len(self.streamed)

    @property
    def chunk_elements(self) -> int:
        """The most elements that a chunk has."""
        return math.prod(self.chunk)

    @property
    def slabs(self) -> Grid:
        return Grid(self.dims, self.slab)

    def chunks(self, slab: int) -> Grid:
        """The chunks of a slab; their starts count from the slab's own."""
        return Grid(self.slabs.box(slab)[1], self.chunk)

    def chunk_shapes(self) -> Iterator[Shape]:
        """The shape of every chunk, slab after slab."""
        for slab in range(len(self.slabs)):
            grid = self.chunks(slab)
            for chunk in range(len(grid)):
                yield grid.box(chunk)[1]

    @property
    def sequential(self) -> bool:
        """Whether one pass reads and writes the file from its first byte to its last."""
        ordered = all(
            run_length(outer, inner) == math.prod(inner)
            for outer, inner in ((self.dims, self.slab), (self.slab, self.chunk))
        )
        return ordered and self.passes == 1

    def state_elements(self) -> int:
        """How many groups' statistics are held at once."""
        return sum(math.prod(r.kept(self.slab)) for r in self.streamed)


ALL_PASSES = -1


class TensorUnit(NamedTuple):
    """What one worker does in one go: whole slabs, or some chunks of one slab in one pass.

    `first` and `last` (exclusive) count slabs where `passed` is ALL_PASSES, else chunks of `slab`.
    """

    slab: int
    passed: int
    first: int
    last: int


@dataclass(frozen=True)
class Round:
    """Units that may run side by side, in any order; made one at a time, as many as there are."""

    stage: int
    slab: int
    passed: int
    count: int
    each: int

    def __iter__(self) -> Iterator[TensorUnit]:
        for a in range(0, self.count, self.each):
            yield TensorUnit(self.slab, self.passed, a, min(a + self.each, self.count))


class TensorPlan(NamedTuple):
    """What will happen to a tensor: its stages, in order."""

    chain: Chain
    stages: tuple[Stage, ...]
    itemsize: int

    @property
    def passes(self) -> int:
        return sum(stage.passes for stage in self.stages)

    @property
    def sequential(self) -> bool:
        """Whether the tensor can go through a pipe as it comes."""
        return len(self.stages) == 1 and self.stages[0].sequential

    def rounds(self, number: int) -> Iterator[Round]:
        """The rounds of a stage: one for all its slabs, or one for each pass over each slab."""
        stage = self.stages[number]
        slab_bytes = math.prod(stage.slab) * self.itemsize
        if slab_bytes < 2 * UNIT_BYTES:
            each = max(1, UNIT_BYTES // slab_bytes)
            yield Round(number, 0, ALL_PASSES, len(stage.slabs), each)
            return
        each = max(1, UNIT_BYTES // (math.prod(stage.chunk) * self.itemsize))
        for slab in range(len(stage.slabs)):
            for passed in range(stage.passes):
                yield Round(number, slab, passed, len(stage.chunks(slab)), each)


def plan_tensor(
    chain: Chain,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    *,
    fortran_order: bool = False,
    chunk_bytes: int | None = None,
) -> TensorPlan:
    """TensorPlan `chain` over a tensor of `shape`, computed in `dtype`.

    `chunk_bytes` is the size of a chunk as the user gave it, or None for kact's own choice.
    Raises UsageError for an axis that the tensor does not have.
    """
    rank = len(shape)
    groups: dict[int, frozenset[int]] = {}
    for i, step in enumerate(chain.steps):
        if step.axis_name:
            axes = resolve_axes(step, shape)
            groups[i] = frozenset(rank - 1 - a for a in axes) if fortran_order else axes
    storage = tuple(reversed(shape)) if fortran_order else tuple(shape)
    if 0 in storage:
        groups, storage = {}, (0,)  # nothing to compute, once the axes are known to exist
    chunk = max(1, (chunk_bytes or CHUNK_BYTES) // dtype.itemsize)
    group = max(1, (chunk_bytes or GROUP_BYTES) // dtype.itemsize)
    stages: list[Stage] = []
    first, steps = 0, len(chain.steps)
    while first < steps:
        last = steps
        while True:
            inside = {i - first: axes for i, axes in groups.items() if first <= i < last}
            stage = _stage(storage, first, last, inside, chunk, group, dtype.itemsize)
            if stage is not None:
                break
            last = first + max(inside)  # the last reduction of the stage goes to the next one
        stages.append(stage)
        first = last
    return TensorPlan(chain, tuple(stages), dtype.itemsize)


def _stage(
    shape: Shape,
    first: int,
    last: int,
    groups: dict[int, frozenset[int]],
    chunk: int,
    group: int,
    itemsize: int,
) -> Stage | None:
    """The cheapest way to do these steps in one stage, or None if its state would be too large."""
    dims, reduced = merge_axes(shape, list(groups.values()))
    by_step = dict(zip(groups, reduced, strict=True))
    distinct = sorted(set(reduced))
    common = [d for d in range(len(dims)) if not any(d in r for r in reduced)]
    most = len(distinct) if len(distinct) <= DISTINCT else 0
    # Fewest passes first; among those, the cache-sized chunk before the larger one
    for count in range(most + 1):
        for streamed in itertools.combinations(distinct, count):
            for elements in sorted({chunk, group}):
                whole = {d for r in distinct if r not in streamed for d in r}
                fixed = tuple(n if d in whole else 1 for d, n in enumerate(dims))
                if math.prod(fixed) > elements:
                    continue
                reductions = tuple(Reduction(i, r, r in streamed) for i, r in by_step.items())
                slab = _slab(dims, common, reductions, fixed, elements, itemsize)
                if slab is None:
                    continue
                tile = grow(slab, fixed, slab, elements)
                short = run_length(dims, tile) * itemsize < RUN_BYTES
                if short and count < len(distinct) and math.prod(tile) < math.prod(dims):
                    continue
                return Stage(first, last, dims, reductions, slab, tile)
    return None


def _slab(
    dims: Shape,
    common: list[int],
    reductions: tuple[Reduction, ...],
    fixed: Shape,
    elements: int,
    itemsize: int,
) -> Shape | None:
    """The slab for these reductions, or None if its statistics would not fit.

    With nothing streamed a slab is a chunk. Otherwise it is as short as can be in a leading dim
    that no reduction touches, so that its second pass finds it in the page cache, and as narrow in
    the others as its statistics demand.
    """
    streamed = [r for r in reductions if r.streamed]
    if not streamed:
        return grow(
            dims, fixed, tuple(n if d in common else fixed[d] for d, n in enumerate(dims)), elements
        )
    slab = list(dims)
    if common and common[0] == 0:
        slab[0] = 1
    budget = STATE_BYTES // (itemsize + 8)
    for d in common:
        state = sum(math.prod(r.kept(slab)) for r in streamed)
        if state > budget:
            slab[d] = max(1, slab[d] * budget // state)
    state = sum(math.prod(r.kept(slab)) for r in streamed)
    only_one = all(set(range(len(dims))) == {*common, *r.dims} for r in streamed)
    return tuple(slab) if state <= budget or only_one else None

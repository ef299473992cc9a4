"""A chain and a tensor's shape -> stages, passes and chunks. `explain` prints what is decided here.

Every chain must come out right on a tensor larger than memory. What makes that hard is an
activation along an axis (softmax): a group of values that belong together may lie far apart in the
file, or be larger than memory. The planner cuts the tensor twice:

- into *slabs*: boxes that hold whole groups of every reduction of the stage, so that a slab is a
  problem of its own;
- each slab into *chunks*, the boxes that are read, computed and written in one go.

A reduction is *resident* when every chunk holds whole groups. Otherwise it is *streamed*: one more
pass over the slab, or two, collects its state (for softmax the maximum and the sum), and what
follows uses it. Where the state of a slab would not fit in memory either, the chain is cut into
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

from kact_cli.chain import Chain, Step, resolve_axes
from kact_cli.engine.layout import Grid, grow, merge_axes, run_length
from kact_cli.errors import UsageError
from kact_cli.messages import human
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
STATE_BYTES = 20 * MIB
"""The most that the state of a slab may take."""
RESIDENT_BYTES = 64 * MIB
"""The largest group of an activation that has to see all of it at once."""
RUN_BYTES = 4 * KIB
"""Reads shorter than this cost more than another pass over longer ones."""
DISTINCT = 6
"""The most sets of axes that one stage streams some of: to weigh n of them takes 2^n tries."""
UNIT_BYTES = 8 * MIB
"""The least that is worth handing to a worker."""


class Reduction(NamedTuple):
    """A step that works along an axis: which dims it reduces, and whether it is streamed.

    `step` counts from the stage's first, and `rounds` the passes that it takes to collect its state
    if it is streamed; 0: it cannot be.
    """

    step: int
    dims: Shape
    streamed: bool
    rounds: int = 1

    def kept(self, shape: Sequence[int]) -> Shape:
        """`shape` with the reduced dims taken as one: the shape of the state."""
        return tuple(1 if d in self.dims else n for d, n in enumerate(shape))


def rounds(step: Step, exact: bool) -> int:
    """How many passes it takes to collect the state of a streamed reduction; 0: it cannot be."""
    streamed = step.activation.reduction(exact)
    return streamed.rounds if streamed is not None else 0


def collecting(reductions: Sequence[Reduction]) -> tuple[Reduction, ...]:
    """The reduction whose state each pass but the last collects, in order."""
    return tuple(r for r in reductions if r.streamed for _ in range(r.rounds))


class Stage(NamedTuple):
    """Steps `first` to `last` (exclusive) of the chain, done in `passes` over each slab."""

    first: int
    last: int
    dims: Shape
    reductions: tuple[Reduction, ...]
    slab: Shape
    chunk: Shape
    channels: tuple[int | None, ...] = ()
    """The dims that have been kept apart, None where one has gone, being of length one."""

    @property
    def streamed(self) -> tuple[Reduction, ...]:
        """The reduction of each pass that collects."""
        return collecting(self.reductions)

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
        """How many groups' states are held at once."""
        return sum(math.prod(r.kept(self.slab)) for r in self.reductions if r.streamed)


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
        """Whether the tensor can go through a pipe as it comes: in order, wherever that is."""
        return len(self.stages) == 1 and self.stages[0].sequential and not self.stages[0].channels

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
    exact: bool = False,
    channels: Sequence[frozenset[int]] = (),
) -> TensorPlan:
    """Plan `chain` over a tensor of `shape`, computed in `dtype`.

    `chunk_bytes` is the size of a chunk as the user gave it, or None for kact's own choice;
    `channels` are sets of axes that are not merged with others.
    Raises UsageError for an axis that the tensor does not have, and for groups beyond memory.
    """
    rank = len(shape)

    def stored(axes: frozenset[int]) -> frozenset[int]:
        return frozenset(rank - 1 - a for a in axes) if fortran_order else axes

    groups = {i: stored(resolve_axes(s, shape)) for i, s in enumerate(chain.steps) if s.axis_name}
    apart = [stored(axes) for axes in channels]
    storage = tuple(reversed(shape)) if fortran_order else tuple(shape)
    if 0 in storage:
        groups, apart, storage = {}, [], (0,)  # nothing to compute, once the axes exist
    chunk = max(1, (chunk_bytes or CHUNK_BYTES) // dtype.itemsize)
    group = max(1, (chunk_bytes or GROUP_BYTES) // dtype.itemsize)
    stages: list[Stage] = []
    first, steps = 0, len(chain.steps)
    while first < steps:
        last = steps
        while True:
            inside = {i: axes for i, axes in groups.items() if first <= i < last}
            dims, merged = merge_axes(storage, [*inside.values(), *apart])
            reductions = tuple(
                Reduction(i - first, r, False, rounds(chain.steps[i], exact))
                for i, r in zip(inside, merged, strict=False)
            )
            kept = tuple(found[0] if found else None for found in merged[len(inside) :])
            stage = _stage(Stage(first, last, dims, reductions, (), (), kept), chunk, group, dtype)
            if stage is not None:
                break
            if max(inside) == first:
                count = math.prod(storage[a] for a in groups[first])
                raise UsageError(
                    f"{chain.steps[first].name} along {count:,} values: it has to see all of them "
                    f"at once, and does so for up to {human(RESIDENT_BYTES)}"
                )
            last = max(inside)  # the last reduction of the stage goes to the next one
        stages.append(stage)
        first = last
    return TensorPlan(chain, tuple(stages), dtype.itemsize)


def _stage(steps: Stage, chunk: int, group: int, dtype: np.dtype[Any]) -> Stage | None:
    """The cheapest way to do these steps in one stage, or None if its state would be too large.

    `steps` is a stage that nothing is decided of: neither what is streamed nor slab and chunk.
    """
    resident = {r.dims for r in steps.reductions if not r.rounds}
    distinct = sorted({r.dims for r in steps.reductions} - resident)
    sizes = {chunk, group, *([max(group, RESIDENT_BYTES // dtype.itemsize)] if resident else [])}
    most = len(distinct) if len(distinct) <= DISTINCT else 0
    # Fewest passes first; among those, the cache-sized chunk before the larger one
    for count in range(most + 1):
        for streamed in itertools.combinations(distinct, count):
            reductions = tuple(r._replace(streamed=r.dims in streamed) for r in steps.reductions)
            for elements in sorted(sizes):
                stage = _fitted(steps._replace(reductions=reductions), elements, dtype.itemsize)
                if stage is not None and (count == len(distinct) or _reads_well(stage, dtype)):
                    return stage
    return None


def _fitted(stage: Stage, elements: int, itemsize: int) -> Stage | None:
    """The stage with its slab and its chunk, of so many elements, or None where there is none."""
    whole = {d for r in stage.reductions if not r.streamed for d in r.dims}
    fixed = tuple(n if d in whole else 1 for d, n in enumerate(stage.dims))
    if math.prod(fixed) > elements:
        return None
    slab = _slab(stage, fixed, elements, itemsize)
    if slab is None:
        return None
    return stage._replace(slab=slab, chunk=grow(slab, fixed, slab, elements))


def _reads_well(stage: Stage, dtype: np.dtype[Any]) -> bool:
    """Whether chunks lie in runs that are long enough, or everything is in one of them."""
    long = run_length(stage.dims, stage.chunk) * dtype.itemsize >= RUN_BYTES
    return long or stage.chunk_elements >= math.prod(stage.dims)


def _slab(stage: Stage, fixed: Shape, elements: int, itemsize: int) -> Shape | None:
    """The slab for these reductions, or None if its state would not fit.

    With nothing streamed a slab is a chunk. Otherwise it is as short as can be in a leading dim
    that no reduction touches, so that its second pass finds it in the page cache, and as narrow in
    the others as its state demands.
    """
    dims = stage.dims
    common = [d for d in range(len(dims)) if not any(d in r.dims for r in stage.reductions)]
    streamed = [r for r in stage.reductions if r.streamed]
    if not streamed:
        limits = tuple(n if d in common else fixed[d] for d, n in enumerate(dims))
        return grow(dims, fixed, limits, elements)
    slab = list(dims)
    if common and common[0] == 0:
        slab[0] = 1
    budget = STATE_BYTES // (itemsize + 16)
    for d in common:
        state = sum(math.prod(r.kept(slab)) for r in streamed)
        if state > budget:
            slab[d] = max(1, slab[d] * budget // state)
    state = sum(math.prod(r.kept(slab)) for r in streamed)
    only_one = all(set(range(len(dims))) == {*common, *r.dims} for r in streamed)
    return tuple(slab) if state <= budget or only_one else None

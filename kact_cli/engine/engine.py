"""A chain over one block in memory, in cache-sized tiles.

Dtypes. A chain computes in one floating dtype: float64 for float64 and wide integers, float32 for
the rest (float16 is rounded once, at the end); `--compute-dtype` overrides it. An integer tensor
stays what it is through the steps that keep integers (relu with whole parameters) and becomes
floating at the first one that does not.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kact_cli.activations import arithmetic
from kact_cli.chain import Chain
from kact_cli.engine import bfloat16
from kact_cli.engine.float16 import LookupTable, narrow, widen
from kact_cli.engine.plan import Reduction, plan_tensor
from kact_cli.engine.program import Program
from kact_cli.engine.rounding import narrow_to_odd, one_nan, round_exactly
from kact_cli.types import BFLOAT16, Array, ReductionState, Shape, State

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


TILE_BYTES = 1024 * 1024
"""A tile and its scratch buffer stay in the caches near a core. Shorter ones compute no slower, but
two threads and more then wait for the interpreter more often."""

LOOK_UPS = 256 * 1024
"""Values of float16 that are looked up in one go: their indices take four times their memory."""

NEUTRAL = -math.inf
"""What stands for a null in a reduction: exp(-inf) adds nothing, and is no maximum."""
ENGINES = 8
"""How many programs a thread keeps buffers for."""


def as_groups(block: Array, dims: Shape) -> Array:
    """`block` as a C-contiguous (outer, length, inner), `dims` of it being the length.

    A view wherever the dims lie together, else a copy.
    """
    rank = block.ndim
    if dims and list(dims) != list(range(dims[0], dims[-1] + 1)):
        kept = [d for d in range(rank) if d not in dims]
        moved = np.ascontiguousarray(block.transpose([*kept, *dims]))
        length = math.prod(block.shape[d] for d in dims)
        return moved.reshape(-1, length, 1)
    a, b = (dims[0], dims[-1] + 1) if dims else (rank, rank)
    shape = block.shape
    return block.reshape(math.prod(shape[:a]), math.prod(shape[a:b]), math.prod(shape[b:]))


def from_groups(groups: Array, block: Array, dims: Shape) -> None:
    """Copy what `as_groups(block, dims)` gave back into `block`, where it was not a view."""
    if not np.may_share_memory(groups, block):
        order = [d for d in range(block.ndim) if d not in dims] + list(dims)
        target = block.transpose(order)
        target[...] = groups.reshape(target.shape)


class Engine:
    """Runs a program's steps over blocks, reusing its buffers; one for each thread."""

    def __init__(self, program: Program, reductions: Sequence[Reduction] = ()) -> None:
        self.program = program
        self.reductions = {r.step: r for r in reductions}
        # Looked up once: a tile takes some ten microseconds
        self._kernels = [(s.activation, s.arguments) for s in program.chain.steps]
        self.math = arithmetic(program.natural, program.work, exact=program.exact)
        # Elementwise results for fewer digits than they are computed in
        self._rounds_exactly = program.exact and not self.reductions and program.result.itemsize < 8
        self._buffers: dict[str, Array] = {}
        self._table: LookupTable | None = None

    def buffer(self, name: str, dtype: np.dtype[Any], size: int) -> Array:
        buffer = self._buffers.get(name)
        if buffer is None or buffer.dtype != dtype or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, dtype)
        return buffer[:size]

    def transform(
        self, block: Array, out: Array, state: State | None = None, nulls: Array | None = None
    ) -> None:
        """Write the chain of `block` into `out`; they may be the same memory.

        Both are contiguous views of a box; `block` has the program's source dtype and `out` its
        result's. The caller gives `block` the box's shape; a box without reductions may be 1-D.
        `state` holds the states of the streamed reductions, cut to this box; `nulls`, of the
        block's shape, is true where a value takes no part in reductions.
        """
        with np.errstate(all="ignore"):
            if self._by_table(block, out):
                return
            for rows in self._tiles(block):
                absent = nulls[rows] if nulls is not None else None
                tile = block[rows]
                self._transform_tile(tile, tile if out is block else out[rows], state or {}, absent)

    def _transform_tile(
        self, tile: Array, target: Array, state: State, nulls: Array | None
    ) -> None:
        work = self._load(tile)
        self.math.rounds = True
        self._steps(work, 0, len(self.program.chain.steps), state, nulls)
        if work is not target:
            self._store(work, tile, target)
        if self.program.exact:
            one_nan(target)

    def reduce(
        self, block: Array, step: int, state: State, nulls: Array | None = None
    ) -> ReductionState:
        """The state of `block` for the streamed reduction at `step` of the chain.

        `state` holds those of the streamed reductions before it, and what was found of its own in
        an earlier pass. May overwrite `block`.
        """
        with np.errstate(all="ignore"):
            work = self._load(block)
            self._steps(work, 0, step, state, nulls)
            reduction = self.reductions[step]
            if nulls is not None:
                np.copyto(work, NEUTRAL, where=nulls)
            streamed = self._kernels[step][0].reduction(self.program.exact)
            assert streamed is not None
            groups = as_groups(work, reduction.dims)
            tmp = self.buffer("tmp", work.dtype, work.size).reshape(groups.shape)
            outer, _, inner = groups.shape
            known = tuple(a.reshape(outer, inner) for a in state.get(step, ()))
            kept = reduction.kept(block.shape)
            return tuple(a.reshape(kept) for a in streamed.collect(groups, tmp, self.math, known))

    def _tiles(self, block: Array) -> Iterator[slice]:
        """Cut a box along its first dim, where no reduction runs through that."""
        row = math.prod(block.shape[1:])
        rows = max(1, TILE_BYTES // self.program.work.itemsize // max(1, row))
        if any(0 in r.dims for r in self.reductions.values()) or block.ndim == 0:
            rows = max(1, block.shape[0])
        for a in range(0, block.shape[0], rows):
            yield slice(a, a + rows)

    def _load(self, tile: Array) -> Array:
        """The tile in native byte order and its first working dtype: itself where it can be."""
        p = self.program
        native = p.source.newbyteorder("=")
        if p.integer_steps and not p.source.isnative:
            tile = self._copy("native", tile, native)
        for step in p.chain.steps[: p.integer_steps]:
            flat = tile.reshape(-1)
            tmp = self.buffer("tmp", native, flat.size)
            step.activation.kernel(flat, tmp, self.math, **step.arguments)
        if tile.dtype == p.work and tile.dtype.isnative and not self._rounds_exactly:
            return tile
        return self._copy("work", tile, p.work)

    def _copy(self, name: str, tile: Array, dtype: np.dtype[Any]) -> Array:
        copy = self.buffer(name, dtype, tile.size).reshape(tile.shape)
        if tile.dtype == BFLOAT16:
            if dtype == np.float32:
                bfloat16.widen(tile, copy)
            else:
                np.copyto(copy, bfloat16.as_floats(tile))
        elif tile.dtype == np.float16 and dtype == np.float32 and tile.dtype.isnative:
            widen(tile, copy)
        else:
            np.copyto(copy, tile, casting="unsafe")
        return copy

    def _store(self, work: Array, tile: Array, target: Array) -> None:
        """Round `work`, the results for `tile` and of no more use, into `target`."""
        steps = self.program.chain.steps[self.program.integer_steps :]
        if self._rounds_exactly and (self.math.rounds or len(steps) > 1):
            x, y, out = (a.reshape(-1) for a in (work, tile, target))
            round_exactly(x, y, out, steps, self.program.natural, self.buffer)
            return
        halves = target.dtype in (np.float16, BFLOAT16)
        if halves and self.program.exact and work.dtype == np.float64:
            work = narrow_to_odd(work)
        if target.dtype == BFLOAT16 and work.dtype.kind != "f":
            np.copyto(target, bfloat16.as_bfloat16(work))
        elif target.dtype == BFLOAT16:
            tmp = self.buffer("tmp", work.dtype, work.size).reshape(work.shape)
            bfloat16.narrow(work, tmp, target)
        elif target.dtype == np.float16 and work.dtype == np.float32 and target.dtype.isnative:
            narrow(work, self.buffer("tmp", work.dtype, work.size).reshape(work.shape), target)
        else:
            np.copyto(target, work, casting="unsafe")

    def _by_table(self, block: Array, out: Array) -> bool:
        """Do an elementwise chain of float16 or bfloat16 by looking up each of 65,536 values."""
        program = self.program
        half = program.source
        small = block.nbytes < TILE_BYTES and self._table is None
        if small or self.reductions or half not in (np.dtype(np.float16), BFLOAT16):
            return False
        if program.result != half:
            return False
        if self._table is None:
            self._table = LookupTable.of(half, lambda x, y: self._transform_tile(x, y, {}, None))
        x, y = block.reshape(-1), out.reshape(-1)
        for a in range(0, x.size, LOOK_UPS):
            part = slice(a, a + LOOK_UPS)
            scratch = self.buffer("scratch", np.dtype(np.intp), min(LOOK_UPS, x.size - a))
            self._table.look_up(x[part], y[part], scratch)
        return True

    def _steps(self, work: Array, first: int, last: int, state: State, nulls: Array | None) -> None:
        """Run steps `first` to `last` on the tile `work`, in place."""
        flat = work.reshape(-1)
        tmp = self.buffer("tmp", work.dtype, flat.size)
        for number in range(max(first, self.program.integer_steps), last):
            activation, arguments = self._kernels[number]
            reduction = self.reductions.get(number)
            if reduction is None:
                activation.kernel(flat, tmp, self.math, **arguments)
                continue
            if nulls is not None:
                np.copyto(work, NEUTRAL, where=nulls)
            groups = as_groups(work, reduction.dims)
            scratch = tmp.reshape(groups.shape)
            streamed = activation.reduction(self.program.exact)
            if reduction.streamed and streamed is not None:
                outer, _, inner = groups.shape
                known = tuple(a.reshape(outer, inner) for a in state[number])
                streamed.finish(groups, scratch, self.math, known)
            else:
                activation.kernel(groups, scratch, self.math, **arguments)
            from_groups(groups, work, reduction.dims)


_here = threading.local()


def engine_for(program: Program, reductions: tuple[Reduction, ...]) -> Engine:
    """This thread's engine for the program, its buffers kept from call to call."""
    engines: dict[Any, Engine] = _here.__dict__.setdefault("engines", {})
    key = (program, reductions)
    if key not in engines:
        if len(engines) >= ENGINES:
            engines.clear()
        engines[key] = Engine(program, reductions)
    return engines[key]


def merge_states(
    program: Program, step: int, a: ReductionState, b: ReductionState
) -> ReductionState:
    """The state of two parts of the same groups together."""
    streamed = program.chain.steps[step].activation.reduction(program.exact)
    assert streamed is not None
    with np.errstate(all="ignore"):
        return streamed.merge(a, b)


def apply(
    chain: Chain | str,
    tensor: ArrayLike,
    /,
    *,
    dtype: np.dtype[Any] | None = None,
    compute_dtype: np.dtype[Any] | None = None,
    exact: bool = False,
) -> NDArray[Any]:
    """Apply a chain, or the text of one, to a tensor in memory: a new array of the same shape.

    float16, float32 and float64 keep their dtype and byte order; integers and booleans become
    `np.result_type(dtype, np.float32)`, save where relu with whole parameters keeps them. `dtype`
    is the dtype of the result where it should be another, `compute_dtype` (float32 or float64) the
    one to compute in. An exact result of float16 or float32 is within 0.51 ULP, one of float64
    within 2 ULP of each step, and its bytes are the same on every processor.

    Raises ChainSyntaxError for a text that is no chain, UsageError for an axis that the tensor
    does not have, DataError for dtypes that are not numeric.
    """
    if isinstance(chain, str):
        chain = Chain.parse(chain)
    array = np.asarray(tensor)
    known = array.dtype
    if known.name == "bfloat16":  # as ml_dtypes and JAX have it
        array = array.view(BFLOAT16)
    program = Program.make(
        chain, array.dtype, dtype=dtype, compute_dtype=compute_dtype, exact=exact
    )
    # A chunk as large as the tensor: every reduction is resident
    whole = max(1, array.size * 8)
    plan = plan_tensor(chain, array.shape, program.work, chunk_bytes=whole, exact=exact)
    stage = plan.stages[0]
    block = np.array(array, order="C").reshape(stage.dims)
    out = np.empty(stage.dims, program.result)
    Engine(program, stage.reductions).transform(block, out)
    out = out.reshape(array.shape)
    return out.view(known) if out.dtype == BFLOAT16 and known.name == "bfloat16" else out

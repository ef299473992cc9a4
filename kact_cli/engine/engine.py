"""A chain over one block in memory, in cache-sized tiles; `program` says in which dtypes."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kact_cli.activations import arithmetic
from kact_cli.engine import bfloat16
from kact_cli.engine.float16 import narrow, widen
from kact_cli.engine.groups import as_groups, from_groups
from kact_cli.engine.lookup import LookupTable
from kact_cli.engine.plan import Reduction
from kact_cli.engine.program import Program
from kact_cli.engine.quantize import Affine, dequantize, quantize
from kact_cli.engine.rounding import narrow_to_odd, one_nan, round_exactly
from kact_cli.types import BFLOAT16, Array, ReductionState, Shape, State

TILE_BYTES = 1024 * 1024
"""A tile and its scratch buffer stay in the caches near a core. Shorter ones compute no slower, but
two threads and more then wait for the interpreter more often."""

LOOK_UPS = 256 * 1024
"""Values of float16 that are looked up in one go: their indices take four times their memory."""

NEUTRAL = -math.inf
"""What stands for a null in a reduction: exp(-inf) adds nothing, and is no maximum."""
ENGINES = 8
"""How many programs a thread keeps buffers for."""


class Engine:
    """Runs a program's steps over blocks, reusing its buffers; one for each thread."""

    def __init__(
        self,
        program: Program,
        reductions: Sequence[Reduction] = (),
        channels: Sequence[int | None] = (),
    ) -> None:
        """`channels` are the dims along which input and result have a scale for each index."""
        self.program = program
        self.reductions = {r.step: r for r in reductions}
        # Looked up once: a tile takes some ten microseconds
        self._kernels = [(s.activation, s.arguments) for s in program.chain.steps]
        self.math = arithmetic(program.natural, program.work, exact=program.exact)
        # Elementwise results for fewer digits than they are computed in
        few = program.rounded.itemsize < 8
        self._rounds_exactly = program.exact and not self.reductions and few
        self._channels = tuple(channels) or (None, None)
        self._buffers: dict[str, Array] = {}
        self._table: LookupTable | None = None

    def buffer(self, name: str, dtype: np.dtype[Any], size: int) -> Array:
        buffer = self._buffers.get(name)
        if buffer is None or buffer.dtype != dtype or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, dtype)
        return buffer[:size]

    def transform(
        self,
        block: Array,
        out: Array,
        state: State | None = None,
        nulls: Array | None = None,
        start: Shape = (),
    ) -> None:
        """Write the chain of `block` into `out`; they may be the same memory.

        Both are contiguous views of a box; `block` has the program's source dtype and `out` its
        result's. The caller gives `block` the box's shape; a box without reductions may be 1-D.
        `state` holds the states of the streamed reductions, cut to this box; `nulls`, of the
        block's shape, is true where a value takes no part in reductions. `start` is where the box
        starts, which scales along a dim depend on.
        """
        with np.errstate(all="ignore"):
            if self._by_table(block, out):
                return
            for rows in self._tiles(block):
                absent = nulls[rows] if nulls is not None else None
                tile = block[rows]
                at = (start[0] + rows.start, *start[1:]) if start else ()
                target = tile if out is block else out[rows]
                self._transform_tile(tile, target, state or {}, absent, at)

    def _transform_tile(
        self, given: Array, target: Array, state: State, nulls: Array | None, start: Shape = ()
    ) -> None:
        tile = self._dequantized(given, start)
        work = self._load(tile)
        self.math.rounds = True
        self._steps(work, 0, len(self.program.chain.steps), state, nulls)
        if (out := self.program.quantize_out) is not None:
            rounded = self.buffer("rounded", self.program.rounded, work.size).reshape(work.shape)
            self._store(work, tile, rounded)
            affine = Affine.of(out, target.shape, start, self._channels[1])
            quantize(rounded, affine, target, half_away=out.half_away)
        elif work is not target:
            self._store(work, tile, target)
        if self.program.exact:
            one_nan(target)

    def _dequantized(self, tile: Array, start: Shape) -> Array:
        """What the integers of a tile stand for; the tile itself where that is themselves."""
        if (given := self.program.quantize_in) is None:
            return tile
        out = self.buffer("given", np.dtype(np.float32), tile.size).reshape(tile.shape)
        dequantize(tile, Affine.of(given, tile.shape, start, self._channels[0]), out)
        return out

    def reduce(
        self,
        block: Array,
        step: int,
        state: State,
        nulls: Array | None = None,
        start: Shape = (),
    ) -> ReductionState:
        """The state of `block` for the streamed reduction at `step` of the chain.

        `state` holds those of the streamed reductions before it, and what was found of its own in
        an earlier pass. May overwrite `block`.
        """
        with np.errstate(all="ignore"):
            work = self._load(self._dequantized(block, start))
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
        """Do an elementwise chain of up to 16 bits by looking up each of 65,536 values at most."""
        program = self.program
        source, result = program.source, program.result
        halves = source in (np.dtype(np.float16), BFLOAT16) and result == source
        whole = program.quantize_in is not None and self._channels == (None, None)
        small = block.nbytes < (TILE_BYTES if halves else 1 << 8 * source.itemsize)
        if self.reductions or not (halves or whole) or (small and self._table is None):
            return False
        if self._table is None:

            def function(x: Array, y: Array) -> None:
                self._transform_tile(x, y, {}, None)

            self._table = LookupTable.of(source, result, function)
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


def engine_for(
    program: Program, reductions: tuple[Reduction, ...], channels: tuple[int | None, ...] = ()
) -> Engine:
    """This thread's engine for the program, its buffers kept from call to call."""
    engines: dict[Any, Engine] = _here.__dict__.setdefault("engines", {})
    key = (program, reductions, channels)
    if key not in engines:
        if len(engines) >= ENGINES:
            engines.clear()
        engines[key] = Engine(program, reductions, channels)
    return engines[key]


def merge_states(
    program: Program, step: int, a: ReductionState, b: ReductionState
) -> ReductionState:
    """The state of two parts of the same groups together."""
    streamed = program.chain.steps[step].activation.reduction(program.exact)
    assert streamed is not None
    with np.errstate(all="ignore"):
        return streamed.merge(a, b)

"""Plans: every element is written once, chunks are bounded, and a sequential plan is one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kact_cli.engine.plan
from kact_cli.chain import Chain
from kact_cli.engine.layout import Grid, grow, merge_axes, run_length, runs
from kact_cli.engine.plan import ALL_PASSES, TensorPlan, plan_tensor
from kact_cli.errors import UsageError

SHAPES = (
    st.lists(st.sampled_from([0, 1, 1, 2, 3, 4, 7]), max_size=6)
    .map(tuple)
    .filter(lambda s: math.prod(s) <= 3000)
)


@st.composite
def chains(draw: st.DrawFn, rank: int) -> Chain:
    axes = (
        st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True).map(
            lambda a: f"({','.join(map(str, a))},)"
        )
        if rank
        else st.just("none")
    )
    step = st.one_of(st.just("tanh"), st.just("softmax(none)"), axes.map("softmax({})".format))
    return Chain.parse(",".join(draw(st.lists(step, min_size=1, max_size=5))))


@st.composite
def plans(draw: st.DrawFn) -> tuple[TensorPlan, tuple[int, ...], int]:
    shape = draw(SHAPES)
    chunk = draw(st.sampled_from([1, 4, 12, 100, 1024, 1 << 20]))
    plan = plan_tensor(
        draw(chains(len(shape))),
        shape,
        np.dtype("f4"),
        chunk_bytes=chunk,
        fortran_order=draw(st.booleans()),
    )
    return plan, shape, max(1, chunk // 4)


def boxes(plan: TensorPlan, number: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The boxes that a stage's last pass writes, in the order of its units."""
    stage, found = plan.stages[number], []
    for units in plan.rounds(number):
        for unit in units:
            last = units.passed in (ALL_PASSES, stage.passes - 1)
            if not last:
                continue
            if unit.passed == ALL_PASSES:
                pairs = [
                    (s, c)
                    for s in range(unit.first, unit.last)
                    for c in range(len(stage.chunks(s)))
                ]
            else:
                pairs = [(unit.slab, c) for c in range(unit.first, unit.last)]
            for slab, chunk in pairs:
                corner, _ = stage.slabs.box(slab)
                start, shape = stage.chunks(slab).box(chunk)
                found.append((tuple(a + b for a, b in zip(corner, start, strict=True)), shape))
    return found


def check(plan: TensorPlan, shape: tuple[int, ...], limit: int, state: int) -> None:
    steps = [i for stage in plan.stages for i in range(stage.first, stage.last)]
    assert steps == list(range(len(plan.chain.steps)))
    for number, stage in enumerate(plan.stages):
        assert math.prod(stage.dims) == math.prod(shape)
        written = np.zeros(math.prod(stage.dims), int)
        at, ordered = 0, True
        for start, box in boxes(plan, number):
            assert 0 < math.prod(box) <= limit
            for offset, count in runs(stage.dims, start, box):
                written[offset : offset + count] += 1
                ordered &= offset == at
                at = offset + count
        assert (written == 1).all()
        assert not stage.sequential or (ordered and stage.passes == 1)
        assert stage.state_elements() <= max(state, len(stage.streamed))
        for reduction in stage.reductions:
            for d in reduction.dims:
                assert stage.slab[d] == stage.dims[d]
                assert reduction.streamed or stage.chunk[d] == stage.dims[d]
    assert plan.sequential == (len(plan.stages) == 1 and plan.stages[0].sequential)


@given(plans())
def test_every_element_is_written_once(made: tuple[TensorPlan, tuple[int, ...], int]) -> None:
    check(*made, state=2**20)


@pytest.mark.parametrize("unit", [1, 64])
@pytest.mark.parametrize("state", [12, 60, 400])
@given(st.data())
def test_little_room_for_statistics_and_small_units(
    state: int, unit: int, data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kact_cli.engine.plan, "STATE_BYTES", state)
        patch.setattr(kact_cli.engine.plan, "UNIT_BYTES", unit)
        plan, shape, limit = data.draw(plans())
        check(plan, shape, limit, state=state // 12)


@pytest.mark.parametrize(
    ("shape", "chain", "passes", "stages"),
    [
        ((3, 10**10), "tanh", 1, 1),
        ((4_000_000, 64), "softmax(axis=0)", 2, 1),
        ((4_000_000, 64), "softmax", 1, 1),
        ((250_000_000,), "softmax", 2, 1),
        ((3, 80_000_000), "softmax", 2, 1),
        ((3, 80_000_000), "softmax(axis=0)", 1, 1),
        ((1000, 1000, 1000), "softmax(axis=1)", 1, 1),
        ((100_000, 100_000), "softmax,softmax(axis=0)", 2, 1),
        ((10**6, 10**6), "softmax(axis=0),softmax,tanh", 2, 1),
    ],
)
def test_passes_over_large_tensors(
    shape: tuple[int, ...], chain: str, passes: int, stages: int
) -> None:
    plan = plan_tensor(Chain.parse(chain), shape, np.dtype("f4"))
    assert (plan.passes, len(plan.stages)) == (passes, stages)
    for stage in plan.stages:
        assert stage.chunk_elements * 4 <= kact_cli.engine.plan.GROUP_BYTES
        assert stage.state_elements() * 12 <= kact_cli.engine.plan.STATE_BYTES


def test_many_different_reductions_are_planned_quickly() -> None:
    axes = [[d for d in range(5) if mask >> d & 1] for mask in range(1, 32)]
    chain = ",".join(f"softmax(({','.join(map(str, a))},))" for a in axes)
    shape = (101, 102, 103, 104, 105)
    plan = plan_tensor(Chain.parse(chain), shape, np.dtype("f4"))
    assert plan.stages[0].first == 0
    assert plan.stages[-1].last == 31


@pytest.mark.parametrize(
    ("chain", "shape"),
    [
        ("softmax(axis=2)", (3, 4)),
        ("softmax(axis=-3)", (3, 4)),
        ("softmax", ()),
        ("softmax((0,0))", (3, 4)),
        ("softmax((0,-2))", (3, 4)),
        ("tanh,softmax(1)", (0,)),
    ],
)
def test_axes_that_are_not_there(chain: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        plan_tensor(Chain.parse(chain), shape, np.dtype("f4"))


@given(SHAPES, st.lists(st.frozensets(st.integers(0, 5)), max_size=4))
def test_merged_axes_hold_the_same_elements(shape: Any, groups: Any) -> None:
    groups = [frozenset(a for a in group if a < len(shape)) for group in groups]
    dims, reduced = merge_axes(shape, groups)
    assert math.prod(dims) == math.prod(shape)
    for group, dims_of_it in zip(groups, reduced, strict=True):
        assert math.prod(dims[d] for d in dims_of_it) == math.prod(shape[a] for a in group)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple), st.data())
def test_grids_and_runs_cover_a_block(dims: tuple[int, ...], data: st.DataObject) -> None:
    tile = tuple(data.draw(st.integers(1, d)) for d in dims)
    grid, seen = Grid(dims, tile), np.zeros(dims, int)
    for index in range(len(grid)):
        start, shape = grid.box(index)
        box = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
        seen[box] += 1
        cover = np.zeros(math.prod(dims), int)
        for offset, count in runs(dims, start, shape):
            cover[offset : offset + count] += 1
        assert cover.reshape(dims)[box].all()
        assert cover.sum() == math.prod(shape)
        if shape == tile:
            first = next(iter(runs(dims, start, shape)))[1]
            assert first >= run_length(dims, tile) or math.prod(tile) == 1
    assert (seen == 1).all()
    limit = data.draw(st.integers(1, 50))
    grown = grow(dims, (1,) * len(dims), dims, limit)
    assert math.prod(grown) <= limit

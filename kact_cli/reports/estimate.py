"""What a plan will cost in memory and temporary disk, before it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kact_cli.engine.engine import TILE_BYTES
from kact_cli.engine.plan import TensorPlan
from kact_cli.engine.program import Program
from kact_cli.parallel.pools import worker_count

BASE_BYTES = 33 * 1024 * 1024
"""Python, NumPy and Click, as measured on Linux."""
TABLE_BASE_BYTES, TABLE_WORKER_BYTES, TABLE_COLUMN_BYTES = 85 << 20, 16 << 20, 256 << 10
"""The same with pyarrow; what a worker on a table adds, and each column of a tensor of several."""


@dataclass(frozen=True)
class Estimate:
    """Bytes of memory and of temporary disk, and how many workers share the memory."""

    workers: int
    memory: int
    disk: int
    spooled: int
    """Temporary disk that a pipe at either end would take on top."""

    @classmethod
    def make(cls, program: Program, plan: TensorPlan, jobs: int | None) -> Estimate:
        """Estimate a plan run by `jobs` processes, or by a thread for each core."""
        workers = worker_count(jobs)
        processes = jobs if jobs and jobs > 1 else 0
        each = state = 0
        for stage in plan.stages:
            chunk = stage.chunk_elements
            tile = min(chunk, TILE_BYTES // program.work.itemsize)
            if stage.reductions:
                tile = chunk  # a group is computed whole
            bytes_ = chunk * program.source.itemsize
            if program.result != program.source:
                bytes_ += chunk * program.result.itemsize
            # The tile in its working dtype, the scratch buffer, and what a kernel allocates
            each = max(each, bytes_ + 3 * tile * program.work.itemsize)
            state = max(state, stage.state_elements() * (program.work.itemsize + 8))
        total = math.prod(plan.stages[0].dims)
        return cls(
            workers,
            BASE_BYTES * (1 + processes) + workers * each + 3 * state,
            total * program.work.itemsize * min(len(plan.stages) - 1, 2),
            total * (program.source.itemsize + program.result.itemsize),
        )


def estimate_table(jobs: int | None, columns: int) -> int:
    """Bytes of memory that a table takes, whose widest tensor has that many columns."""
    processes = jobs if jobs and jobs > 1 else 0
    workers = worker_count(jobs) * TABLE_WORKER_BYTES
    return TABLE_BASE_BYTES * (1 + processes) + workers + columns * TABLE_COLUMN_BYTES

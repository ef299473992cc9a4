"""What a plan will cost in memory and temporary disk, before it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kact_cli.engine import TILE_BYTES, Program
from kact_cli.plan import Plan
from kact_cli.workers import usable_cores

BASE_BYTES = 33 * 1024 * 1024
"""Python, NumPy and Click, as measured on Linux."""


@dataclass(frozen=True)
class Estimate:
    """Bytes of memory and of temporary disk, and how many workers share the memory."""

    workers: int
    memory: int
    disk: int
    spooled: int
    """Temporary disk that a pipe at either end would take on top."""

    @classmethod
    def make(cls, program: Program, plan: Plan, jobs: int | None) -> Estimate:
        """Estimate a plan run by `jobs` processes, or by a thread for each core."""
        workers = jobs or usable_cores()
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


def human(count: int) -> str:
    """A number of bytes in the largest unit that keeps it above one: `1.5 MiB`."""
    size, units = float(count), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{count:,} bytes" if units[0] == "bytes" else f"{size:.4g} {units[0]}"

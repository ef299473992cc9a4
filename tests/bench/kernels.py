"""Nanoseconds an element for each kernel on one cache-sized tile, against torch with one thread.

    pip install -e '.[bench]'
    python tests/bench/kernels.py [ROUNDS]

kact and torch run alternately, each for a few milliseconds a round; the medians are printed. Both
overwrite their tile, so both copy their input in first, and that copy's own time is taken off.
Float16 goes through `kact_cli.engine.float16`: elementwise by a table, softmax by way of float32.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import torch

from kact_cli.activations import ACTIVATIONS
from kact_cli.engine import float16
from kact_cli.engine.engine import LOOK_UPS, TILE_BYTES

SECONDS = 4e-3
SOFTMAX_SHAPES = {
    "softmax 10 columns": (10, 1),
    "softmax 100 columns": (100, 1),
    "softmax 1000 columns": (1000, 1),
    "softmax 50000 columns": (50_000, 1),
    "softmax axis 0 of 64 columns": (None, 64),
}
Run = Callable[[], object]

TORCH: dict[str, Callable[[torch.Tensor, torch.Tensor], object]] = {
    "relu": lambda x, out: torch.clamp(x, min=0, out=out),
    "sigmoid": lambda x, out: torch.sigmoid(x, out=out),
    "softplus": lambda x, out: torch._C._nn.softplus(x, out=out),
    "softsign": lambda x, out: torch.div(x, torch.abs(x, out=out).add_(1), out=out),
    "tanh": lambda x, out: torch.tanh(x, out=out),
    "selu": lambda x, out: torch.selu_(x),
    "elu": lambda x, out: torch._C._nn.elu(x, out=out),
    "exponential": lambda x, out: torch.exp(x, out=out),
}


def elementwise(name: str, source: np.ndarray[Any, Any]) -> tuple[Run, Run]:
    """kact's and torch's run of one activation over a copy of `source`."""
    kernel = ACTIVATIONS[name].kernel
    x, tmp = source.copy(), np.empty_like(source)

    def kact() -> None:
        np.copyto(x, source)
        kernel(x, tmp)

    def kact_float16() -> None:
        np.copyto(x, source)
        for a in range(0, x.size, LOOK_UPS):
            part = x[a : a + LOOK_UPS]
            table.look_up(part, part, scratch[: part.size])

    if source.dtype == np.float16:
        table = float16.Table.of(kernel)
        scratch = np.empty(LOOK_UPS, np.intp)
    given, tx = torch.from_numpy(source.copy()), torch.from_numpy(source.copy())
    out = torch.empty_like(tx)

    def peer() -> None:
        tx.copy_(given)
        TORCH[name](tx, out)

    return (kact_float16 if source.dtype == np.float16 else kact), peer


def softmax(source: np.ndarray[Any, Any]) -> tuple[Run, Run]:
    """The same for softmax along axis 1 of (outer, length, inner)."""
    kernel = ACTIVATIONS["softmax"].kernel
    wide = np.float32 if source.dtype == np.float16 else source.dtype
    x, tmp = source.astype(wide), np.empty_like(source, wide)
    result = np.empty_like(source)
    given, tx = torch.from_numpy(source.copy()), torch.from_numpy(source.copy())
    out = torch.empty_like(tx)
    rows = tx.shape[2] == 1

    def kact() -> None:
        if source.dtype == np.float16:
            np.copyto(result, source)
            float16.widen(result, x)
            kernel(x, tmp)
            float16.narrow(x, tmp, result)
        else:
            np.copyto(x, source)
            kernel(x, tmp)

    def peer() -> None:
        tx.copy_(given)
        if rows:
            torch.softmax(tx[:, :, 0], 1, out=out[:, :, 0])
        else:
            torch.softmax(tx, 1, out=out)

    return kact, peer


def cases(dtype: Any) -> Iterator[tuple[str, int, tuple[Run, Run]]]:
    """Every row of the table: its name, its elements, and its two runs."""
    rng = np.random.default_rng(0)
    count = TILE_BYTES // max(np.dtype(dtype).itemsize, 4)
    for name in TORCH:
        yield name, count, elementwise(name, (rng.standard_normal(count) * 3).astype(dtype))
    for name, (length, inner) in SOFTMAX_SHAPES.items():
        length = length or count // inner
        shape = (max(1, count // length // inner), length, inner)
        source = (rng.standard_normal(shape) * 3).astype(dtype)
        yield name, source.size, softmax(source)


def nanoseconds(runs: list[Run], elements: int, rounds: int) -> list[float]:
    """The median time of each run an element, the runs taking turns."""
    times: list[list[float]] = [[] for _ in runs]
    counts = []
    for run in runs:
        run()
        start = time.perf_counter()
        run()
        counts.append(max(1, int(SECONDS / (time.perf_counter() - start))))
    for _ in range(rounds):
        for run, count, taken in zip(runs, counts, times, strict=True):
            start = time.perf_counter()
            for _ in range(count):
                run()
            taken.append((time.perf_counter() - start) / count / elements * 1e9)
    return [median(taken) for taken in times]


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    print("| ns/element (kact, torch, ratio) | float16 | float32 | float64 |\n|---|---|---|---|")
    rows: dict[str, list[str]] = {}
    with np.errstate(all="ignore"):
        for dtype in (np.float16, np.float32, np.float64):
            for name, elements, (kact, peer) in cases(dtype):
                source, target = (np.zeros(elements, dtype) for _ in range(2))
                copy: Run = partial(np.copyto, target, source)
                mine, theirs, copied = nanoseconds([kact, peer, copy], elements, rounds)
                mine -= copied
                theirs -= copied
                cell = f"{mine:.2f}, {theirs:.2f}, **{mine / theirs:.2f}**"
                rows.setdefault(name, []).append(cell)
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)

"""Nanoseconds an element for each activation on one cache-sized tile, beside torch on one thread.

    pip install -e '.[bench]'
    python -m tests.bench.kernels [--rounds 7] [--only WORD] [--dtypes float32,float64]

kact and torch as they are on this processor, both again without AVX-512 (`without_avx512`), and
kact with `--exact`. They run alternately, each for a few milliseconds a round; medians of processor
time are printed. kact overwrites its tile, so it copies its input in first, and that copy's time is
taken off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from kact_cli.chain import Chain
from kact_cli.engine.engine import TILE_BYTES, Engine
from kact_cli.engine.plan import plan_tensor
from kact_cli.engine.program import Program
from tests.bench.processor import processor, without_avx512

SECONDS = 4e-3
DTYPES = ("float16", "float32", "float64")
Run = Callable[[], object]

ELEMENTWISE = (
    "relu", "sigmoid", "softplus", "softsign", "tanh", "selu", "elu", "exponential", "gelu",
    "gelu(approximate=true)", "silu", "mish", "hard_silu", "hard_sigmoid(alpha=1/6)", "leaky_relu",
    "relu6", "celu", "log_sigmoid", "hard_shrink", "soft_shrink", "tanh_shrink",
)  # fmt: skip
SOFTMAX_SHAPES = {
    "softmax 10 columns": (10, 1),
    "softmax 100 columns": (100, 1),
    "softmax 1000 columns": (1000, 1),
    "softmax 50000 columns": (50_000, 1),
    "softmax axis 0 of 64 columns": (0, 64),
}


def cases(dtype: str) -> Iterator[tuple[str, str, np.ndarray[Any, Any]]]:
    """Every row of the table: its name, its chain, and its input."""
    rng = np.random.default_rng(0)
    count = TILE_BYTES // np.dtype(dtype).itemsize
    for name in ELEMENTWISE:
        yield name, name, (rng.standard_normal(count) * 3).astype(dtype)
    for name, (length, inner) in SOFTMAX_SHAPES.items():
        length = length or count // inner
        shape = (max(1, count // length // inner), length, inner)
        yield name, "softmax(axis=1)", (rng.standard_normal(shape) * 3).astype(dtype)


def kact(chain: str, source: np.ndarray[Any, Any], *, exact: bool = False) -> Run:
    """kact's run over a copy of `source`."""
    parsed = Chain.parse(chain)
    program = Program.make(parsed, source.dtype, exact=exact)
    whole = source.size * 8
    plan = plan_tensor(parsed, source.shape, program.work, chunk_bytes=whole, exact=exact)
    stage = plan.stages[0]
    engine = Engine(program, stage.reductions)
    given = source.reshape(stage.dims)
    block = given.copy()

    def run() -> None:
        np.copyto(block, given)
        engine.transform(block, block)

    return run


def peer(name: str, source: np.ndarray[Any, Any]) -> Run:
    """torch's run of the same."""
    import torch

    torch.set_num_threads(1)
    x = torch.from_numpy(source.copy())
    out = torch.empty_like(x)
    elementwise: dict[str, Run] = {
        "relu": lambda: torch.clamp(x, min=0, out=out),
        "sigmoid": lambda: torch.sigmoid(x, out=out),
        "softplus": lambda: torch._C._nn.softplus(x, out=out),
        "softsign": lambda: torch.div(x, torch.abs(x, out=out).add_(1), out=out),
        "tanh": lambda: torch.tanh(x, out=out),
        "selu": lambda: torch.selu_(out.copy_(x)),
        "elu": lambda: torch._C._nn.elu(x, out=out),
        "exponential": lambda: torch.exp(x, out=out),
        "gelu": lambda: torch._C._nn.gelu(x, out=out),
        "gelu(approximate=true)": lambda: torch._C._nn.gelu(x, approximate="tanh", out=out),
        "silu": lambda: torch._C._nn.silu(x, out=out),
        "mish": lambda: torch._C._nn.mish(x, out=out),
        "hard_silu": lambda: torch._C._nn.hardswish(x, out=out),
        "hard_sigmoid(alpha=1/6)": lambda: torch._C._nn.hardsigmoid(x, out=out),
        "leaky_relu": lambda: torch._C._nn.leaky_relu(x, 0.2, out=out),
        "relu6": lambda: torch._C._nn.hardtanh(x, 0, 6, out=out),
        "celu": lambda: torch.celu_(out.copy_(x)),
        "log_sigmoid": lambda: torch._C._nn.log_sigmoid(x, out=out),
        "hard_shrink": lambda: torch.hardshrink(x, 0.5, out=out),
        "soft_shrink": lambda: torch._C._nn.softshrink(x, 0.5, out=out),
        "tanh_shrink": lambda: torch.sub(x, torch.tanh(x, out=out), out=out),
    }
    if name in elementwise:
        return elementwise[name]
    if x.shape[2] == 1:
        return lambda: torch.softmax(x[:, :, 0], 1, out=out[:, :, 0])
    return lambda: torch.softmax(x, 1, out=out)


def nanoseconds(runs: list[Run], elements: int, rounds: int) -> list[float]:
    """The median processor time of each run an element, the runs taking turns."""
    times: list[list[float]] = [[] for _ in runs]
    counts = []
    for run in runs:
        run()
        start = time.thread_time()
        run()
        counts.append(max(1, int(SECONDS / (time.thread_time() - start))))
    for _ in range(rounds):
        for run, count, taken in zip(runs, counts, times, strict=True):
            start = time.thread_time()
            for _ in range(count):
                run()
            taken.append((time.thread_time() - start) / count / elements * 1e9)
    return [median(taken) for taken in times]


def measure(rounds: int, only: str, dtypes: list[str]) -> dict[str, list[float]]:
    """Nanoseconds for each row and dtype: kact, torch, and kact exactly."""
    found = {}
    for dtype in dtypes:
        for name, chain, source in cases(dtype):
            if only not in name:
                continue
            runs: list[Run] = [partial(np.copyto, np.empty_like(source), source)]
            runs += [kact(chain, source), kact(chain, source, exact=True), peer(name, source)]
            copied, mine, exact, torch = nanoseconds(runs, source.size, rounds)
            found[f"{name} {dtype}"] = [mine - copied, torch, exact - copied]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--json", action="store_true", help="print what was measured, and no more")
    chosen = parser.parse_args()
    dtypes = chosen.dtypes.split(",")
    here = measure(chosen.rounds, chosen.only, dtypes)
    if chosen.json:
        print(json.dumps(here))
        return
    command = [sys.executable, "-m", "tests.bench.kernels", *sys.argv[1:], "--json"]
    child = subprocess.run(command, env=without_avx512(), stdout=subprocess.PIPE, check=True)
    there: dict[str, list[float]] = json.loads(child.stdout)
    print(f"{processor()}; NumPy {np.__version__}")
    titles = "kact | torch | ratio | kact, AVX2 | torch, AVX2 | ratio | exact | exact / kact"
    for dtype in dtypes:
        print(f"\n| {dtype}, ns | {titles} |\n|---|---|---|---|---|---|---|---|---|")
        for name in (*ELEMENTWISE, *SOFTMAX_SHAPES):
            if only := here.get(f"{name} {dtype}"):
                cells = [name]
                for mine, torch, _ in (only, there[f"{name} {dtype}"]):
                    cells += [f"{mine:.2f}", f"{torch:.2f}", f"{mine / torch:.2f}"]
                cells += [f"{only[2]:.2f}", f"{only[2] / only[0]:.1f}"]
                print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

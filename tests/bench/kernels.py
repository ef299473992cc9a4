"""Nanoseconds an element for each activation on one cache-sized tile, beside torch on one thread.

    pip install -e '.[bench]'
    python -m tests.bench.kernels [ROUNDS]

Four columns: kact as it is on this processor, kact without the features beyond NumPy's baseline
(AVX2, AVX-512, …, by running itself in a child with NPY_DISABLE_CPU_FEATURES), kact with `--exact`,
and torch. They run alternately, each for a few milliseconds a round; medians of processor time are
printed. kact overwrites its tile, so it copies its input in first, and that copy's time is taken
off.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from kact_cli.activations.arithmetic.fast import features
from kact_cli.chain import Chain
from kact_cli.engine.engine import TILE_BYTES, Engine
from kact_cli.engine.plan import plan_tensor
from kact_cli.engine.program import Program

SECONDS = 4e-3
DISABLE = "NPY_DISABLE_CPU_FEATURES"
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


def measure(rounds: int, *, peers: bool) -> dict[str, list[float]]:
    """Nanoseconds for each row and dtype: kact, and with `peers` kact exactly, and torch."""
    found = {}
    for dtype in DTYPES:
        for name, chain, source in cases(dtype):
            runs: list[Run] = [partial(np.copyto, np.empty_like(source), source)]
            runs.append(kact(chain, source))
            if peers:
                runs += [kact(chain, source, exact=True), peer(name, source)]
            copied, *taken = nanoseconds(runs, source.size, rounds)
            own = taken[:2] if peers else taken
            found[f"{name} {dtype}"] = [t - copied for t in own] + taken[2:]
    return found


def baseline(rounds: int) -> dict[str, list[float]]:
    """The same in a child without the features that NumPy dispatches on."""
    core = import_module("numpy._core._multiarray_umath")
    names = [n for n in core.__cpu_dispatch__ if core.__cpu_features__.get(n)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.kernels", str(rounds), "--child"],
        env={**os.environ, DISABLE: " ".join(names)},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def processor() -> str:
    """Its name and the features that decide how NumPy computes."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor()
    telling = ("AVX2", "FMA3", "AVX512_SKX", "X86_V3", "X86_V4", "ASIMD", "SVE")
    return f"{name}: {', '.join(f for f in telling if f in features()) or 'baseline alone'}"


def main(rounds: int) -> None:
    print(f"{processor()}; NumPy {np.__version__}\n")
    here, without = measure(rounds, peers=True), baseline(rounds)
    for dtype in DTYPES:
        print(f"| {dtype}, ns | kact | baseline | exact | torch | kact / torch | exact / kact |")
        print("|---|---|---|---|---|---|---|")
        for name in (*ELEMENTWISE, *SOFTMAX_SHAPES):
            mine, exact, torch = here[f"{name} {dtype}"]
            (bare,) = without[f"{name} {dtype}"]
            print(
                f"| {name} | {mine:.2f} | {bare:.2f} | {exact:.2f} | {torch:.2f} "
                f"| {mine / torch:.2f} | {exact / mine:.1f} |"
            )
        print()


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    if "--child" in sys.argv:
        print(json.dumps(measure(count, peers=False)))
    else:
        main(count)

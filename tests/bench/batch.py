"""`kact batch --jobs 2` against `--jobs 1`, on a chain that computes more than it copies.

    python tests/bench/batch.py [--rounds 5] [--directory /dev/shm]

64 files of 32 MB. Prints for each round the seconds and the CPU seconds of both, and the medians of
the ratios: of the seconds, what a quiet machine gains; of the CPU seconds, what the sharing costs,
which a busy machine shows as well.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

CHAIN = ",".join(["softplus,tanh,selu,sigmoid"] * 5)


def measure(source: Path, target: Path, jobs: int) -> tuple[float, float]:
    """Seconds and CPU seconds of a run."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = ["batch", CHAIN, str(source), "-o", str(target), "--jobs", str(jobs), "--quiet"]
    subprocess.run([sys.executable, "-m", "kact_cli", *run], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", default="/dev/shm")
    given = parser.parse_args()
    gains, costs = [], []
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        source = Path(directory, "in")
        source.mkdir()
        numbers = np.random.default_rng(0).normal(size=8 * 2**20).astype("f4")
        for number in range(64):
            np.save(source / f"{number:02}.npy", np.roll(numbers, number))
        for number in range(given.rounds):
            one = measure(source, Path(directory, f"one{number}"), 1)
            two = measure(source, Path(directory, f"two{number}"), 2)
            for name in ("one", "two"):
                shutil.rmtree(Path(directory, f"{name}{number}"))
            gains.append(one[0] / two[0])
            costs.append(two[1] / one[1])
            print(f"{one[0]:.2f} s ({one[1]:.2f} CPU), two jobs {two[0]:.2f} s ({two[1]:.2f} CPU)")
    print(f"two jobs are {median(gains):.2f} times as fast, for {median(costs):.2f} of the CPU")


if __name__ == "__main__":
    main()

"""Every float16 and every float32 through every elementwise activation, by default and exactly.

    python -m tests.activations.exhaustive [--part K/N] [NAME ...]

For each activation it prints the largest error of the default in ULP, and for `exact=True` how many
results are not the float32 nearest to the exact value: none is allowed. The exact value is the
float64 of `exact=True`, within 2 ULP, and where that lies within 2**-46 of the middle between two
float32, the declared formula in decimal numbers. An activation takes some four minutes
of one core; `--part 0/100` does every hundredth block of 65,536 numbers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from kact_cli import apply
from tests.tools.numbers import ELEMENTWISE, Array, decimal_value, exactly, ulp_error

MARGIN = 2.0**-46
BLOCK = 1 << 16
HALF = np.arange(1 << 16).astype(np.uint16).view(np.float16)


class Found(NamedTuple):
    """What some inputs have shown."""

    inputs: int = 0
    error: float = 0.0
    """The largest error of the default, in ULP."""
    near: int = 0
    """How many exact values lie near the middle between two numbers."""
    wrong: tuple[float, ...] = ()
    """The inputs whose exact result is not the nearest number."""

    def __add__(self, other: Found) -> Found:
        return Found(
            self.inputs + other.inputs,
            max(self.error, other.error),
            self.near + other.near,
            self.wrong + other.wrong,
        )


def check(name: str, x: Array) -> Found:
    """Apply the activation to float16 or float32 in both modes, and compare."""
    with np.errstate(all="ignore"):
        want = exactly(name, x.astype(np.float64))
        default, exact = apply(name, x), apply(name, x, exact=True)
        smaller = (want * (1 - MARGIN)).astype(x.dtype)
        larger = (want * (1 + MARGIN)).astype(x.dtype)
        error = ulp_error(default, want)
    near = (smaller != larger) & ~np.isnan(want)
    wrong = (exact != smaller) & ~(np.isnan(exact) & np.isnan(want)) & ~near
    bad = [float(value) for value in x[wrong]]
    for i in np.flatnonzero(near):
        if exact[i] != nearest(name, float(x[i]), smaller[i], larger[i]):
            bad.append(float(x[i]))
    return Found(x.size, float(error.max()), int(near.sum()), tuple(bad))


def nearest(name: str, x: float, smaller: np.floating, larger: np.floating) -> np.floating:
    """Which of two neighbours is nearer to the exact value, the even one where both are."""
    value = decimal_value(name, x).copy_abs()
    # Overflow begins half a step above the largest number
    middle = abs(float(smaller)) + float(np.spacing(abs(smaller))) / 2
    if value == middle:
        return smaller if int(smaller.view(f"u{smaller.itemsize}")) % 2 == 0 else larger
    return smaller if value < middle else larger


def float32_blocks(part: int = 0, parts: int = 1) -> Iterator[Array]:
    """Every float32, or every `parts`-th block of them."""
    low = np.arange(BLOCK, dtype=np.uint32)
    for high in range(part, 1 << 16, parts):
        yield (low | np.uint32(high << 16)).view(np.float32)


def total(name: str, blocks: Iterable[Array]) -> Found:
    found = Found()
    for block in blocks:
        found = found + check(name, block)
    return found


def main(arguments: list[str]) -> None:
    part, parts = 0, 1
    if arguments[:1] == ["--part"]:
        part, parts = map(int, arguments[1].split("/"))
        arguments = arguments[2:]
    print("| activation | dtype | inputs | default, ULP | near a middle | exact and wrong |")
    print("|---|---|---|---|---|---|")
    for name in arguments or ELEMENTWISE:
        for dtype, blocks in (("float16", [HALF]), ("float32", float32_blocks(part, parts))):
            start = time.process_time()
            f = total(name, blocks)
            taken = time.process_time() - start
            print(
                f"| {name} | {dtype} | {f.inputs:,} | {f.error:.3f} | {f.near:,} | {len(f.wrong)} "
                f"| {taken:.0f} s",
                *f.wrong[:20],
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])

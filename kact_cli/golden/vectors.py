"""Inputs for a test of an implementation: which values of a dtype, and the file they go to.

The file is a .npy, or a .safetensors, which keeps in its metadata how it was made. Equal choices
give equal bytes, on any machine: what is drawn at random comes from a seed, 0 unless the user says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kact_cli.chain import Chain
from kact_cli.errors import UsageError
from kact_cli.files.target import Target
from kact_cli.formats.declared import NPY, SAFETENSORS, Format
from kact_cli.formats.detect import output_format
from kact_cli.formats.npy import Header, write_header
from kact_cli.formats.safetensors import ALIGN, METADATA, NAMES
from kact_cli.golden.every import patterns, rising, specials
from kact_cli.golden.floats import Numbering
from kact_cli.golden.sample import COUNT, random_bits, spaced, stratified
from kact_cli.options import Options
from kact_cli.types import Array, dtype_name

MEMBER = "values"
"""What the tensor is called in a .safetensors."""
CANDIDATES = 1 << 18
"""How many values are tried for those that are hard to round."""


@dataclass(frozen=True)
class Vectors:
    """Which values: all that the user chose. Raises UsageError for what contradicts itself."""

    dtype: np.dtype[Any]
    every: bool = False
    """Every bit pattern, in the order of the bits; with a range, every value in it."""
    specials: bool = False
    """Whether NaN, infinities, zeros and subnormals come first."""
    first: float | None = None
    last: float | None = None
    count: int | None = None
    chain: Chain | None = None
    """Whose thresholds and ties are among the values."""
    seed: int | None = None
    """What a sample is drawn from; 0, unless the user says."""

    def __post_init__(self) -> None:
        if (self.first is None) != (self.last is None):
            raise UsageError("--from and --to are the two ends of a range: give both")
        ends = self.first or 0.0, self.last or 0.0
        if not np.isfinite(ends).all() or not ends[0] <= ends[1]:
            raise UsageError(f"--from {self.first:g} --to {self.last:g} is no range")
        name, few = dtype_name(self.dtype), self.dtype.itemsize <= 2
        if self.every and self.dtype.itemsize == 8:
            raise UsageError(f"--all: {name} has 2**64 values, more than any disk holds")
        if self.every and (self.count is not None or self.specials):
            flag = "--specials" if self.specials else "--count"
            raise UsageError(f"--all has every value already: leave out {flag}")
        if self.count is not None and few and self.first is None:
            raise UsageError(
                f"--count: {name} comes whole; with --from and --to it is a number of values"
            )
        if self.first is not None and not (few or self.every or self.count):
            raise UsageError(f"--from and --to: give --count, or --all for every {name} between")
        if self.seed is not None and not self.is_sample:
            raise UsageError("--seed is for a sample of float32 or float64, and this is none")
        if self.chain is not None and not self.is_sample:
            raise UsageError(
                "--chain adds values to a sample of float32 or float64, and this is none"
            )

    @property
    def is_sample(self) -> bool:
        """Whether the values are drawn, as of float32 and float64 unless the user says else."""
        return self.dtype.itemsize > 2 and not self.every and self.first is None

    @property
    def numbering(self) -> Numbering:
        return Numbering(self.dtype)

    def facts(self) -> dict[str, str]:
        """How the values were chosen, for whoever finds the file."""
        given = {
            "dtype": dtype_name(self.dtype),
            "all": "true" if self.every else None,
            "specials": "true" if self.specials else None,
            "from": self.first,
            "to": self.last,
            "count": COUNT if self.is_sample and self.count is None else self.count,
            "chain": self.chain,
            "seed": (self.seed or 0) if self.is_sample else None,
        }
        return {f"kact.values.{k}": str(v) for k, v in given.items() if v is not None}

    def plan(self) -> tuple[int, Iterator[Array]]:
        """How many values there are, and blocks of them."""
        n = self.numbering
        if self.every and self.first is None:
            return 1 << n.bits, patterns(n)
        if self.count is not None and self.first is not None and self.last is not None:
            chosen = spaced(n, self.first, self.last, self.count)
        elif self.is_sample:
            chosen = self._sample()
        else:
            low, high = self._ends()
            if low > high:
                name = dtype_name(self.dtype)
                raise UsageError(f"--from {self.first:g} --to {self.last:g}: no {name} is between")
            if not self.specials:
                return high - low + 1, rising(n, low, high)
            chosen = np.concatenate(list(rising(n, low, high)))
        if self.specials:
            before = specials(n)
            unsigned = f"u{self.dtype.itemsize}"
            again = np.isin(chosen.view(unsigned), before.view(unsigned))
            chosen = np.concatenate([before, chosen[~again]])
        return len(chosen), iter([chosen])

    def _ends(self) -> tuple[int, int]:
        """The numbers of the first and the last value of the range; -0.0 is in one from 0."""
        n = self.numbering
        if self.first is None or self.last is None:
            return n.least, n.most
        ends = np.array([self.first, self.last])
        low, high = (int(x) for x in np.clip(n.numbers(n.rounded(ends)), n.least, n.most))
        wide = n.wide(n.values(np.array([low, high])))
        low += int(wide[0] < ends[0])  # rounded outwards
        high -= int(wide[1] > ends[1])
        return (-1 if low == 0 and n.is_float else low), (0 if high == -1 and n.is_float else high)

    def _sample(self) -> Array:
        n, seed = self.numbering, self.seed or 0
        numbers = np.unique(stratified(n, self.count or COUNT, seed))
        if self.chain is not None:
            from kact_cli.golden.edges import thresholds, ties

            self.chain.check_elementwise("no value has an edge by itself")
            more = [thresholds(self.chain, n, numbers)]
            drawn = n.numbers(n.values(random_bits(seed + 1, CANDIDATES, 63)))
            more.append(ties(self.chain, n, drawn[(drawn >= n.least) & (drawn <= n.most)]))
            numbers = np.unique(np.concatenate([numbers, *more]))
        return n.values(numbers)


def write(vectors: Vectors, path: str, options: Options) -> None:
    """Write the values to `path`, a .npy or a .safetensors.

    Raises UsageError for another format, and for a file that exists unless told to overwrite.
    """
    wanted = output_format(path, NPY, options.target_format)
    if wanted not in (NPY, SAFETENSORS):
        raise UsageError(f"{path}: values are written as .npy or .safetensors, not {wanted.name}")
    count, blocks = vectors.plan()
    head = _head(wanted, vectors, count)
    size = count * vectors.dtype.itemsize
    options.observer.start(size, 1)
    with Target(path, overwrite=options.overwrite, fsync=options.fsync) as target:
        target.allocate(len(head) + size)
        target.write(memoryview(head))
        for block in blocks:
            target.write(block.view(np.uint8).data)
            options.observer.advance(block.nbytes)


def _head(wanted: Format, vectors: Vectors, count: int) -> bytes:
    if wanted is NPY:
        return write_header(Header(vectors.dtype, (count,), False))
    size = count * vectors.dtype.itemsize
    entry = {"dtype": NAMES[vectors.dtype], "shape": [count], "data_offsets": [0, size]}
    text = json.dumps({METADATA: vectors.facts(), MEMBER: entry}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGN)
    return len(text).to_bytes(8, "little") + text

"""CRC-32: as zlib has it, of the whole and of parts put together."""

from __future__ import annotations

import zlib
from itertools import pairwise

import numpy as np
import pytest

from kact_cli.files import sums as module
from kact_cli.files.sums import FAR, NEAR, POLYNOMIAL, TERMS, Sums, combine, crc32

RANDOM = np.random.default_rng(0).bytes(4 * FAR + 4 * NEAR + 64)
SIZES = [0, 1, 8, FAR, 4 * FAR - 1]
SIZES += [size + more for size in (4 * FAR, 4 * FAR + NEAR, 5 * FAR, 4 * FAR + 3 * NEAR)
          for more in (-1, 0, 1, 7)]  # fmt: skip


@pytest.fixture(autouse=True)
def slow_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the tests run, kact's own sums are tested."""
    monkeypatch.setattr(module, "FAST", False)


def test_the_terms_are_a_multiple_of_the_polynomial() -> None:
    """The sum of x to these powers, modulo the CRC's polynomial, is 0."""
    powers = [1 << 31]  # bits are reversed: the highest is that of x^0
    for _ in range(TERMS[0]):
        value = powers[-1]
        powers.append(value >> 1 ^ (POLYNOMIAL if value & 1 else 0))
    total = 0
    for term in TERMS:
        total ^= powers[term]
    assert total == 0
    assert min(a - b for a, b in ((TERMS[0], t) for t in TERMS[1:])) == NEAR


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["random", "zeros", "ones"])
def test_it_is_zlibs(size: int, kind: str) -> None:
    data = {"random": RANDOM[:size], "zeros": bytes(size), "ones": b"\xff" * size}[kind]
    assert crc32(data) == zlib.crc32(data)
    view = memoryview(bytearray(b"x" + data))[1:]
    assert crc32(view) == zlib.crc32(data)
    assert view == data


@pytest.mark.parametrize("cuts", [(), (0,), (1, 1), (5, 1000, 70_000), (FAR, 900_000)])
def test_parts_make_the_whole(cuts: tuple[int]) -> None:
    parts = list(pairwise([0, *cuts, len(RANDOM)]))
    total, sums = 0, Sums()
    for a, b in parts:
        total = combine(total, zlib.crc32(RANDOM[a:b]), b - a)
    for a, b in reversed(parts):
        if a < b:
            sums.add(100 + a, RANDOM[a:b])
    assert total == sums.whole(100, len(RANDOM)) == zlib.crc32(RANDOM)


def test_parts_that_are_not_the_whole_have_no_sum() -> None:
    sums = Sums()
    sums.add(0, b"abc")
    sums.add(4, b"ef")
    assert sums.whole(0, 6) is None
    sums.add(3, b"d")
    assert sums.whole(0, 6) == zlib.crc32(b"abcdef")
    assert sums.whole(0, 7) is sums.whole(1, 5) is None
    sums.add(0, b"xyz")
    assert sums.whole(0, 6) == zlib.crc32(b"xyzdef")
    assert Sums().whole(7, 0) == 0

"""CRC-32: as zlib has it, of the whole and of parts put together."""

from __future__ import annotations

import sys
import zlib
from itertools import pairwise

import numpy as np
import pytest

from kact_cli.files import sums as module
from kact_cli.files.sums import Sums, combine, crc32

RANDOM = np.random.default_rng(0).bytes(1_000_000)


@pytest.mark.parametrize("there", [True, False], ids=["zlib-ng", "zlib"])
def test_it_is_zlibs(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not there:
        monkeypatch.setitem(sys.modules, "zlib_ng.zlib_ng", None)
    module._fastest.cache_clear()
    for size in (0, 1, 7, 64, 999_999):
        data = memoryview(RANDOM)[1 : 1 + size]
        assert crc32(data) == zlib.crc32(data)
        assert crc32(data, 0x12345678) == zlib.crc32(data, 0x12345678)
    assert module._fastest().__module__ == ("zlib_ng.zlib_ng" if there else "zlib")
    module._fastest.cache_clear()


@pytest.mark.parametrize("cuts", [(), (0,), (1, 1), (5, 1000, 70_000), (130_360, 900_000)])
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

"""CRC-32 of a file's parts, in whatever order they are read or written, and of all of it then.

The checksum of a zip archive's members: the remainder of the bytes, as a polynomial over GF(2), by
x^32 + x^26 + x^23 + x^22 + x^16 + x^12 + x^11 + x^10 + x^8 + x^7 + x^5 + x^4 + x^2 + x + 1, bits
reversed (ISO 3309; `zlib.crc32`). That of two parts one after the other is that of the first, times
x to the number of bits of the second, plus that of the second.

`crc32` is faster than zlib's, which looks at each byte (1.7 times zlib 1.2.13, some ten times those
before 1.2.12). A multiple of the polynomial that has four terms only, y^16316 + y^792 + y^197 + 1,
is one too with y = x^64, for squaring is linear here. So a word of 64 bits may be taken out of the
bytes that adds itself to three words far behind it, and thousands of words at once, until the last
16316 are left.
"""

from __future__ import annotations

import threading
import zlib
from functools import cache
from typing import Any

import numpy as np

POLYNOMIAL = 0xEDB88320
TERMS = (16316, 792, 197, 0)
NEAR, MIDDLE, FAR = (TERMS[0] - term for term in TERMS[1:])
"""How many words behind itself a word is added."""
ROOM = 4 * FAR
"""Words kept of those that were taken out: for so many the last ones need not be moved."""


class Sums:
    """The checksums of parts of a file, each part by where in the file it starts."""

    def __init__(self) -> None:
        self._parts: dict[int, tuple[int, int]] = {}

    def add(self, start: int, data: Any) -> None:
        """The bytes of a buffer stand at `start`, whatever stood there before."""
        self._parts[start] = memoryview(data).nbytes, crc32(data)

    def update(self, other: Sums) -> None:
        """Take over the parts that another has."""
        self._parts |= other._parts

    def whole(self, start: int, size: int) -> int | None:
        """The checksum of `size` bytes from `start` on; None where the parts are not just these."""
        total, at = 0, start
        for begins in sorted(self._parts):
            length, crc = self._parts[begins]
            if begins != at:
                return None
            total, at = combine(total, crc, length), at + length
        return total if at == start + size else None


class _Scratch(threading.local):
    """The words that each thread has taken out of what it sums."""

    def __init__(self) -> None:
        self.taken = np.empty(ROOM, np.uint64)


_scratch = _Scratch()


def crc32(data: Any) -> int:
    """The CRC-32 of a buffer, as `zlib.crc32` has it."""
    view = memoryview(data)
    count = view.nbytes // 8
    if count < 4 * FAR:
        return zlib.crc32(view)
    view = view.cast("B")
    words = np.frombuffer(view, np.uint64, count)
    taken, end, last = _scratch.taken, FAR, count - FAR
    taken[:FAR] = 0
    for first in range(0, last, NEAR):
        block = words[first : min(first + NEAR, last)]
        size = len(block)
        if end + size > ROOM:
            taken[:FAR] = taken[end - FAR : end]
            end = FAR
        new = taken[end : end + size]
        np.bitwise_xor(block, taken[end - NEAR :][:size], out=new)
        np.bitwise_xor(new, taken[end - MIDDLE :][:size], out=new)
        np.bitwise_xor(new, taken[end - FAR :][:size], out=new)
        if not first:
            new.view(np.uint8)[:4] ^= 0xFF  # a CRC-32 begins with the first 32 bits inverted
        end += size
    rest = words[last:].copy()
    for behind in (NEAR, MIDDLE, FAR):
        rest[:behind] ^= taken[end - behind : end]
    return zlib.crc32(view[8 * count :], zlib.crc32(rest.data, 0xFFFFFFFF))


def combine(first: int, second: int, size: int) -> int:
    """The CRC-32 of two parts, one after the other, from that of each; the second has `size` bytes.

    The checksum of nothing is 0.
    """
    return _times(first, _shift(size)) ^ second


@cache
def _shift(size: int) -> int:
    """x to the number of bits of `size` bytes."""
    power, square = 1 << 31, 1 << 23  # 1 and x^8: the highest bit is that of x^0
    while size:
        if size & 1:
            power = _times(power, square)
        square, size = _times(square, square), size >> 1
    return power


def _times(a: int, b: int) -> int:
    """The product of two polynomials, bits reversed, modulo the CRC's."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (POLYNOMIAL if b & 1 else 0)
    return product

"""CRC-32 of a file's parts, in whatever order they are read or written, and of all of it then.

The checksum of a zip archive's members: the remainder of the bytes, as a polynomial over GF(2), by
x^32 + x^26 + x^23 + x^22 + x^16 + x^12 + x^11 + x^10 + x^8 + x^7 + x^5 + x^4 + x^2 + x + 1, bits
reversed (ISO 3309; `zlib.crc32`). That of two parts one after the other is that of the first, times
x to the number of bits of the second, plus that of the second.

`crc32` is faster than zlib's, which looks at each byte (twice zlib 1.2.13, and more those
before 1.2.12). A multiple of the polynomial that has three terms only, y^130360 + y^24749 + 1, is
one too with y = x^8, for squaring is linear here. So a byte may be taken out that adds itself to
two bytes far behind it, and a hundred thousand bytes at once, until the last 130360 are left.
"""

from __future__ import annotations

import threading
import zlib
from functools import cache
from typing import Any

import numpy as np

POLYNOMIAL = 0xEDB88320
TERMS = (130360, 24749, 0)
NEAR, FAR = (TERMS[0] - term for term in TERMS[1:])
"""How many bytes behind itself a byte is added."""
FAST = "zlib-ng" in zlib.ZLIB_RUNTIME_VERSION
"""Whether zlib sums by instructions made for it, which nothing here comes near."""


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
    """The last FAR bytes that each thread has taken out of what it sums, and room for more."""

    def __init__(self) -> None:
        self.taken = np.empty(FAR + NEAR, np.uint8)


_scratch = _Scratch()


def crc32(data: Any) -> int:
    """The CRC-32 of a buffer, as `zlib.crc32` has it."""
    view = memoryview(data)
    size = view.nbytes
    if FAST or size < 4 * FAR:
        return zlib.crc32(view)
    every = np.frombuffer(view.cast("B"), np.uint8)
    taken, last = _scratch.taken, size - FAR
    taken[:FAR] = 0
    for first in range(0, last, NEAR):
        block = every[first : min(first + NEAR, last)]
        count = len(block)
        new = taken[FAR : FAR + count]
        np.bitwise_xor(block, taken[FAR - NEAR :][:count], out=new)
        np.bitwise_xor(new, taken[:count], out=new)
        if not first:
            new[:4] ^= 0xFF  # a CRC-32 begins with the first 32 bits inverted
        taken[:FAR] = taken[count : count + FAR]
    rest = every[last:] ^ taken[:FAR]
    rest[:NEAR] ^= taken[FAR - NEAR : FAR]
    return zlib.crc32(rest.data, 0xFFFFFFFF)


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

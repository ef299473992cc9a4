"""CRC-32 of a file's parts, in whatever order they are read or written, and of all of it then.

The checksum of a zip archive's members: the remainder of the bytes, as a polynomial over GF(2), by
x^32 + x^26 + x^23 + x^22 + x^16 + x^12 + x^11 + x^10 + x^8 + x^7 + x^5 + x^4 + x^2 + x + 1, bits
reversed (ISO 3309; `zlib.crc32`). That of two parts one after the other is that of the first, times
x to the number of bits of the second, plus that of the second.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

POLYNOMIAL = 0xEDB88320


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


def crc32(data: Any, value: int = 0) -> int:
    """The CRC-32 of a buffer that comes after what has the CRC-32 `value`."""
    return _fastest()(data, value)


@cache
def _fastest() -> Callable[[Any, int], int]:
    """zlib-ng's, where that is installed: a fifth of zlib's time, by instructions made for it."""
    try:
        from zlib_ng.zlib_ng import crc32
    except ImportError:
        from zlib import crc32
    return crc32


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

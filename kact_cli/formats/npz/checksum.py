"""CRC-32 of a range of a file, computed in parts side by side.

The checksum of a zip archive's members: the remainder of the bytes, as a polynomial over GF(2), by
x^32 + x^26 + x^23 + x^22 + x^16 + x^12 + x^11 + x^10 + x^8 + x^7 + x^5 + x^4 + x^2 + x + 1, bits
reversed (ISO 3309; `zlib.crc32`). That of two parts one after the other is that of the first, times
x to the number of bits of the second, plus that of the second.
"""

from __future__ import annotations

import zlib
from functools import cache

from kact_cli.errors import DataError
from kact_cli.files.descriptors import PIPE_BYTES, read_full
from kact_cli.parallel.pools import in_order, thread_pool

POLYNOMIAL = 0xEDB88320
PART_BYTES = 16 * PIPE_BYTES


def checksum(fd: int, start: int, size: int, jobs: int | None) -> int:
    """The CRC-32 of `size` bytes of a regular file from `start` on."""
    parts = [(at, min(PART_BYTES, size - at)) for at in range(0, size, PART_BYTES)]
    if len(parts) < 2:
        return _of_part(fd, start, size)
    total = 0
    with thread_pool(jobs) as (pool, count):
        found = in_order(
            pool, 2 * count, lambda part: _of_part(fd, start + part[0], part[1]), parts
        )
        for crc, (_, length) in zip(found, parts, strict=True):
            total = combine(total, crc, length)
    return total


def _of_part(fd: int, start: int, size: int) -> int:
    buffer = memoryview(bytearray(min(PIPE_BYTES, size)))
    crc, end = 0, start + size
    while start < end:
        view = buffer[: end - start]
        if read_full(fd, view, start) < len(view):
            raise DataError("became shorter while it was read")
        crc, start = zlib.crc32(view, crc), start + len(view)
    return crc


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

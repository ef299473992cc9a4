"""CRC-32 of a range of a file, which is read for it, in parts side by side."""

from __future__ import annotations

from kact_cli.errors import DataError
from kact_cli.files.descriptors import PIPE_BYTES, read_full
from kact_cli.files.sums import combine, crc32
from kact_cli.parallel.pools import in_order, thread_pool

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
        crc, start = crc32(view, crc), start + len(view)
    return crc

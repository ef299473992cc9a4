"""Compressed text: gzip and zstd, found by the first bytes of an input, by the suffix of an output.

Input is a `read` function, decompressed in bounded memory. Output is compressed a block at a time,
each a gzip member or zstd frame of its own, as both formats allow: so blocks need no order to be
compressed in, and any number of threads can do it.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable
from enum import StrEnum

from kact_cli.errors import DataError

Read = Callable[[int], bytes]
"""`read(n)` gives at most n bytes, b"" at the end."""

GZIP_LEVEL = 6
"""Of what is written: gzip's own default."""


class Codec(StrEnum):
    """A compression of whole files."""

    GZIP = "gzip"
    ZSTD = "zstd"


_MAGIC = {
    b"\x1f\x8b": Codec.GZIP,
    b"\x28\xb5\x2f\xfd": Codec.ZSTD,
    # Frames that are skipped, of which pzstd writes one before each frame
    **{bytes((n, 0x2A, 0x4D, 0x18)): Codec.ZSTD for n in range(0x50, 0x60)},
}
_SUFFIXES = {".gz": Codec.GZIP, ".zst": Codec.ZSTD, ".zstd": Codec.ZSTD}


def codec_of(head: bytes) -> Codec | None:
    """The compression of the file that begins with these bytes."""
    return next((codec for magic, codec in _MAGIC.items() if head.startswith(magic)), None)


def codec_for(name: str) -> Codec | None:
    """The compression that the file's name asks for: a.csv.gz, a.csv.zst."""
    return _SUFFIXES.get(os.path.splitext(name.lower())[1])


def compress(data: bytes | memoryview, codec: Codec) -> bytes:
    """A whole gzip member, the same for the same data at any time, or zstd frame."""
    if codec is Codec.GZIP:
        return gzip.compress(data, GZIP_LEVEL, mtime=0)
    import pyarrow as pa

    compressed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return compressed


def decompressed(read: Read, codec: Codec) -> Read:
    """A `read` of the text whose compressed bytes the given `read` gives; several members too.

    Raises DataError where the compressed data is damaged or cut off.
    """
    return _gunzip(read) if codec is Codec.GZIP else _unzstd(read)


def _gunzip(read: Read) -> Read:
    file = gzip.GzipFile(fileobj=_Source(read))

    def read_text(n: int) -> bytes:
        try:
            return file.read(n)
        except EOFError:
            raise DataError("the gzip data is cut off") from None
        except (gzip.BadGzipFile, zlib.error) as e:
            raise DataError(f"the gzip data is damaged ({e})") from None

    return read_text


class _Source(io.RawIOBase):
    """What gzip and pyarrow read from: they call back in the thread that asks, no other."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def read(self, n: int = -1) -> bytes:
        """As many bytes as are asked for, fewer at the end alone."""
        data = self._read(n)
        while 0 < len(data) < n and (more := self._read(n - len(data))):
            data += more
        return data


def _unzstd(read: Read) -> Read:
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.PythonFile(_Source(read), mode="r"), "zstd")

    def read_text(n: int) -> bytes:
        try:
            text: bytes = stream.read(n)
        except pa.ArrowException as e:
            raise DataError(f"the zstd data is damaged or cut off ({e})") from None
        except OSError as e:
            if e.errno is not None:
                raise
            raise DataError(f"the zstd data is damaged or cut off ({e})") from None
        return text

    return read_text

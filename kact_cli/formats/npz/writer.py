"""Writing an .npz: local headers and the list of members, what is computed, what is copied.

`zipfile` writes one member after another through one thread that compresses and sums it; here a
stored member is a range of the output that workers fill, and blocks of a deflated one are
compressed side by side.
"""

from __future__ import annotations

import contextlib
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from kact_cli.errors import DataError, prefixed
from kact_cli.files.descriptors import copy_range
from kact_cli.files.part import TargetPart
from kact_cli.files.sums import crc32
from kact_cli.files.target import Target, as_regular_file, give_up
from kact_cli.formats.archive import ArchiveReader, ArchiveWriter, Result
from kact_cli.formats.npy import Header, write_header
from kact_cli.formats.npz.checksum import checksum
from kact_cli.formats.npz.reader import LOCAL, SUFFIX, UTF8, NpzReader, leads_out
from kact_cli.messages import display
from kact_cli.options import Options
from kact_cli.parallel.pools import thread_pool

CENTRAL = struct.Struct("<4s4B4H3L5H2L")
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR64 = struct.Struct("<4sLQL")
NAME_LIMIT = 0xFFFF - len(SUFFIX)
FULL, FULL_COUNT = 0xFFFFFFFF, 0xFFFF
"""What stands in a field that is too short for its number, which a zip64 field then has."""
ZIP64 = 1
DESCRIPTOR = 0x8
"""The flag that sizes stand after the data. They never have to here."""
BLOCK_BYTES = 1 << 20
"""Of a member deflated in one go: pieces of this size are compressed side by side."""
LEVEL = 6
FIRST_DAY = (1980, 1, 1, 0, 0, 0)


class NpzWriter(ArchiveWriter):
    """Writes members one after another to a regular file, which is copied into a pipe."""

    def __init__(
        self,
        target: Target,
        results: Sequence[Result],
        options: Options,
        like: ArchiveReader,
    ) -> None:
        if bad := next((r.name for r in results if leads_out(r.name)), None):
            raise DataError(f"{target.name}: '{display(bad)}' would lead out of an .npz")
        if long := next((r.name for r in results if len(r.name.encode()) > NAME_LIMIT), None):
            raise DataError(
                f"{target.name}: '{display(long)[:40]}…' is too long a name for an .npz; "
                f"{NAME_LIMIT:,} bytes is the limit"
            )
        self._results = results
        self._like = like if isinstance(like, NpzReader) else None
        self._options = options
        self._stack = contextlib.ExitStack()
        self._out = self._stack.enter_context(as_regular_file(target, readable=True))
        self._at = 0
        self._list: list[bytes] = []

    @staticmethod
    def head(header: Header) -> bytes:
        return write_header(header)

    @contextlib.contextmanager
    def tensor(self, index: int) -> Iterator[Target]:
        result = self._results[index]
        info, name, extra = self._like_of(index)
        header = result.header
        assert header is not None
        info.file_size = header.end
        start = self._at + LOCAL.size + len(name) + len(_extra(info, extra, local=True))
        if info.compress_type == zipfile.ZIP_STORED:
            info.compress_size = info.file_size
            part = TargetPart(self._out, start, summed=True)
            assert part.sums is not None
            yield part
            found = part.sums.whole(part.base, info.file_size)
            if found is None:
                with prefixed(self._out.name, OSError):
                    found = checksum(self._out.fd, part.base, info.file_size, self._options.jobs)
            info.CRC = found
        else:
            with thread_pool(self._options.jobs) as (pool, count):
                deflated = _Deflated(TargetPart(self._out, start), pool, count + 1)
                yield deflated
                deflated.finish()
            info.compress_size, info.CRC = deflated.size, deflated.crc
        self._add(info, name, extra, start)

    def copy(self, index: int) -> None:
        assert self._like is not None
        info, name, extra = self._like_of(index)
        place = self._like.places[self._results[index].source]
        start = self._at + LOCAL.size + len(name) + len(_extra(info, extra, local=True))
        with prefixed(self._like.called(self._results[index].source), between=" "):
            copy_range(self._like.source.fd, place.start, place.size, self._out.fd, start)
        self._add(info, name, extra, start)

    def _like_of(self, index: int) -> tuple[zipfile.ZipInfo, bytes, bytes]:
        """What the list says of a member, its name, and the extra field of its local header."""
        result = self._results[index]
        if self._like is not None:
            place = self._like.places[result.source]
            info = _copied(self._like.infos[result.source])
            return info, place.name, _without_zip64(place.extra)
        info = zipfile.ZipInfo(result.name + SUFFIX, FIRST_DAY)
        info.external_attr = 0o600 << 16
        name = info.filename.encode()
        info.flag_bits = 0 if name.isascii() else UTF8
        return info, name, b""

    def _add(self, info: zipfile.ZipInfo, name: bytes, extra: bytes, start: int) -> None:
        """Write the local header of a member whose data lies from `start` on, and list it."""
        info.header_offset, info.flag_bits = self._at, info.flag_bits & ~DESCRIPTOR
        extra = _extra(info, extra, local=True)
        year, month, day, hour, minute, second = info.date_time
        common = (
            info.flag_bits,
            info.compress_type,
            hour << 11 | minute << 5 | second // 2,
            max(0, year - 1980) << 9 | month << 5 | day,
            info.CRC,
            min(info.compress_size, FULL),
            min(info.file_size, FULL),
            len(name),
        )
        if _is_long(info):
            common = (*common[:5], FULL, FULL, len(name))
        version = max(info.extract_version, 45 if extra or _is_long(info) else 20)
        local = LOCAL.pack(b"PK\3\4", version, *common, len(extra)) + name + extra
        self._out.write(memoryview(local), self._at)
        listed = _extra(info, _without_zip64(info.extra), local=False)
        self._list.append(
            CENTRAL.pack(
                b"PK\1\2",
                max(version, info.create_version),
                info.create_system,
                version,
                0,
                *common,
                len(listed),
                len(info.comment),
                0,
                info.internal_attr,
                info.external_attr,
                min(info.header_offset, FULL),
            )
            + name
            + listed
            + info.comment
        )
        self._at = start + info.compress_size

    def close(self) -> None:
        comment = self._like.zip.comment if self._like else b""
        listed = b"".join(self._list)
        count, size, start = len(self._list), len(listed), self._at
        end = b""
        if count >= FULL_COUNT or max(size, start) >= FULL:
            end = END64.pack(b"PK\6\6", END64.size - 12, 45, 45, 0, 0, count, count, size, start)
            end += LOCATOR64.pack(b"PK\6\7", 0, start + size, 1)
        short = min(count, FULL_COUNT)
        end += END.pack(
            b"PK\5\6", 0, 0, short, short, min(size, FULL), min(start, FULL), len(comment)
        )
        self._out.write(memoryview(listed + end + comment), self._at)
        self._stack.close()

    def abandon(self) -> None:
        give_up(self._stack)


def _copied(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo()
    for name in zipfile.ZipInfo.__slots__:
        if hasattr(info, name):
            setattr(made, name, getattr(info, name))
    return made


def _is_long(info: zipfile.ZipInfo) -> bool:
    """Whether the sizes of a member take 64 bits; one to be deflated may grow a little."""
    return max(info.file_size + (info.file_size >> 4), info.compress_size) >= FULL


def _extra(info: zipfile.ZipInfo, other: bytes, *, local: bool) -> bytes:
    """The extra field of a member: what it had beside, and the numbers that take 64 bits."""
    numbers = [info.file_size, info.compress_size] if _is_long(info) else []
    if not local and info.header_offset >= FULL:
        numbers.append(info.header_offset)
    if not numbers:
        return other
    return struct.pack(f"<2H{len(numbers)}Q", ZIP64, 8 * len(numbers), *numbers) + other


def _without_zip64(extra: bytes) -> bytes:
    """An extra field without its zip64 part; what is no sequence of parts is left out."""
    kept, at = b"", 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        end = at + 4 + size
        if kind != ZIP64 and end <= len(extra):
            kept += extra[at:end]
        at = end
    return kept


class _Deflated(Target):
    """A deflated member, written in order to a range of a file.

    A deflate stream may be cut anywhere: each block is compressed by itself and ends at a byte.
    """

    def __init__(self, out: TargetPart, pool: Any, window: int) -> None:
        super().__init__(out.name)
        self.name = out.name
        self.size = self.crc = 0
        self._out = out
        self._pool, self._window = pool, window
        self._waiting: deque[Any] = deque()
        self._block = bytearray()

    def write(self, data: Any, offset: int | None = None) -> None:
        view = memoryview(data)
        view = view.cast("B") if view.nbytes else memoryview(b"")
        self.crc = crc32(view, self.crc)
        while len(view):
            room = BLOCK_BYTES - len(self._block)
            self._block += view[:room]
            view = view[room:]
            if len(self._block) == BLOCK_BYTES:
                self._submit()

    def _submit(self) -> None:
        self._waiting.append(self._pool.submit(_deflate, self._block))
        self._block = bytearray()
        if len(self._waiting) > self._window:
            self._put(self._waiting.popleft().result())

    def _put(self, data: bytes) -> None:
        self._out.write(memoryview(data))
        self.size += len(data)

    def finish(self) -> None:
        if self._block:
            self._submit()
        while self._waiting:
            self._put(self._waiting.popleft().result())
        self._put(zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS).flush())


def _deflate(block: bytearray) -> bytes:
    packed = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packed.compress(block) + packed.flush(zlib.Z_SYNC_FLUSH)

"""Reading an .npz: the list of members by `zipfile`, a stored member as a range of the file.

Nothing is ever extracted by a path, and a pickle is never loaded: a member of objects is bytes.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from kact_cli.errors import DataError, prefixed
from kact_cli.files.part import SourcePart
from kact_cli.files.source import Source
from kact_cli.files.sums import Sums
from kact_cli.formats.archive import LIST_LIMIT, ArchiveReader, Member
from kact_cli.formats.declared import NPZ
from kact_cli.formats.npy import Header, NoTensorError, read_header
from kact_cli.formats.npz.checksum import checksum
from kact_cli.messages import display, human
from kact_cli.options import Options
from kact_cli.types import dtype_name

SUFFIX = ".npy"
LOCAL = struct.Struct("<4s5H3L2H")
"""A local header: signature, version, flags, method, time, date, CRC, sizes, two lengths."""
UTF8 = 0x800
UNREADABLE = {0x1: "is encrypted", 0x20: "is a patch of another file"}
"""By the flag of a member that says so."""
METHODS = {0: "stored", 8: "deflated", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd"}
RATIO_LIMIT = 1000
"""Deflated data that grows more than so many times, and beyond the limit of a unit, is no tensor of
numbers but a trap."""
READ_BYTES = 1 << 20


class Place(NamedTuple):
    """Where a member lies in the file: its data, and what its local header has beside."""

    start: int
    size: int
    name: bytes
    extra: bytes


class NpzReader(ArchiveReader):
    """The members of an .npz."""

    def __init__(self, source: Source, options: Options) -> None:
        self.source, self._options = source, options
        with zip_faults(f"{source.name} is no sound zip archive"):
            self.zip = zipfile.ZipFile(io.BufferedReader(_SourceFile(source), 1 << 16))
            self.infos = self.zip.infolist()
            self.places = self._places()
            self.members = [self._member(i) for i in range(len(self.infos))]

    def open(self, index: int) -> Source:
        header, info = self.tensor(index), self.infos[index]
        name = self.called(index)
        if info.compress_type == zipfile.ZIP_STORED:
            place = self.places[index]
            part = SourcePart(self.source, place.start, place.size, name)
            part.sums = Sums()
            return part
        if info.file_size > RATIO_LIMIT * info.compress_size:
            packed = f"{name}, {RATIO_LIMIT:,} times smaller in the file,"
            NPZ.check_unit(packed, info.file_size, self._options)
        with zip_faults(f"{name} is broken"):
            inflated = _Inflated(self.zip.open(info), name)
        inflated.read_into(memoryview(bytearray(header.offset)))
        return inflated

    def verify(self, index: int, tensor: Source, jobs: int | None) -> None:
        if tensor.sums is None:
            return
        head, size = bytearray(self.tensor(index).offset), self.places[index].size
        tensor.sums.add(tensor.base, head[: tensor.read_at(memoryview(head), 0)])
        found = tensor.sums.whole(tensor.base, size)
        if found is None:
            with prefixed(self.source.name, OSError):
                found = checksum(tensor.fd, tensor.base, size, jobs)
        if found != self.infos[index].CRC:
            raise DataError(f"{self.called(index)} is broken: Bad CRC-32")

    def facts(self) -> dict[str, object]:
        return {"comment": self.zip.comment.decode("utf-8", "replace")} if self.zip.comment else {}

    def _places(self) -> list[Place]:
        """Where the members lie. Raises DataError where they cannot all be there."""
        seen: set[str] = set()
        for info in self.infos:
            name = info.filename.removesuffix(SUFFIX)
            if name in seen:
                raise self._refused(info, f"is there twice, with or without {SUFFIX}")
            if leads_out(name):
                raise self._refused(info, "has a path that leads out of the archive")
            for flag, fault in UNREADABLE.items():
                if info.flag_bits & flag:
                    raise self._refused(info, fault)
            seen.add(name)
        places = [self._place(info) for info in self.infos]
        end = 0
        for info, place in sorted(zip(self.infos, places, strict=True), key=_starts):
            if info.header_offset < end:
                raise self._refused(info, "overlaps the one before it")
            end = place.start + place.size
            if end > self.zip.start_dir:
                raise self._refused(info, "does not end before the list of members")
        return places

    def _refused(self, info: zipfile.ZipInfo, fault: str) -> DataError:
        return DataError(f"{self.source.name}, member '{display(info.filename)}' {fault}")

    def _place(self, info: zipfile.ZipInfo) -> Place:
        buffer = bytearray(LOCAL.size)
        if info.header_offset < 0:
            raise zipfile.BadZipFile("its list of members is not where it should be")
        self.source.read_at(memoryview(buffer), info.header_offset)
        fields = LOCAL.unpack(buffer)
        lengths = fields[-2:]
        more = bytearray(sum(lengths))
        self.source.read_at(memoryview(more), info.header_offset + LOCAL.size)
        name, extra = bytes(more[: lengths[0]]), bytes(more[lengths[0] :])
        encoding = "utf-8" if info.flag_bits & UTF8 else "cp437"
        if fields[0] != b"PK\3\4" or name != info.orig_filename.encode(encoding):
            raise zipfile.BadZipFile(f"no local header of '{display(info.filename)}'")
        start = info.header_offset + LOCAL.size + sum(lengths)
        return Place(start, info.compress_size, name, extra)

    def _member(self, index: int) -> Member:
        info = self.infos[index]
        header, fault, dtype, broken = None, "is no .npy", "bytes", False
        method = METHODS.get(info.compress_type, f"method {info.compress_type}")
        name = info.filename
        if name.endswith(SUFFIX):
            name, dtype = name.removesuffix(SUFFIX), "unknown"
            try:
                header = self._header(index, method).taken_for(self._options.source_dtype)
                dtype = dtype_name(header.dtype)
            except DataError as e:
                fault, broken = str(e), not isinstance(e, NoTensorError)
        shape = None if header is None else header.shape
        return Member(name, header, dtype, shape, method, info.compress_size, fault, broken)

    def _header(self, index: int, method: str) -> Header:
        info, place = self.infos[index], self.places[index]
        if info.compress_type == zipfile.ZIP_STORED:
            if info.compress_size != info.file_size:
                raise DataError("has two sizes, though it is stored")
            header = read_header(SourcePart(self.source, place.start, place.size, "").reader())
        elif info.compress_type == zipfile.ZIP_DEFLATED:
            with zip_faults("is broken"), self.zip.open(info) as file:
                header = read_header(file.read)
        else:
            raise DataError(f"is compressed by {method}; stored and deflated are known")
        if header.end != info.file_size:
            raise DataError(
                f"has {info.file_size:,} bytes, and its .npy header says {header.end:,}"
            )
        return header


def leads_out(name: str) -> bool:
    """Whether who unpacks a member of that name may write outside of where it is unpacked."""
    path = name.replace("\\", "/")
    return path.startswith("/") or ".." in path.split("/")


def _starts(member: tuple[zipfile.ZipInfo, Place]) -> int:
    return member[0].header_offset


class _Inflated(Source):
    """What a deflated member becomes, as it comes; its end is where its checksum is compared."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        super().__init__(-1, name, None, None, owned=False)
        self._file = file

    def _read(self, view: memoryview, offset: int | None = None) -> int:
        done = 0
        with zip_faults(f"{self.name} is broken"):
            while done < len(view) and (part := self._file.read(min(len(view) - done, READ_BYTES))):
                view[done : done + len(part)] = part
                done += len(part)
        return done

    def close(self) -> None:
        self._file.close()


class _SourceFile(io.RawIOBase):
    """A regular file as `zipfile` wants it, reading at offsets; refuses too long a list."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size or 0}[whence]
        if start + offset < 0:
            raise OSError("seek before the start")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        if len(view) > LIST_LIMIT:
            raise DataError(
                f"{self._source.name}: the list of its members takes {human(len(view))}; "
                f"{human(LIST_LIMIT)} is the limit"
            )
        count = self._source.read_at(view, self._at)
        self._at += count
        return count


@contextlib.contextmanager
def zip_faults(what: str) -> Iterator[None]:
    """Turn whatever `zipfile` raises where an archive is broken into a DataError, after `what`."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        NotImplementedError,  # zipfile's word for what a later version of the format has
        RuntimeError,
        ValueError,
        OverflowError,
    ) as e:
        said = " ".join(str(e).split())
        raise DataError(f"{what}: {said[:200]}") from e

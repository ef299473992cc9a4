"""Opening, spooling, and the atomic replace: the one place that touches file names.

Input is a file descriptor that is either a regular file, read at offsets, or a stream (a pipe, a
FIFO, a terminal), read from its start to its end. Output is whole or absent: a regular file is
written beside its target under a temporary name and put in its place at the end; what is not a
regular file (standard output, a FIFO, /dev/null) is written to and never replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from kact_cli.errors import DataError, UsageError

STANDARD = "-"
_DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr|fd/(\d+))|/proc/self/fd/(\d+)")
PIPE_BYTES = 1024 * 1024
"""What pipes are enlarged to: fewer, longer turns between the two processes at its ends."""


def reason(error: OSError) -> str:
    """What the operating system said, without the number and the path."""
    return (error.strerror or str(error)).lower()


def display(path: str) -> str:
    """`path` as it can be shown on one line of a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in path)


def _descriptor(path: str, standard: int) -> int | None:
    """The file descriptor that `path` names, as `-` and `/dev/stdout` do; None for a real path."""
    if path == STANDARD:
        return standard
    match = _DESCRIPTOR.fullmatch(path)
    if match is None:
        return None
    names = {"stdin": 0, "stdout": 1, "stderr": 2}
    number = match[2] or match[3]
    return int(number) if number else names[match[1]]


def _enlarge(fd: int) -> None:
    """Ask for a larger pipe; a system that has no such call, or no more room, is as good."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def read_full(fd: int, view: memoryview, offset: int | None = None) -> int:
    """Fill `view` from `fd`, at `offset` or (None) from where it stands; less only at the end."""
    done = 0
    while done < len(view):
        if offset is None or not hasattr(os, "preadv"):
            if offset is not None:
                os.lseek(fd, offset + done, os.SEEK_SET)
            count = os.readv(fd, [view[done:]])
        else:
            count = os.preadv(fd, [view[done:]], offset + done)
        if count == 0:
            break
        done += count
    return done


def write_full(fd: int, view: memoryview, offset: int | None = None) -> None:
    """Write all of `view` to `fd`, at `offset` or (None) where it stands."""
    done = 0
    while done < len(view):
        if offset is None:
            done += os.write(fd, view[done:])
        else:
            done += os.pwrite(fd, view[done:], offset + done)


@dataclass
class Source:
    """An open input. `size` is None for a stream, whose bytes come once and in order."""

    fd: int
    name: str
    path: str | None
    """Where another process can open it; None for a stream."""
    size: int | None
    temporary: bool = False
    _pending: bytes = b""

    def peek(self, count: int) -> bytes:
        """The next `count` bytes, or fewer at the end of the input, without consuming them."""
        if self.size is not None:
            buffer = bytearray(count)
            return bytes(buffer[: self._read(memoryview(buffer), 0)])
        missing = count - len(self._pending)
        if missing > 0:
            buffer = bytearray(missing)
            self._pending += bytes(buffer[: self._read(memoryview(buffer))])
        return self._pending[:count]

    def read_into(self, view: memoryview) -> int:
        """Fill `view` from a stream, less at its end only; returns the count of bytes."""
        held = min(len(self._pending), len(view))
        view[:held] = self._pending[:held]
        self._pending = self._pending[held:]
        return held + self._read(view[held:])

    def read_at(self, view: memoryview, offset: int) -> int:
        """Fill `view` from `offset`, or from where a stream stands, which must be there."""
        return self.read_into(view) if self.size is None else self._read(view, offset)

    def reader(self) -> Callable[[int], bytes]:
        """A function that reads the next `count` bytes from the start; fewer only at the end."""
        position = 0

        def read(count: int) -> bytes:
            nonlocal position
            buffer = bytearray(count)
            got = self.read_at(memoryview(buffer), position)
            position += got
            return bytes(buffer[:got])

        return read

    def after(self, end: int) -> str:
        """What comes after `end`, where the format says that nothing should: words, or nothing."""
        if self.size is not None:
            return f"{self.size - end:,} bytes" if self.size > end else ""
        return "bytes" if self.read_into(memoryview(bytearray(1))) else ""

    def _read(self, view: memoryview, offset: int | None = None) -> int:
        try:
            return read_full(self.fd, view, offset)
        except OSError as e:
            raise DataError(f"{self.name}: {reason(e)}") from e

    def spool(self) -> Source:
        """A stream copied whole to a private temporary file, which `close` removes."""
        fd, path = tempfile.mkstemp(prefix="kact-", suffix=".spool")
        spooled = Source(fd, self.name, path, 0, temporary=True)
        try:
            buffer = memoryview(bytearray(PIPE_BYTES))
            size = 0
            while count := self.read_into(buffer):
                write_full(fd, buffer[:count])
                size += count
            spooled.size = size
        except OSError as e:
            spooled.close()
            raise DataError(f"temporary file {path}: {reason(e)}") from e
        except BaseException:
            spooled.close()
            raise
        return spooled

    def close(self) -> None:
        if self.fd > 2:
            os.close(self.fd)
        if self.temporary and self.path:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def open_source(path: str) -> Source:
    """Open INPUT: a path, or `-` for standard input. Raises DataError saying why it cannot."""
    name = "standard input" if path == STANDARD else display(path)
    fd = _descriptor(path, standard=0)
    try:
        opened = fd is None
        if fd is None:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            if opened:
                os.close(fd)
            raise DataError(f"{name}: is a directory")
        if stat.S_ISREG(mode) and (opened or os.lseek(fd, 0, os.SEEK_CUR) == 0):
            return Source(fd, name, path if opened else None, os.fstat(fd).st_size)
        _enlarge(fd)
        return Source(fd, name, None, None)
    except (OSError, ValueError) as e:
        said = reason(e) if isinstance(e, OSError) else str(e)
        raise DataError(f"{name}: {said}") from e


class Target:
    """An open output, used as a context: committed when the block ends well, else taken back.

    `seekable` says whether `fd` can be written at offsets from `base`; otherwise bytes go in order.
    `path` is where another process can open it, None where it cannot.
    """

    def __init__(self, path: str, *, overwrite: bool = False, fsync: bool = False) -> None:
        """Open OUTPUT: a path, or `-` for standard output.

        Raises UsageError for a file that exists, unless `overwrite`; DataError where it cannot be
        created.
        """
        self.name = "standard output" if path == STANDARD else display(path)
        self._fsync = fsync
        self._final: str | None = None
        self.path: str | None = None
        self.base = 0
        self._undo_to: int | None = None
        try:
            self._open(path, overwrite)
        except OSError as e:
            raise DataError(f"{self.name}: {reason(e)}") from e

    def _open(self, path: str, overwrite: bool) -> None:
        fd = _descriptor(path, standard=1)
        if fd is not None:
            self.fd = fd
            self._adopt()
            return
        final = os.path.realpath(path)
        try:
            found = os.stat(final)
        except FileNotFoundError:
            found = None
        if found is not None and not stat.S_ISREG(found.st_mode):
            if stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            self.fd = os.open(final, os.O_WRONLY | os.O_CLOEXEC)
            self._adopt()
            return
        if found is not None and not overwrite:
            raise UsageError(f"{self.name} exists; give --overwrite to replace it")
        if found is not None and not os.access(final, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        # A short name of its own: the target's may already be as long as the file system allows
        self.path = os.path.join(os.path.dirname(final), f".kact-{secrets.token_hex(6)}.tmp")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.fd = os.open(self.path, flags, 0o666)  # less the umask, as for any new file
        self._final = final
        self.seekable = True
        if found is not None:
            with contextlib.suppress(OSError):
                os.fchown(self.fd, found.st_uid, found.st_gid)
            os.fchmod(self.fd, stat.S_IMODE(found.st_mode))

    def _adopt(self) -> None:
        """Take a descriptor as it is: a regular file (`> out.npy`) still allows offsets."""
        import fcntl

        status = os.fstat(self.fd)
        append = fcntl.fcntl(self.fd, fcntl.F_GETFL) & os.O_APPEND
        self.seekable = stat.S_ISREG(status.st_mode) and not append
        if stat.S_ISREG(status.st_mode):
            self.base = status.st_size if append else os.lseek(self.fd, 0, os.SEEK_CUR)
            self._undo_to = self.base if status.st_size <= self.base else None
        else:
            _enlarge(self.fd)

    def refuse_same_file(self, source: Source) -> None:
        """Raise DataError where writing would destroy `source` while it is read."""
        if self._final is None and source.size is not None:
            a, b = os.fstat(self.fd), os.fstat(source.fd)
            if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino):
                self._undo_to = None
                raise DataError(f"{self.name} is also the input, and would be destroyed")

    def allocate(self, size: int) -> None:
        """Reserve `size` bytes, so that a full disk is an error now and not after the work."""
        if not self.seekable or size == 0:
            return
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.fd, self.base, size)
        except OSError as e:
            # A file system without the call (EOPNOTSUPP, EINVAL) finds a full disk when it writes
            if e.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
                raise DataError(f"{self.name}: {reason(e)} ({size:,} bytes needed)") from e

    def write(self, view: memoryview, offset: int | None = None) -> None:
        """Write at `offset` from the output's start, or (None) in order.

        Raises BrokenPipeError when the reader is gone, DataError for anything else.
        """
        try:
            write_full(self.fd, view, None if offset is None else self.base + offset)
        except BrokenPipeError:
            raise
        except OSError as e:
            raise DataError(f"{self.name}: {reason(e)}") from e

    def __enter__(self) -> Target:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._commit()
        else:
            self.abort()

    def _commit(self) -> None:
        try:
            if self._fsync:
                with contextlib.suppress(OSError) if self._final is None else contextlib.nullcontext():
                    os.fsync(self.fd)
            if self._final is None or self.path is None:
                if self.seekable:
                    os.lseek(self.fd, 0, os.SEEK_END)
                if self.fd > 2:
                    os.close(self.fd)
                return
            os.close(self.fd)
            os.replace(self.path, self._final)
            if self._fsync:
                directory = os.open(os.path.dirname(self._final), os.O_RDONLY)
                os.fsync(directory)
                os.close(directory)
        except OSError as e:
            self.abort()
            raise DataError(f"{self.name}: {reason(e)}") from e

    def abort(self) -> None:
        """Leave the target as it was."""
        with contextlib.suppress(OSError):
            if self.path is not None:
                os.unlink(self.path)
            elif self._undo_to is not None:
                os.ftruncate(self.fd, self._undo_to)
        if self.fd > 2:
            with contextlib.suppress(OSError):
                os.close(self.fd)


@contextlib.contextmanager
def temporary_file(size: int) -> Iterator[str]:
    """A private temporary file of `size` reserved bytes, by path; removed at the end."""
    fd, path = tempfile.mkstemp(prefix="kact-", suffix=".stage")
    try:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, size)
        except OSError as e:
            if e.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
                raise DataError(f"temporary file {path}: {reason(e)} ({size:,} bytes)") from e
        finally:
            os.close(fd)
        yield path
    finally:
        Path(path).unlink(missing_ok=True)

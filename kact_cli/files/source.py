"""Opening and spooling the input, and what reading and writing have in common.

An input is a file descriptor that is either a regular file, read at offsets, or a stream (a pipe, a
FIFO, a terminal), read from its start to its end. Outputs are in `target`.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass

from kact_cli.errors import DataError
from kact_cli.files.temporary import temporary_path
from kact_cli.messages import display, reason

STANDARD = "-"
_DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr|fd/(\d+))|/proc/self/fd/(\d+)")
PIPE_BYTES = 1024 * 1024
"""What pipes are enlarged to: fewer, longer turns between the two processes at its ends."""


def descriptor(path: str, standard: int) -> int | None:
    """The file descriptor that `path` names, as `-` and `/dev/stdout` do; None for a real path."""
    if path == STANDARD:
        return standard
    match = _DESCRIPTOR.fullmatch(path)
    if match is None:
        return None
    names = {"stdin": 0, "stdout": 1, "stderr": 2}
    number = match[2] or match[3]
    return int(number) if number else names[match[1]]


def is_named_file(path: str) -> bool:
    """Whether `path` is a regular file that can be opened again, nobody's standard input."""
    return descriptor(path, 0) is None and os.path.isfile(path)


def enlarge_pipe(fd: int) -> None:
    """Ask for a larger pipe; a system that has no such call, or no more room, is as good."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def read_full(fd: int, view: memoryview, offset: int | None = None) -> int:
    """Fill `view` from `fd`, at `offset` or (None) from where it stands; less only at the end."""
    done = 0
    while done < len(view):
        if offset is None:
            count = os.readv(fd, [view[done:]])
        elif hasattr(os, "preadv"):
            count = os.preadv(fd, [view[done:]], offset + done)
        else:
            part = os.pread(fd, len(view) - done, offset + done)
            count = len(part)
            view[done : done + count] = part
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
    owned: bool = True
    """Whether the descriptor was opened here: one that kact was given stays open."""
    _pending: bytes = b""

    def create(self) -> None:
        """Make the temporary file: after whoever removes it has taken charge of it."""
        assert self.path is not None
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.fd = os.open(self.path, flags, 0o600)

    def openable(self) -> str:
        """A path that opens this regular file once more, in this process."""
        return self.path if self.path is not None else f"/dev/fd/{self.fd}"

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

    def spool(self, limit: int | None = None) -> Source:
        """A stream, or `limit` bytes of it, in a private temporary file, which `close` removes."""
        spooled = temporary(self.name)
        try:
            spooled.create()
            buffer = memoryview(bytearray(PIPE_BYTES))
            size = 0
            while count := self.read_into(buffer[: None if limit is None else limit - size]):
                write_full(spooled.fd, buffer[:count])
                size += count
            spooled.size = size
        except OSError as e:
            spooled.close()
            raise DataError(f"temporary file {spooled.path}: {reason(e)}") from e
        except BaseException:
            spooled.close()
            raise
        return spooled

    def close(self) -> None:
        if self.owned and self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self.temporary and self.path:
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def temporary(name: str) -> Source:
    """A private temporary file for the content of `name`; `create` makes it, `close` removes it."""
    return Source(-1, name, temporary_path("spool"), 0, temporary=True)


def open_source(path: str) -> Source:
    """Open INPUT: a path, or `-` for standard input. Raises DataError saying why it cannot."""
    name = "standard input" if path == STANDARD else display(path)
    fd = descriptor(path, standard=0)
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
            size = os.fstat(fd).st_size
            return Source(fd, name, path if opened else None, size, owned=opened)
        enlarge_pipe(fd)
        return Source(fd, name, None, None, owned=opened)
    except (OSError, ValueError) as e:
        said = reason(e) if isinstance(e, OSError) else str(e)
        raise DataError(f"{name}: {said}") from e

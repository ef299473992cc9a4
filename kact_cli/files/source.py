"""Opening the input, and putting it aside where it is read more than once.

An input is a file descriptor that is either a regular file, read at offsets, or a stream (a pipe, a
FIFO, a terminal), read from its start to its end. Outputs are in `target`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kact_cli.errors import DataError, UsageError, prefixed
from kact_cli.files.descriptors import (
    STANDARD,
    Stamp,
    copy,
    descriptor,
    enlarge_pipe,
    read_full,
    reopenable,
    write_full,
)
from kact_cli.files.temporary import temporary_file
from kact_cli.messages import display

if TYPE_CHECKING:
    from kact_cli.files.object_store import Uri
    from kact_cli.files.sums import Sums


def is_named_file(path: str) -> bool:
    """Whether `path` is a regular file that can be opened again, nobody's standard input."""
    return descriptor(path, 0) is None and os.path.isfile(path)


@dataclass
class Source:
    """An open input. `size` is None for a stream, whose bytes come once and in order."""

    fd: int
    name: str
    path: str | None
    """Where another process can open it; None for a stream."""
    size: int | None
    owned: bool = True
    """Whether the descriptor was opened here: one that kact was given stays open."""
    stamp: Stamp | None = None
    """Of a regular file, as it was when it was opened."""
    base: int = 0
    """Where in the file the input starts: behind 0 for a member of an archive."""
    sums: Sums | None = None
    """What is to know the checksums of what is read of a file, if anything."""
    _pending: bytes = b""

    def openable(self) -> str:
        """A path that opens this regular file once more, in this process."""
        return reopenable(self.fd, self.path)

    def check_unchanged(self) -> None:
        """Raise DataError where somebody has written to the file since it was opened.

        What was read of it then may be of the old content or of the new. A file that was put in
        its place is another one: this one is as it was.
        """
        with prefixed(self.name, OSError):
            if self.stamp is not None and Stamp.of(self.fd) != self.stamp:
                raise DataError("changed while it was read")

    def readers(self, group: int) -> int:
        """The mode of a new file of `group` that nobody reads who may not read this one."""
        if self.size is None:
            return 0o666
        with prefixed(self.name, OSError):
            found = os.fstat(self.fd)
        others = found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if found.st_gid != group:  # a group that is not this file's are others to it
            others &= others << 3 | stat.S_IRWXO
        return 0o666 & (others | stat.S_IRWXU)

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
        with prefixed(self.name, OSError):
            return read_full(self.fd, view, None if offset is None else self.base + offset)

    @contextlib.contextmanager
    def spool(self, limit: int | None = None) -> Iterator[Source]:
        """A stream, or `limit` bytes of it, in a private temporary file, for as long as needed."""
        with temporary_file() as file:
            with prefixed(file.name, OSError):
                size = copy(self.read_into, partial(write_full, file.fd), limit)
            yield Source(file.fd, self.name, file.path, size, owned=False)

    def close(self) -> None:
        if self.owned and self.fd >= 0:
            # What was read has been read, whatever the system says now
            with contextlib.suppress(OSError):
                os.close(self.fd)
            self.fd = -1


def open_source(path: str) -> Source:
    """Open INPUT: a path, a URI, or `-` for standard input.

    What a URI names is read into a temporary file first. Raises DataError saying why it cannot,
    and UsageError where nobody but a person at a terminal could give one.
    """
    if ":/" in path:
        from kact_cli.files.object_store import Uri, parse

        place = parse(path)
        if isinstance(place, Uri):
            return _fetched(place)
        path = place
    name = "standard input" if path == STANDARD else display(path)
    fd = descriptor(path, standard=0)
    owned = fd is None
    if fd is not None and os.isatty(fd):
        raise UsageError("no INPUT: name a file, or give one on standard input")
    with contextlib.ExitStack() as failed, prefixed(name, OSError, ValueError):
        if fd is None:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            failed.callback(os.close, fd)
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise DataError("is a directory; kact batch takes directories")
        if stat.S_ISREG(mode) and (owned or os.lseek(fd, 0, os.SEEK_CUR) == 0):
            stamp = Stamp.of(fd)
            found = Source(fd, name, path if owned else None, stamp.size, owned, stamp)
        else:
            enlarge_pipe(fd)
            found = Source(fd, name, None, None, owned)
        failed.pop_all()
    return found


def _fetched(uri: Uri) -> Source:
    """What there is at `uri`, in a file that has no name any more: nothing can leave it behind."""
    from kact_cli.files.object_store import fetch

    with temporary_file() as file, prefixed(file.name, OSError):
        fd = os.dup(file.fd)
    try:
        return Source(fd, display(str(uri)), None, fetch(uri, fd))
    except BaseException:
        os.close(fd)
        raise

"""What is done with an open file, whoever opened it and whatever it holds."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kact_cli.errors import DataError, reason

STANDARD = "-"
PIPE_BYTES = 1024 * 1024
"""What pipes are enlarged to: fewer, longer turns between the two processes at its ends."""
_DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr|fd/([0-9]{1,9}))|/proc/self/fd/([0-9]{1,9})")
"""No descriptor has more digits: they are of 32 bits."""
_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


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


class Stamp(NamedTuple):
    """What tells what a file holds from what it held before, and from another of its name.

    The inode does not: each machine of a cluster may see another one.
    """

    size: int
    modified: int

    @classmethod
    def of(cls, file: int | str) -> Stamp:
        """That of a descriptor or a path. Raises OSError."""
        found = os.stat(file)
        return cls(found.st_size, found.st_mtime_ns)


def reopenable(fd: int, path: str | None, process: int | None = None) -> str:
    """A path that opens the regular file once more that is open here as `fd`.

    On Linux that very file, whatever has been put under its name since; elsewhere by `path`, or
    where it has none as a copy of the descriptor. `process` names this one for other processes.
    """
    found = f"/proc/{process or 'self'}/fd/{fd}"
    return found if os.path.exists(found) else path or f"/dev/fd/{fd}"


@contextlib.contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    """A descriptor of the file at `path`, which no child process inherits; closed at the end."""
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        # What has been read has been read; what was written may be lost
        with contextlib.suppress(OSError) if flags == os.O_RDONLY else contextlib.nullcontext():
            os.close(fd)


def enlarge_pipe(fd: int) -> None:
    """Ask for a larger pipe; a system that has no such call, or no more room, is as good."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def reserve(fd: int, size: int, base: int = 0) -> None:
    """Reserve `size` bytes from `base` on, so that a full disk is an error now, not after the work.

    Raises DataError where there is no room. A file system that cannot reserve any (EOPNOTSUPP,
    EINVAL) finds a full disk when it is written to.
    """
    try:
        if size and hasattr(os, "posix_fallocate"):
            # Some file systems take all that there is, from everybody, before they find too little
            disk = os.fstatvfs(fd)
            # One in user space that says nothing of its blocks has 0 of them
            if disk.f_blocks and size > disk.f_bavail * disk.f_frsize:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.posix_fallocate(fd, base, size)
    except OSError as e:
        if e.errno in _NO_ROOM:
            raise DataError(f"{reason(e)} ({size:,} bytes needed)") from e


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


def read_part(fd: int, size: int, offset: int) -> bytes:
    """`size` bytes at `offset`, fewer only at the end. Raises DataError, which names no file."""
    buffer = memoryview(bytearray(size))
    try:
        return bytes(buffer[: read_full(fd, buffer, offset)])
    except OSError as e:
        raise DataError(reason(e)) from e


def size_of(fd: int) -> int:
    """The size of an open file. Raises DataError, which names no file."""
    try:
        return os.fstat(fd).st_size
    except OSError as e:
        raise DataError(reason(e)) from e


def write_full(fd: int, data: Any, offset: int | None = None) -> None:
    """Write all of a contiguous buffer to `fd`, at `offset` or (None) where it stands."""
    view = memoryview(data)
    if view.nbytes == 0:  # of no dimension that can be cast
        return
    view, done = view.cast("B"), 0
    while done < len(view):
        if offset is None:
            done += os.write(fd, view[done:])
        else:
            done += os.pwrite(fd, view[done:], offset + done)


def copy(
    read: Callable[[memoryview], int],
    write: Callable[[memoryview], object],
    limit: int | None = None,
    piece: int = PIPE_BYTES,
) -> int:
    """Hand on what `read` fills a buffer with until it gives nothing, or `limit` bytes of it.

    Returns the count of bytes. `piece` is the size of the buffer.
    """
    buffer = memoryview(bytearray(piece))
    done = 0
    while count := read(buffer[: None if limit is None else limit - done]):
        write(buffer[:count])
        done += count
    return done


def copy_range(source: int, start: int, size: int, target: int, at: int) -> None:
    """Copy bytes between files, in the kernel where it can (which may share them on disk).

    Raises DataError where the source ends early, or cannot be read.
    """
    end = start + size
    in_kernel = hasattr(os, "copy_file_range")
    while start < end:
        if in_kernel:
            try:
                copied = os.copy_file_range(source, target, end - start, start, at)
            except OSError:
                in_kernel = False  # other file systems, or a kernel without it
                continue
        else:
            try:
                block = os.pread(source, min(PIPE_BYTES, end - start), start)
            except OSError as e:
                raise DataError(reason(e)) from e
            write_full(target, block, at)
            copied = len(block)
        if copied == 0:
            raise DataError("became shorter while it was read")
        start, at = start + copied, at + copied

"""Temporary files: those beside an output that become it, and private ones for what is put aside.

One beside an output is locked for as long as it is written: what nobody holds was left by a run
that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from kact_cli.cleanup import forget, note, remove, temporary_directory
from kact_cli.errors import prefixed
from kact_cli.files.descriptors import opened, reserve

FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class TemporaryFile(NamedTuple):
    """A private file, open for reading and writing."""

    path: str
    fd: int

    @property
    def name(self) -> str:
        """What an error calls it."""
        return f"temporary file {self.path}"


def temporary_path(kind: str) -> str:
    """Where a new temporary file may be made, which is removed when the process ends.

    Raises DataError where there is no directory for it.
    """
    with prefixed("no directory for temporary files", OSError):
        directory = temporary_directory()
    return note(os.path.join(directory, f"kact-{os.urandom(8).hex()}.{kind}"))


@contextlib.contextmanager
def temporary_file(size: int = 0) -> Iterator[TemporaryFile]:
    """A private temporary file with `size` reserved bytes; removed at the end."""
    path, fd = temporary_path("stage"), -1
    try:
        with prefixed(f"temporary file {path}", OSError):
            fd = os.open(path, FLAGS, 0o600)
            reserve(fd, size)
        yield TemporaryFile(path, fd)
    finally:
        # What was put aside has been used, whatever the system says now
        with contextlib.suppress(OSError):
            if fd >= 0:
                os.close(fd)
        remove(path)


def temporary_prefix(name: str) -> str:
    """How the temporary file of an output called `name` starts: what a killed run left is found."""
    return f".kact-{zlib.crc32(os.fsencode(name)):08x}-"


def remove_abandoned(path: str) -> None:
    """Remove a temporary file, unless the run that writes it is still there.

    A link is none, and is not followed: who put it there may not open what it names.
    """
    with contextlib.suppress(OSError), opened(path, os.O_RDWR | os.O_NOFOLLOW) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)


def group_beside(directory: str) -> int:
    """The group that a new file in `directory` most likely gets: only the file itself tells."""
    with contextlib.suppress(OSError):
        found = os.stat(directory)
        if found.st_mode & stat.S_ISGID:
            return found.st_gid
    return os.getegid()


def create_beside(directory: str, name: str, mode: int) -> tuple[int, str]:
    """A new temporary file for the output `name`, locked: its descriptor and its path."""
    while True:
        # A short name of its own: the target's may be as long as the file system allows
        path = note(os.path.join(directory, f"{temporary_prefix(name)}{os.urandom(6).hex()}.tmp"))
        try:
            fd = os.open(path, FLAGS, mode)
        except OSError:
            forget(path)
            raise
        try:
            # Where there are no locks nobody can hold one, and so nobody removes what is not held.
            # Who holds this one is about to remove the file, and is waited for
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_EX)
            os.stat(path)
            return fd, path
        except FileNotFoundError:  # taken for abandoned, in the moment before it was locked
            forget(path)
            os.close(fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.close(fd)
            remove(path)
            raise

"""Temporary files: those beside an output that become it, and private ones for what is put aside.

One beside an output is locked for as long as it is written: what nobody holds was left by a run
that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import zlib
from collections.abc import Iterator

from kact_cli.errors import prefixed
from kact_cli.files.descriptors import opened, reserve


def temporary_path(kind: str) -> str:
    """Where a new temporary file may be made; made here, it could be left behind by a signal.

    Raises DataError where there is no directory for it.
    """
    import tempfile  # it takes longer to import than a small tensor to compute

    with prefixed("no directory for temporary files", OSError):
        directory = tempfile.gettempdir()
    return os.path.join(directory, f"kact-{os.urandom(8).hex()}.{kind}")


@contextlib.contextmanager
def temporary_file(size: int = 0) -> Iterator[str]:
    """A private temporary file of `size` reserved bytes, by path; removed at the end."""
    path = temporary_path("stage")
    try:
        with prefixed(f"temporary file {path}", OSError):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                reserve(fd, size)
            finally:
                os.close(fd)
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def temporary_prefix(name: str) -> str:
    """How the temporary file of an output called `name` starts: what a killed run left is found."""
    return f".kact-{zlib.crc32(os.fsencode(name)):08x}-"


def remove_abandoned(path: str) -> None:
    """Remove a temporary file, unless the run that writes it is still there."""
    with contextlib.suppress(OSError), opened(path, os.O_RDWR) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)


def path_beside(directory: str, name: str) -> str:
    """Where a new temporary file for the output `name` may be made; see `temporary_path`."""
    # A short name of its own: the target's may be as long as the file system allows
    return os.path.join(directory, f"{temporary_prefix(name)}{os.urandom(6).hex()}.tmp")


def create_locked(path: str, mode: int) -> int | None:
    """A new file, held by a lock: its descriptor.

    None where another run took it for abandoned, and removed it, before it was locked.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        # Where there are no locks nobody can hold one, and so nobody removes what is not held
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.stat(path)
        return fd
    except FileNotFoundError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise

"""Temporary files: where they may be, and one with reserved space for as long as it is needed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from kact_cli.errors import DataError
from kact_cli.messages import reason


def temporary_path(kind: str) -> str:
    """Where a new temporary file may be made; made here, it could be left behind by a signal.

    Raises DataError where there is no directory for it.
    """
    import tempfile  # it takes longer to import than a small tensor to compute

    try:
        directory = tempfile.gettempdir()
    except OSError as e:
        raise DataError(f"no directory for temporary files: {reason(e)}") from e
    return os.path.join(directory, f"kact-{os.urandom(8).hex()}.{kind}")


_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextlib.contextmanager
def temporary_file(size: int) -> Iterator[str]:
    """A private temporary file of `size` reserved bytes, by path; removed at the end."""
    path = temporary_path("stage")
    try:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise DataError(f"temporary file {path}: {reason(e)}") from e
        try:
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, size)
        except OSError as e:
            if e.errno in _NO_ROOM:
                raise DataError(f"temporary file {path}: {reason(e)} ({size:,} bytes)") from e
        finally:
            os.close(fd)
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

"""Temporary files: where they may be, and one with reserved space for as long as it is needed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from kact_cli.errors import prefixed
from kact_cli.files.descriptors import reserve


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

"""What this process has to remove, however it ends.

A signal may come between any two steps: after a temporary file is made and before anybody is there
to remove it, or within what removes it. So its path is noted before there is anything, and what is
still noted when the process ends is removed then (`kact_cli.cli.main`). Only SIGKILL leaves some.
"""

from __future__ import annotations

import contextlib
import errno
import os

PLACES = ("/tmp", "/var/tmp")
"""Where temporary files go, if the environment does not say it."""
_noted: set[str] = set()


def temporary_directory() -> str:
    """Where temporary files go: in TMPDIR, TEMP, TMP or where they usually do.

    `tempfile.gettempdir` would make a file there, to see whether it can. Raises OSError where there
    is no such directory.
    """
    for path in (*map(os.environ.get, ("TMPDIR", "TEMP", "TMP")), *PLACES):
        if path and os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK):
            return os.path.abspath(path)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def note(path: str) -> str:
    """Note what is about to be made at `path`, a name that nobody else has; returns the path."""
    _noted.add(path)
    return path


def forget(path: str) -> None:
    """There is nothing at `path` any more that has to be removed."""
    _noted.discard(path)


def remove(path: str) -> OSError | None:
    """Remove the temporary file, or directory with what is in it, at `path`, if it is there.

    Returns why it cannot be removed; then it is tried again when the process ends.
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            _delete(path)
    except OSError as e:
        return e
    forget(path)
    return None


def remove_all() -> None:
    """Remove everything that is still noted: files, and directories with what is in them."""
    while _noted:
        path = _noted.pop()
        with contextlib.suppress(OSError):
            _delete(path, ignore_errors=True)


def _delete(path: str, *, ignore_errors: bool = False) -> None:
    if os.path.isdir(path):
        import shutil  # with bz2 and lzma; only batches make directories

        shutil.rmtree(path, ignore_errors=ignore_errors)
    else:
        os.unlink(path)

"""The output: whole or absent.

A file is written beside its target under a temporary name and put in its place at the end. It is
locked for so long: a temporary file that nobody holds was left by a run that was killed.

Standard output, a FIFO, /dev/null are written to in order and never replaced: others may write
there too, and what they wrote stays as it is.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kact_cli.cleanup import forget, remove
from kact_cli.errors import AppearedError, DataError, ExistsError, prefixed, reason
from kact_cli.files.descriptors import (
    STANDARD,
    copy,
    descriptor,
    enlarge_pipe,
    opened,
    read_full,
    reserve,
    write_full,
)
from kact_cli.files.source import Source
from kact_cli.files.temporary import create_beside, group_beside, temporary_file, temporary_path
from kact_cli.messages import display

if TYPE_CHECKING:
    from kact_cli.files.object_store import Uri
    from kact_cli.files.sums import Sums


class Target:
    """An open output, used as a context: committed when the block ends well, else taken back.

    `seekable` says whether `fd` can be written at offsets; otherwise bytes go in order. `path` is
    where another process can open it, None where it cannot.
    """

    def __init__(
        self,
        path: str,
        *,
        overwrite: bool = False,
        fsync: bool = False,
        source: Source | None = None,
    ) -> None:
        """OUTPUT: a path, a URI, or `-` for standard output. Nothing is opened before `with`.

        What goes to a URI is written to a temporary file, and sent there at the end.
        Whoever may not read `source`, the input, may not read the output.
        """
        self._uri: Uri | None = None
        if ":/" in path:
            from kact_cli.files.object_store import Uri, parse

            place = parse(path)
            self._uri = place if isinstance(place, Uri) else None
            path = str(place)
        self.name = "standard output" if path == STANDARD else display(path)
        self._given = path
        self._overwrite = overwrite
        self._fsync = fsync
        self.fd = -1
        self.seekable = False
        self._final: str | None = None
        self.path: str | None = None
        self.base = 0
        """Where in the file the output starts: behind 0 for a member of an archive."""
        self.sums: Sums | None = None
        """What is to know the checksums of what is written to a file, if anything."""
        self.remark: str | None = None
        """What the user should know of an output that is in its place all the same."""
        self._source = source
        self._mode: int | None = None
        """What the file is to have in the end, where that is not what it was made with."""
        self._started_at: int | None = None
        """How long a regular file was that is written to, not replaced."""
        self._written = 0

    def __enter__(self) -> Target:
        """Open the output.

        Raises UsageError for a file that exists, unless told to overwrite; DataError where it
        cannot be created.
        """
        with prefixed(self.name, OSError):
            try:
                self._open(self._given, self._overwrite)
            except BaseException:
                self.abort()
                raise
        return self

    def _open(self, path: str, overwrite: bool) -> None:
        if self._uri is not None:
            self._open_remote(self._uri, overwrite)
            return
        fd = descriptor(_followed(path), standard=1)
        if fd is not None:
            self.fd = fd
            self._adopt()
            return
        # realpath would drop a last slash, and take nothing for here
        final = os.path.realpath(path) + "/" * path.endswith("/") if path else path
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
            raise ExistsError(f"{self.name} exists; give --overwrite to replace it")
        if found is not None and not os.access(final, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        directory, name = os.path.split(final)
        # Less the umask, as for any new file; one that takes the place of another is private first
        mode = self._readers(group_beside(directory)) if found is None else 0o600
        self.fd, self.path = create_beside(directory, name, mode)
        self._final = final
        self.seekable = True
        made = os.fstat(self.fd)
        with contextlib.suppress(OSError):
            if found is not None:
                os.fchown(self.fd, found.st_uid, found.st_gid)
            elif (less := made.st_mode & self._readers(made.st_gid)) != stat.S_IMODE(made.st_mode):
                os.fchmod(self.fd, less)  # the system has given it another group
        if found is not None:
            self._mode = stat.S_IMODE(found.st_mode)

    def _readers(self, group: int) -> int:
        """The mode of a new output: nobody reads it who may not read the input."""
        return 0o666 if self._source is None else self._source.readers(group)

    def _open_remote(self, uri: Uri, overwrite: bool) -> None:
        from kact_cli.files.object_store import look

        found = None if overwrite else look(uri)
        if found is not None and found.size is not None:
            raise ExistsError(f"{self.name} exists; give --overwrite to replace it")
        self.path = temporary_path("upload")
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.seekable = True

    def _adopt(self) -> None:
        """Take a descriptor as it is, which others may hold too."""
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            enlarge_pipe(self.fd)
            return
        if self._source is not None and self._source.size is not None:
            with prefixed(self._source.name, OSError):
                source = os.fstat(self._source.fd)
            if (status.st_dev, status.st_ino) == (source.st_dev, source.st_ino):
                raise DataError(f"{self.name} is also the input, and would be destroyed")
        self._started_at = status.st_size
        if not fcntl.fcntl(self.fd, fcntl.F_GETFL) & os.O_APPEND:
            self._started_at = os.lseek(self.fd, 0, os.SEEK_CUR)

    def allocate(self, size: int) -> None:
        """Reserve `size` bytes, so that a full disk is an error now and not after the work."""
        if self.seekable:
            with prefixed(self.name):
                reserve(self.fd, size)

    def write(self, data: Any, offset: int | None = None) -> None:
        """Write all of a buffer at `offset` from the output's start, or (None) in order.

        Raises BrokenPipeError when the reader is gone, DataError for anything else.
        """
        with prefixed(self.name, OSError):
            if offset is not None:
                write_full(self.fd, data, self.base + offset)
                return
            view = memoryview(data)
            view = view.cast("B") if view.nbytes else memoryview(b"")
            while view:
                count = os.write(self.fd, view)
                self._written += count
                view = view[count:]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.abort()
            return
        with prefixed(self.name, OSError):
            try:
                self._commit()
            except BaseException:
                self.abort()
                raise

    def _commit(self) -> None:
        if self._mode is not None:
            os.fchmod(self.fd, self._mode)
        if self._fsync:
            # A pipe cannot be synchronised, and need not be
            with contextlib.suppress(OSError) if self._final is None else contextlib.nullcontext():
                os.fsync(self.fd)
        if self._uri is not None and self.path is not None:
            from kact_cli.files.object_store import put

            self._close()
            put(self.path, self._uri)
            remove(self.path)
            return
        # Only a close tells what a network file system did not write; but the last one would give
        # up the lock, and a file that nobody holds may be removed before it is in its place
        os.close(os.dup(self.fd))
        if self._final is None or self.path is None:
            self._close()
            return
        if self._overwrite:
            os.replace(self.path, self._final)
            forget(self.path)
        else:
            self._put_where_nothing_is(self.path, self._final)
        with contextlib.suppress(OSError):
            self._close()
        try:
            if self._fsync:
                with opened(os.path.dirname(self._final), os.O_RDONLY) as directory:
                    os.fsync(directory)
        except OSError as e:
            self.remark = f"{self.name}: in place, but not synchronised: {reason(e)}"

    def _put_where_nothing_is(self, path: str, final: str) -> None:
        try:
            os.link(path, final)  # fails, as a rename would not, where a file has come to be
        except FileExistsError as e:
            raise AppearedError(f"{self.name} exists by now; it was not replaced") from e
        except OSError:  # a file system without hard links
            os.replace(path, final)
            forget(path)
        else:
            if fault := remove(path):
                self.remark = f"{path}: could not be removed: {reason(fault)}"

    def _close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd > 2:
            os.close(fd)

    def abort(self) -> None:
        """Leave the target as it was; and what others have written there meanwhile as it is."""
        if self.path is not None:
            remove(self.path)
        with contextlib.suppress(OSError):
            if self._started_at is not None:
                ours = self._started_at + self._written
                if os.fstat(self.fd).st_size == os.lseek(self.fd, 0, os.SEEK_CUR) == ours:
                    os.ftruncate(self.fd, self._started_at)
                    os.lseek(self.fd, self._started_at, os.SEEK_SET)
        with contextlib.suppress(OSError):
            self._close()


def _followed(path: str) -> str:
    """`path` with symlinks followed as far as a name for a descriptor, such as /dev/stdout."""
    for _ in range(40):  # as the system does, before it says that they go in a circle
        if descriptor(path, standard=1) is not None or not os.path.islink(path):
            break
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    return path


class _GivenUp(Exception):
    """Unwinds what a stack holds; never shown."""


def give_up(stack: contextlib.ExitStack) -> None:
    """Leave what the stack holds as after an error: the outputs in it as they were."""
    with contextlib.suppress(_GivenUp), stack:
        raise _GivenUp


@contextlib.contextmanager
def as_regular_file(target: Target, *, readable: bool = False) -> Iterator[Target]:
    """The target, or (for a pipe) a temporary file, whose content goes into it at the end.

    `readable`: what has been written is read again, as it can be in a file that kact has opened.
    """
    if target.seekable and (target.path is not None or not readable):
        yield target
        return
    with temporary_file() as file:
        spooled = Target(file.path)
        spooled.name, spooled.fd, spooled.path = file.name, file.fd, file.path
        spooled.seekable = True
        yield spooled
        with prefixed(file.name, OSError):
            os.lseek(file.fd, 0, os.SEEK_SET)
            copy(partial(read_full, file.fd), target.write)

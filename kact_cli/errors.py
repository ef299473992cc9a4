"""What can go wrong, and the exit code of each.

Library code raises these and never exits or prints. `kact_cli.cli.main` is the one place that turns
them into a line on standard error and an exit code. Each takes exactly one message, so that it
pickles: a worker process sends it back whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell sees. A signal n ends kact with 128 + n (130 Ctrl-C, 141 broken pipe).

    `kact compare` has the codes of cmp, diff and grep: 1 says that the files differ, so that what
    keeps them from being compared is 2.
    """

    DONE = 0
    DATA = DIFFERENT = 1
    USAGE = TROUBLE = 2


class KactError(Exception):
    """Base of every error that is not a bug; its message is one line for the user."""

    exit_code = ExitCode.DATA
    names_file = False
    """Whether the message begins with the name of the file that is at fault."""


class DataError(KactError):
    """The input, or reading or writing it, is at fault: a broken file, a full disk. Exit code 1."""


class DifferentError(DataError):
    """Two files that are compared have other shapes, columns or rows. Exit code 1."""


class UsageError(KactError):
    """The command line is at fault: an unknown name, an axis out of range. Exit code 2."""

    exit_code = ExitCode.USAGE


class StrictError(UsageError):
    """A warning, where --strict makes errors of them. Exit code 2."""

    names_file = True  # where the warning is about one


class PluginError(UsageError):
    """An activation of another package that cannot be loaded, or fails. Exit code 2."""


class ExistsError(UsageError):
    """An output exists, and is not to be replaced."""


class AppearedError(ExistsError):
    """An output has come to exist while it was made: somebody else's. Exit code 1."""

    exit_code = ExitCode.DATA


class ChainSyntaxError(UsageError):
    """A chain that does not parse; the message shows the column with a caret (several lines)."""


def reason(error: BaseException) -> str:
    """What went wrong, in one line; of the operating system's errors without number and path."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        if error.errno == errno.ENOENT and isinstance(error.filename, str | bytes):
            directory = os.path.dirname(os.fsdecode(error.filename))
            if directory and not os.path.lexists(directory):
                return f"there is no directory {directory}"
        return os.strerror(error.errno).lower()
    return without_secrets(" ".join(str(error).split()))[:300]


def without_secrets(text: str) -> str:
    """`text`, in which URIs have lost what stands before an @, as in s3://KEY:SECRET@bucket.

    A secret may have slashes in it, which nobody has escaped: where there is a colon before the
    first of them, everything up to the @ goes.
    """
    if "://" not in text or "@" not in text:
        return text
    return re.sub(r"(?<=://)(?:[^/@\s'\"]*:[^@\s'\"]*|[^/@\s'\"]*)@", "", text)


@contextlib.contextmanager
def prefixed(name: str, *faults: type[Exception], between: str = ": ") -> Iterator[None]:
    """Have every error name a file: `name` comes before a KactError that does not name one.

    What is raised of `faults`, the exceptions of a library or of the operating system, becomes a
    DataError. A broken pipe is no fault of the file, and stays as it is.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except KactError as e:
        if e.names_file or str(e).startswith(tuple(name + c for c in ":, ")):
            raise
        raise _about_file(type(e), f"{name}{between}{e}") from e
    except faults as e:
        raise _about_file(DataError, f"{name}{between}{reason(e)}") from e


@contextlib.contextmanager
def at_the_end(step: Callable[[], None]) -> Iterator[None]:
    """Take a step when the block ends, well or not.

    Where both fail, the error is that of the block, and what the step says is a note on it.
    """
    try:
        yield
    except BaseException as first:
        try:
            step()
        except KactError as e:
            first.add_note(str(e))
        raise
    step()


def _about_file(kind: type[KactError], message: str) -> KactError:
    error = kind(message)
    error.names_file = True
    return error

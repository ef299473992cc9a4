"""What can go wrong, and the exit code of each.

Library code raises these and never exits or prints. `kact_cli.cli.main` is the one place that turns
them into a line on standard error and an exit code. Each takes exactly one message, so that it
pickles: a worker process sends it back whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell sees. A signal n ends kact with 128 + n (130 Ctrl-C, 141 broken pipe)."""

    DONE = 0
    DATA = 1
    USAGE = 2


class KactError(Exception):
    """Base of every error that is not a bug; its message is one line for the user."""

    exit_code = ExitCode.DATA


class DataError(KactError):
    """The input, or reading or writing it, is at fault: a broken file, a full disk. Exit code 1."""


class UsageError(KactError):
    """The command line is at fault: an unknown name, an axis out of range. Exit code 2."""

    exit_code = ExitCode.USAGE


class ChainSyntaxError(UsageError):
    """A chain that does not parse; the message shows the column with a caret (several lines)."""


@contextlib.contextmanager
def prefixed(name: str, between: str = ": ") -> Iterator[None]:
    """Put `name`, a file's, before the message of every KactError that does not begin with it."""
    try:
        yield
    except KactError as e:
        if str(e).startswith(name):
            raise
        raise type(e)(f"{name}{between}{e}") from e

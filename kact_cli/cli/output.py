"""The options of an output, whatever is written to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kact_cli.cli.classes import FILES, RUNNING, option

F = TypeVar("F", bound=Callable[..., Any])

_TARGET = (
    option(
        FILES,
        "--overwrite",
        is_flag=True,
        envvar="KACT_OVERWRITE",
        help="Replace OUTPUT if it exists.",
    ),
    option(
        FILES,
        "--fsync",
        is_flag=True,
        envvar="KACT_FSYNC",
        help="Flush to disk before renaming (survives power loss; slower).",
    ),
)
WRITE = (
    *_TARGET,
    option(
        RUNNING,
        "--progress/--no-progress",
        default=None,
        envvar="KACT_PROGRESS",
        help="Show progress on jobs longer than a second.  [default: on a terminal]",
    ),
)
"""How an output is written, whatever it is."""

REPORT = option(
    RUNNING,
    "--report",
    metavar="FILE",
    help="Write what became of each file, with counts, as JSON (-: to standard output).",
)
"""Of the commands that make files of files."""


def decorated(command: F, options: Sequence[Callable[[F], F]]) -> F:
    """`command` with all these options, in this order."""
    for decorate in reversed(options):
        command = decorate(command)
    return command


def target_options(command: F) -> F:
    """The options of a command that makes a small file of nothing."""
    return decorated(command, _TARGET)


def writing_options(command: F) -> F:
    """The options of a command that makes a file of nothing."""
    return decorated(command, WRITE)

"""The options of an output, whatever is written to it, and the arguments that name it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from kact_cli.cli.classes import FILES, RUNNING, option
from kact_cli.cli.types import PathType

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


STREAMS = (
    "INPUT and OUTPUT are files or URIs; without them, or for -, kact reads and writes the "
    "standard streams. On a terminal it shows some rows in place of an OUTPUT."
)
"""What the help says of both."""


def input_output(command: F) -> F:
    """INPUT and OUTPUT, both standard streams by default."""
    command = click.argument("output", default="-", metavar="[OUTPUT]", type=PathType())(command)
    return click.argument("input", default="-", metavar="[INPUT]", type=PathType())(command)


def preview_option(command: F) -> F:
    """`--preview`, of the commands whose output may be a terminal."""
    return option(
        FILES,
        "--preview",
        type=click.Choice(("result", "after-each")),
        metavar="WHAT",
        help="Show some rows instead of writing: the result, or after-each step.  [default: "
        "result, on a terminal]",
    )(command)

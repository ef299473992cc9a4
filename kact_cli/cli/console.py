"""What kact says on standard error. A standard error that fails never fails the job."""

from __future__ import annotations

import contextlib
import os
import sys

import click

from kact_cli.errors import StrictError
from kact_cli.messages import display
from kact_cli.options import Observer

COLOURS = {"error": "red", "warning": "magenta"}
"""Dark enough for a light terminal, and light enough for a dark one; yellow is not."""
UNWRITABLE = (OSError, ValueError, AttributeError)
"""What writing to a standard error that is closed, full or None may raise."""


class Console(Observer):
    """Warnings, each once, unless `quiet`; what was decided, if `verbose`.

    `strict` makes errors of warnings.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False, strict: bool = False) -> None:
        self.quiet, self.verbose, self.strict = quiet, verbose, strict
        self._warned: set[str] = set()

    def warn(self, message: str) -> None:
        if self.strict:
            raise StrictError(f"{message} (--strict)")
        if not self.quiet and message not in self._warned:
            self._warned.add(message)
            self.say(message, "warning")

    def note(self, message: str) -> None:
        if self.verbose:
            self.say(message)

    def tell(self, message: str) -> None:
        if is_terminal() and not self.quiet:
            self.say(message)

    def say(self, message: str, kind: str = "") -> None:
        """Show a message of one line; `kind` as in `complain`."""
        complain(display(message), kind)


def is_terminal() -> bool:
    """Whether standard error is a terminal."""
    with contextlib.suppress(*UNWRITABLE):
        return bool(sys.stderr.isatty())
    return False


def takes_colours() -> bool:
    """Whether neither the user nor the terminal's type is against colours."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (
        None,
        "dumb",
        "unknown",
    )


def complain(message: str, kind: str = "error") -> None:
    """Write a message, shown as it is, to standard error, which may be closed or full.

    `kind` comes before it: `error`, `warning`, or nothing.
    """
    if kind:
        coloured = is_terminal() and takes_colours()
        word = click.style(f"{kind}:", fg=COLOURS[kind], bold=True) if coloured else f"{kind}:"
        message = f"{word} {message}"
    with contextlib.suppress(*UNWRITABLE):
        click.echo(f"kact: {message}", err=True)

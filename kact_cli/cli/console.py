"""What kact says on standard error. A standard error that fails never fails the job."""

from __future__ import annotations

import contextlib

import click

from kact_cli.storage import display
from kact_cli.stream import Observer


class Console(Observer):
    """Lines on standard error: warnings unless `quiet`, decisions if `verbose`."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose

    def warn(self, message: str) -> None:
        if not self.quiet:
            self._say(f"kact: warning: {message}")

    def note(self, message: str) -> None:
        if self.verbose:
            self._say(f"kact: {message}")

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            click.echo(display(line), err=True)

"""What kact says on standard error. A standard error that fails never fails the job.

Warnings, unless quiet; what was decided, if verbose; and for work that takes more than a second how
far it is: one line that is written over on a terminal, plain lines now and then where `--progress`
asks for them elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time

import click

from kact_cli.errors import UsageError
from kact_cli.messages import display
from kact_cli.options import Observer

PATIENCE = 1.0
"""Seconds of work before anything is said of it."""
REDRAW, LINES = 0.1, 5.0
"""Seconds between two states of the line on a terminal, and between two plain lines."""


class Console(Observer):
    """Lines on standard error: warnings unless `quiet`, decisions if `verbose`.

    `progress`: shown at all; None: on a terminal. `strict` makes errors of warnings.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        progress: bool | None = None,
        strict: bool = False,
    ) -> None:
        self.quiet, self.verbose, self.strict = quiet, verbose, strict
        self._terminal = terminal = _is_terminal()
        self._shown = (terminal and not quiet) if progress is None else progress
        self._over = terminal and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        self._begun = self._work = time.monotonic()
        self._said = 0.0
        self._total = self._done = 0
        self._passes, self._unit = 1, "bytes"
        self._drawn = False
        self._lock = threading.Lock()
        self._warned: set[str] = set()

    def warn(self, message: str) -> None:
        if self.strict:
            raise UsageError(f"{message} (--strict)")
        if not self.quiet and message not in self._warned:
            self._warned.add(message)
            self._say(f"kact: warning: {display(message)}")

    def note(self, message: str) -> None:
        if self.verbose:
            self._say(f"kact: {display(message)}")

    def tell(self, message: str) -> None:
        if self._terminal and not self.quiet:
            self._say(f"kact: {display(message)}")

    def start(self, total: int, passes: int, unit: str = "bytes") -> None:
        self._total, self._passes, self._unit = total, passes, unit
        self._done, self._work = 0, time.monotonic()
        if self.verbose and passes > 1:
            self.note(f"{passes} passes")

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            if not self._shown:
                return
            now = time.monotonic()
            if now - self._work > PATIENCE and now - self._said > (REDRAW if self._over else LINES):
                self._said = now
                self._draw(self._state(now - self._work))

    def finish(self) -> None:
        """The work is done, or given up: nothing half-written stays on the terminal."""
        self._clear()

    def report(self) -> None:
        """The end of the work, for `--verbose`: how much it was, and how fast."""
        if not self.verbose:
            return
        seconds = time.monotonic() - self._begun
        rate = f", {_rate(self._done / seconds, self._unit)}" if seconds and self._done else ""
        self.note(
            f"{_amount(self._done, self._unit)} in {seconds:.2f} s{rate}, "
            f"peak memory {_amount(peak_memory(), 'bytes')}"
        )

    def _state(self, seconds: float) -> str:
        done, total, unit = self._done, self._total, self._unit
        rate = done / seconds
        parts = [_amount(done, unit)]
        if 0 < done <= total:
            left = (total - done) / rate
            parts = [f"{100 * done // total} %", f"{parts[0]} of {_amount(total, unit)}"]
            parts += [_rate(rate, unit), f"{_time(left)} left"]
            if self._passes > 1:
                number = min(self._passes, 1 + done * self._passes // total)
                parts.append(f"pass {number} of {self._passes}")
        else:
            parts.append(_rate(rate, unit))
        return "kact: " + ", ".join(parts)

    def _draw(self, text: str) -> None:
        import shutil

        if not self._over:
            self._say(text)
            return
        self._drawn = True
        width = shutil.get_terminal_size().columns - 1
        self._put(f"\r{text[:width]}\x1b[K")

    def _clear(self) -> None:
        if self._drawn:
            self._drawn = False
            self._put("\r\x1b[K")

    def _say(self, line: str) -> None:
        self._clear()
        self._put(f"{line}\n")

    def _put(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            # The control sequences are kact's own: what is shown was made safe before
            click.echo(text, err=True, nl=False, color=True)


def _is_terminal() -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return bool(sys.stderr.isatty())
    return False


def peak_memory() -> int:
    """The most memory that this process, or one of its workers, has had, in bytes."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(w).ru_maxrss for w in who) * unit


def _amount(count: float, unit: str) -> str:
    if unit != "bytes":
        return f"{count:,.0f} {unit}"
    for size, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.3g} {name}"
    return f"{count:.0f} bytes"


def _rate(rate: float, unit: str) -> str:
    if unit == "bytes":
        return f"{rate / 1e9:.2f} GB/s" if rate >= 1e8 else f"{rate / 1e6:.3g} MB/s"
    return f"{rate / 1e6:.3g} million {unit}/s" if rate >= 1e5 else f"{rate:,.0f} {unit}/s"


def _time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"

"""How far the work is, once it has taken a second: a bar on a terminal, or lines now and then."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import Any

from kact_cli.cli.console import COLOURS, UNWRITABLE, Console, is_terminal
from kact_cli.messages import amount, display, duration, human, rate, took

PATIENCE = 1.0
"""Seconds of work before anything is said of it."""
BAR_SECONDS, LINE_SECONDS = 0.1, 5.0
"""Seconds between two states of the bar, and between two lines."""
STATE = 66
"""Characters that the state usually takes beside the bar."""
NAMES = 24
"""The most characters that the names of the files in work may take."""


class Progress(Console):
    """A console that also shows the progress: unless told (`progress`), on a terminal.

    The bar is rich's, and rich is imported when it is first drawn. No thread draws it: the
    calls of `advance` do.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        strict: bool = False,
        progress: bool | None = None,
    ) -> None:
        super().__init__(quiet=quiet, verbose=verbose, strict=strict)
        terminal = is_terminal()
        self._shown = (terminal and not quiet) if progress is None else progress
        self._by_bar = terminal and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
        self._created = self._begun = time.monotonic()
        self._drawn = 0.0
        self._total = self._done = self._files = self._ended = 0
        self._passes, self._unit = 1, "bytes"
        self._names: list[str] = []
        self._bar: Any = None
        self._lock = threading.RLock()
        """Guards the counts and the bar; who holds it may give up, after a signal."""

    def start(self, total: int, passes: int, unit: str = "bytes", files: int = 1) -> None:
        self._total, self._passes, self._unit, self._files = total, passes, unit, files
        self._done, self._begun = 0, time.monotonic()
        if passes > 1:
            self.note(f"{passes} passes")

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            self._changed()

    def started(self, name: str) -> None:
        with self._lock:
            self._names.append(name)
            self._changed()

    def ended(self, name: str) -> None:
        with self._lock:
            self._names.remove(name)
            self._ended += 1
            self._changed()

    def finish(self) -> None:
        """The work is done, or given up: nothing half-written stays on the terminal."""
        with self._lock:
            self._shown = False
            if self._bar is not None:
                with contextlib.suppress(*UNWRITABLE):
                    self._bar.stop()
                self._bar = None

    def report(self) -> None:
        """The end of the work, for `--verbose`: how much it was, and how fast."""
        if self.verbose:
            seconds = time.monotonic() - self._created
            speed = f", {rate(self._done, seconds, self._unit)}" if self._done else ""
            self.note(
                f"{amount(self._done, self._unit)} in {took(seconds)}{speed}, "
                f"peak memory {human(peak_memory())}"
            )

    def say(self, message: str, kind: str = "") -> None:
        bar = self._bar  # another thread may take it away
        if bar is None:
            super().say(message, kind)
            return
        from rich.text import Text

        word = (f"{kind}: ", f"bold {COLOURS[kind]}") if kind else ""
        with contextlib.suppress(*UNWRITABLE):
            text = Text.assemble("kact: ", word, display(message))
            bar.console.print(text, soft_wrap=True)

    def _changed(self) -> None:
        """Show the state if it is time to."""
        if not self._shown:
            return
        now = time.monotonic()
        seconds = BAR_SECONDS if self._by_bar else LINE_SECONDS
        if now - self._begun > PATIENCE and now - self._drawn > seconds:
            self._drawn = now
            if self._by_bar:
                self._draw(self._state(now - self._begun))
            else:
                self.say(self._state(now - self._begun))

    def _state(self, seconds: float) -> str:
        """How much is done, at what rate and how long the rest will take."""
        done, total, unit = self._done, self._total, self._unit
        names = ", ".join(name.rpartition("/")[2] for name in self._names)
        shown = names if len(names) <= NAMES else names[: NAMES - 1] + "…"
        parts = [f"{self._ended:,}/{self._files:,} files"] if self._files > 1 else []
        if 0 < done <= total:
            parts += [f"{100 * done // total} %", f"{amount(done, unit)} of {amount(total, unit)}"]
            parts += [rate(done, seconds, unit), f"{duration(seconds * (total / done - 1))} left"]
            if self._passes > 1:
                number = min(self._passes, 1 + done * self._passes // total)
                parts.append(f"pass {number} of {self._passes}")
        else:
            parts += [amount(done, unit), rate(done, seconds, unit)]
        # The names last: where there is no room for all, they can be done without
        return ", ".join(parts) + (f" ({shown})" if shown and self._files > 1 else "")

    def _draw(self, state: str) -> None:
        """Draw the bar and the state, in one line however narrow the terminal is."""
        with contextlib.suppress(*UNWRITABLE):
            if self._bar is None:
                self._bar = make_bar()
                self._bar.add_task(state)
                self._bar.start()
            (task,) = self._bar.task_ids
            total = self._total if self._done <= self._total else None
            self._bar.update(task, description=state, completed=self._done, total=total or None)
            self._bar.refresh()


def make_bar() -> Any:
    """rich's display, which takes what it is given as it is."""
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    text = TextColumn(
        "{task.description}",
        markup=False,
        table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
    )
    console = RichConsole(stderr=True, markup=False, emoji=False, highlight=False)
    # As long as leaves room for the state; rich's own grey is nothing for a light terminal
    length = min(20, max(4, console.width - STATE))
    return Bar(
        BarColumn(length, style="dim", complete_style="green", finished_style="green"),
        text,
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        expand=True,
    )


def peak_memory() -> int:
    """The most memory that this process, or one of its workers, has had, in bytes."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(w).ru_maxrss for w in who) * unit

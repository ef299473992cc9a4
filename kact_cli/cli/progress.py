"""How far a batch is: a display on a terminal, or lines now and then."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from typing import Any

from kact_cli.batch.inputs import Item
from kact_cli.batch.schedule import Watch
from kact_cli.cli.console import Console
from kact_cli.messages import human

LINE_SECONDS = 2.0
"""Between two lines, where lines are shown."""
DRAW_SECONDS = 0.1
"""Between two states of the display. No thread draws it: with one, workers could not be forked."""
NAMES = 60
"""The most characters that the names of the files in work may take."""
_UNWRITABLE = (OSError, ValueError, AttributeError)


class Progress(Console, Watch):
    """Shows nothing; counts for those that do. Used as a context around the batch."""

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        super().__init__(quiet=quiet, verbose=verbose)
        self.files = self.ended_files = self.size = self.done = 0
        self.names: dict[str, str] = {}
        self._first = self._last = time.monotonic()
        self._every = LINE_SECONDS

    def begin(self, files: int, size: int) -> None:
        self.files, self.size = files, size
        self._first = self._last = time.monotonic()

    def started(self, item: Item) -> None:
        self.names[item.target] = item.name
        self._changed()

    def advance(self, count: int) -> None:
        self.done += count
        self._changed()

    def ended(self, item: Item) -> None:
        self.ended_files += 1
        self.names.pop(item.target, None)
        self._changed()

    def _changed(self) -> None:
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            with contextlib.suppress(*_UNWRITABLE):
                self.draw()

    def draw(self) -> None:
        """Show how far it is."""

    def current(self) -> str:
        """The names of some of the files in work."""
        text = ", ".join(name.rpartition("/")[2] for name in self.names.values())
        return text if len(text) <= NAMES else text[: NAMES - 1] + "…"

    def state(self) -> str:
        """Files, bytes, rate and time left, as words."""
        seconds = time.monotonic() - self._first
        rate = self.done / seconds if seconds > 0 else 0.0
        text = f"{self.ended_files:,}/{self.files:,} files, {human(self.done)} of "
        text += f"{human(self.size)}, {human(int(rate))}/s"
        if rate and self.done < self.size:
            text += f", {_duration((self.size - self.done) / rate)} left"
        return text

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left on the screen."""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Lines(Progress):
    """A line now and then, for a log."""

    def draw(self) -> None:
        names = self.current()
        self._say(f"kact: {self.state()}{': ' if names else ''}{names}")

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(*_UNWRITABLE):
            self.draw()


class Display(Progress):
    """A bar at the bottom of the terminal, by rich."""

    _live: Any = None

    def __enter__(self) -> Display:
        import rich.console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._every = DRAW_SECONDS
        columns = BarColumn(), TextColumn("{task.description}", markup=False)
        with contextlib.suppress(*_UNWRITABLE):
            console = rich.console.Console(stderr=True)
            live = Bar(*columns, console=console, auto_refresh=False, transient=True)
            self._task = live.add_task("", total=None)
            live.start()
            self._live = live
        return self

    def begin(self, files: int, size: int) -> None:
        super().begin(files, size)
        self._last = -math.inf  # at once: there is something to see

    def draw(self) -> None:
        if self._live is not None:
            text = f"{self.state()}  {self.current()}"
            total = max(self.size, 1)
            self._live.update(self._task, description=text, total=total, completed=self.done)
            self._live.refresh()

    def _say(self, line: str) -> None:
        if self._live is None:
            super()._say(line)
            return
        with contextlib.suppress(*_UNWRITABLE):
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def __exit__(self, *_: object) -> None:
        live, self._live = self._live, None
        with contextlib.suppress(*_UNWRITABLE):
            if live is not None:
                live.stop()


def make_watch(*, quiet: bool, verbose: bool, progress: bool | None) -> Progress:
    """What shows the progress: as asked for, and on a terminal unless told not to."""
    terminal = False
    with contextlib.suppress(*_UNWRITABLE):
        terminal = sys.stderr.isatty()
    show = progress if progress is not None else terminal and not quiet
    kind = Progress if not show else Display if terminal else Lines
    return kind(quiet=quiet, verbose=verbose)

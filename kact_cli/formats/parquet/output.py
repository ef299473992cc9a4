"""Who writes where in an output file that several threads fill.

Every task has a number, and its bytes follow those of the task before, so the file is the same
whatever the number of threads. A task learns where it starts when those before it know their
sizes; until then its bytes wait in memory, up to a limit. Tasks have to be started in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Condition

from kact_cli.files.descriptors import write_full
from kact_cli.formats.parquet.pages import Buffer

WAITING_BYTES = 32 << 20
"""What a task may hold in memory before it waits for those before it."""
FLUSH_BYTES = 1 << 20


class Stopped(Exception):
    """Another task failed, so this one need not go on."""


class OutputOrder:
    """The output file open at descriptor `file`, filled from `start` on."""

    def __init__(self, file: int, start: int) -> None:
        self.file = file
        self.end = start
        self._turn = 0
        self.failure: BaseException = Stopped()
        self._stopped = False
        self._changed = Condition()

    def check(self) -> None:
        """Raise Stopped if any task has failed: what a long task writes is no longer wanted."""
        if self._stopped:
            raise Stopped

    def is_turn(self, task: int) -> bool:
        return self._turn == task

    def wait(self, task: int) -> None:
        """Wait until the tasks before `task` have their places."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._turn == task)
            self.check()

    def place(self, task: int, size: int) -> int:
        """Wait for the turn of `task`, give it `size` bytes, and pass the turn on."""
        self.wait(task)
        with self._changed:
            start = self.end
            self.end += size
            self._turn += 1
            self._changed.notify_all()
        return start

    @contextmanager
    def stopped_by_failure(self) -> Iterator[None]:
        """Remember the first failure, and let every waiting task fail with Stopped."""
        try:
            yield
        except BaseException as error:
            with self._changed:
                if not self._stopped:
                    self.failure = error
                self._stopped = True
                self._changed.notify_all()
            raise


class Region:
    """The bytes of one task, written as soon as there is a place for them."""

    def __init__(self, layout: OutputOrder, task: int) -> None:
        self._layout = layout
        self._task = task
        self._pending: list[Buffer] = []
        self._pending_bytes = 0
        self._written = 0

    def write(self, buffers: Sequence[Buffer]) -> None:
        self._layout.check()
        self._pending += buffers
        self._pending_bytes += sum(memoryview(buffer).nbytes for buffer in buffers)
        if self._pending_bytes >= WAITING_BYTES:
            self._layout.wait(self._task)
        if self._pending_bytes >= FLUSH_BYTES and self._layout.is_turn(self._task):
            self._flush(self._layout.end)

    def close(self) -> int:
        """Write what is left; return where the region starts."""
        start = self._layout.place(self._task, self._written + self._pending_bytes)
        self._flush(start)
        return start

    def _flush(self, start: int) -> None:
        for buffer in self._pending:
            write_full(self._layout.file, buffer, start + self._written)
            self._written += memoryview(buffer).nbytes
        self._pending.clear()
        self._pending_bytes = 0

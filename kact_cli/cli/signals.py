"""Signals that ask kact to end: each unwinds what is at work, once, wherever it comes."""

from __future__ import annotations

import signal
import sys
from types import FrameType


class Terminated(BaseException):
    """A signal asks the process to end; unwinds like Ctrl-C, so that nothing is left behind."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _signals() -> tuple[signal.Signals, ...]:
    """The signals that ask the process to end; not every system has them."""
    return signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def catch_signals() -> None:
    """Raise Terminated where such a signal comes, from now on."""
    for number in _signals():
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup kact` stays nohup
            signal.signal(number, _terminate)
    sys.unraisablehook = _unraisable


def _terminate(number: int, frame: FrameType | None) -> None:
    # `timeout` sends its signal twice: the second must not end the clearing up after the first
    ignore_signals()

    def again(*_: object) -> None:
        """Python drops an exception that comes within a destructor or its own compiler."""
        if termination(sys.exception()) is None:
            raise Terminated(number)

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    raise Terminated(number)


def ignore_signals() -> None:
    """Let no signal disturb what is left to do, which is the end."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in _signals():
        signal.signal(number, signal.SIG_IGN)


def _unraisable(dropped: sys.UnraisableHookArgs) -> None:
    if not isinstance(dropped.exc_value, Terminated):  # it is raised again
        sys.__unraisablehook__(dropped)


def termination(error: BaseException | None) -> Terminated | None:
    """The signal that an error, or what was being handled when it came, goes back to."""
    while error is not None and not isinstance(error, Terminated):
        error = error.__cause__ or error.__context__
    return error

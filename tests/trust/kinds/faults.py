"""The Nth call of a system call fails, is interrupted or comes short, for every N of a run."""

from __future__ import annotations

import errno
import random
import signal
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tests.trust import verdict
from tests.trust.inject import Counters, Fault, arm
from tests.trust.inputs import COMMANDS, Command, Tree, tree
from tests.trust.verdict import Tally

ERRORS = {
    "close": (errno.EIO,), "copy": (errno.EIO, errno.ENOSPC, errno.EXDEV), "dup": (errno.EMFILE,),
    "fallocate": (errno.ENOSPC, errno.EOPNOTSUPP, errno.EINTR), "fchmod": (errno.EPERM,),
    "fchown": (errno.EPERM,), "flock": (errno.ENOLCK, errno.EINTR), "fstat": (errno.EIO,),
    "fsync": (errno.EIO, errno.EINTR), "ftruncate": (errno.EIO, errno.EFBIG),
    "link": (errno.EPERM, errno.EEXIST, errno.ENOSPC), "lseek": (errno.EIO,),
    "mkdir": (errno.ENOSPC, errno.EACCES), "open": (errno.EMFILE, errno.EACCES, errno.EINTR),
    "read": (errno.EIO, errno.EINTR), "rename": (errno.EIO, errno.ENOSPC),
    "stat": (errno.EIO, errno.EACCES), "thread": (errno.EAGAIN,),
    "unlink": (errno.EACCES,), "write": (errno.EIO, errno.ENOSPC, errno.EINTR),
}  # fmt: skip
"""What each call may fail with."""
EACH = 10
"""Faults of a command, at least: before them its calls are counted, and its result is made."""
HALVED = ("read", "write", "copy")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Sent at the call itself."""


def run(numbers: range, seed: int, only: str = "") -> Iterator[Tally]:
    """Try the faults of these numbers, spread over every command and call."""
    counters, tally = Counters(), Tally("faults")
    place = counters.place
    chosen = [command for command in COMMANDS if only in command.name]
    chosen = random.Random(seed).sample(chosen, min(len(chosen), 1 + numbers.stop // EACH))
    cases = [(command, fault) for command in chosen for fault in _faults(command, place, counters)]
    random.Random(seed).shuffle(cases)
    cases = cases[: numbers.stop][numbers.start :: numbers.step]
    for command, group in groupby(sorted(cases, key=_name), key=lambda case: case[0]):
        results = command.results(place)
        for _, fault in group:
            wrong, said = _try(command, fault, place, counters, *results)
            tally.add(f"{command.name}: {fault} ({counters.file()})", wrong, said)
    counters.close()
    yield tally


def _name(case: tuple[Command, Fault]) -> str:
    return case[0].name


def _faults(command: Command, place: Path, counters: Counters) -> Iterator[Fault]:
    """Every fault that a command can meet: its calls are counted in a run without any."""
    counters.clear()
    command.prepare(place)
    command.run(place, prepare=lambda: arm(Fault(), counters, place))
    for call, number in counters.calls().items():
        for turn in range(1, number + 1):
            yield from (Fault(call, turn, "fail", error) for error in ERRORS[call])
            yield from (Fault(call, turn, "kill", number) for number in SIGNALS)
            if call in HALVED:
                yield Fault(call, turn, "short")


def _try(
    command: Command, fault: Fault, place: Path, counters: Counters, good: Tree, said: bytes
) -> tuple[list[str], str]:
    """What was wrong, and what was said."""
    before = command.prepare(place)
    counters.clear()
    ended = command.run(place, prepare=lambda: arm(fault, counters, place))
    wrong = verdict.manners(ended)
    after = tree(place)
    if command.redirected and ended.code:
        after.pop("out", None)  # Made by the shell, not by kact
    if not (fault.call == "unlink" and fault.action == "fail"):
        wrong += verdict.outputs(ended, before, after, good, some="batch" in command.name)
    if fault.action == "fail" and not wrong and counters.file().startswith(str(place)):
        wrong += verdict.named(ended, counters.file(), command.inputs, command.stdin)
    if ended.code == 0 and command.output is None and ended.out != said:
        wrong.append("mixture: what was printed differs")
    return wrong, ended.line

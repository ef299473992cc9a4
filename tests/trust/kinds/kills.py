"""Signals at random moments from the first millisecond on: to kact in a forked child, and (every
fourth) to kact as a process of its own, whose start takes longer than its work."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.tools.run import command as line
from tests.tools.run import environment
from tests.trust import verdict
from tests.trust.child import PLACE, WALL, Ended
from tests.trust.inputs import COMMANDS, Command, Tree, tree
from tests.trust.verdict import Tally

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
KACT = re.compile(rb"kact_cli/__main__.py.*, in main\n")
"""A line of a traceback from when kact has begun."""
LONGEST = 0.5
"""Seconds after its start in which a signal comes to a process of its own."""


def run(numbers: range, seed: int, only: str = "") -> Iterator[Tally]:
    """Send the signals of these numbers."""
    tally = Tally("kills")
    chosen = [c for c in COMMANDS if only in c.name and c.output and c.stdin is None]
    Random(seed).shuffle(chosen)
    known: dict[str, tuple[Tree, float]] = {}
    with TemporaryDirectory(prefix="trust-", dir=PLACE) as directory:
        place = Path(directory) / "case"
        for attempt in numbers:
            command, number = chosen[attempt % len(chosen)], SIGNALS[attempt % len(SIGNALS)]
            if command.name not in known:
                started = time.monotonic()
                known[command.name] = command.results(place)[0], time.monotonic() - started
            good, seconds = known[command.name]
            apart = attempt % 4 == 3
            after = Random(f"{seed} {attempt}").uniform(0, LONGEST if apart else 1.2 * seconds)
            before = command.prepare(place)
            ended = (_process if apart else _fork)(command, place, number, after)
            wrong = verdict.manners(ended, codes=(0, 128 + number))
            left = tree(place)
            if number == signal.SIGKILL:
                left = {k: v for k, v in left.items() if ".kact-" not in k and k[:4] != "tmp/"}
            wrong += verdict.outputs(ended, before, left, good, some=True)
            case = f"{command.name}: signal {number} after {after:.3f} s{' of its start' * apart}"
            tally.add(case, wrong, ended.line)
    yield tally


def _fork(command: Command, place: Path, number: int, after: float) -> Ended:
    running = command.start(place)
    time.sleep(after)
    os.killpg(running.pid, number)
    return _as_a_program(running.wait(), number)


def _process(command: Command, place: Path, number: int, after: float) -> Ended:
    started = time.monotonic()
    process = subprocess.Popen(
        line(*command.args), cwd=place, env=environment(TMPDIR=str(place / "tmp")),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    time.sleep(after)
    os.killpg(process.pid, number) if number != signal.SIGKILL else process.kill()
    try:
        _, err = process.communicate(timeout=WALL)
    except subprocess.TimeoutExpired:
        process.kill()
        return Ended(-signal.SIGALRM, b"", b"", WALL)
    code = process.returncode
    if b"Traceback" in err and not KACT.search(err):  # of Python, before kact's first line
        code, err = -number, b""
    ended = Ended(code, b"", err, time.monotonic() - started)
    return _as_a_program(ended, number)


def _as_a_program(ended: Ended, number: int) -> Ended:
    """The end as a shell sees it: before kact has begun, the system ends it."""
    if ended.code != -number:
        return ended
    return Ended(128 + number, ended.out, ended.err, ended.seconds)

"""Signals at random moments, from the first millisecond on, to kact as a process of its own."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.tools.run import command as line
from tests.tools.run import environment
from tests.trust import verdict
from tests.trust.child import WALL, Ended
from tests.trust.inputs import COMMANDS, Command, tree
from tests.trust.verdict import Tally

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
LONGEST = 1.2
"""Seconds after the start in which a signal comes."""


def run(count: int, seed: int, only: str = "") -> list[Tally]:
    """Send `count` signals."""
    moments, tally = random.Random(seed), Tally("kills")
    chosen = [c for c in COMMANDS if only in c.name and c.output and c.stdin is None]
    with TemporaryDirectory(prefix="trust-") as directory:
        place = Path(directory) / "case"
        trees = {c.name: c.results(place)[0] for c in chosen}
        for attempt in range(count):
            command = chosen[attempt % len(chosen)]
            number = SIGNALS[attempt % len(SIGNALS)]
            # Half of them while Python and kact start
            after = moments.uniform(0, LONGEST if attempt % 2 else 0.3)
            wrong, said = _try(command, place, number, after, trees[command.name])
            tally.add(f"{command.name}: signal {number} after {after:.3f} s", wrong, said)
    return [tally]


def _try(
    command: Command, place: Path, number: int, after: float, good: dict[str, bytes]
) -> tuple[list[str], str]:
    before = command.prepare(place)
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
        return ["hang"], ""
    code = process.returncode
    if code == -number or (b"Traceback" in err and b"kact_cli" not in err):
        # Ended as the system, or Python before kact's first line, ends a program
        code, err = 128 + number, b""
    ended = Ended(code, b"", err, time.monotonic() - started)
    wrong = verdict.manners(ended, codes=(0, 128 + number))
    left = tree(place)
    if number == signal.SIGKILL:
        left = {k: v for k, v in left.items() if ".kact-" not in k and not k.startswith("tmp/")}
    return wrong + verdict.outputs(ended, before, left, good, some=True), ended.line

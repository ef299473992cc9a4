"""Two batches at once into one directory; a batch beside one kact, and after one was killed."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.trust import child, verdict
from tests.trust.inputs import Command, Tree, tree
from tests.trust.verdict import Tally

NAMES = ("c.npy", "f.npy", "short.csv", "t.parquet", "z.parquet", "t.arrow")
BATCH = Command(
    "batch",
    ("batch", "sigmoid", "in", "--output-dir", "out"),
    tuple(f"in/{name}" for name in NAMES),
    "out/c.npy",
)
FLAGS = ((), ("--skip-existing",), ("--overwrite",), ("--keep-going",))
SECONDS = 0.6
"""How much later than the first the second one may start."""


def run(numbers: range, seed: int, only: str = "") -> list[Tally]:
    """Run the pairs of these numbers."""
    tallies = [Tally(f"batches: {way.__doc__}") for way in WAYS]
    with TemporaryDirectory(prefix="trust-") as directory:
        place = Path(directory) / "case"
        good, _ = BATCH.results(place)
        for attempt in numbers:
            moments = random.Random(f"{seed} {attempt}")
            tally = tallies[attempt % len(WAYS)]
            before = BATCH.prepare(place)
            first = list(moments.choice(FLAGS))
            after = moments.uniform(0, SECONDS) ** 2
            ended = WAYS[attempt % len(WAYS)](place, first, after, moments)
            wrong = [w for e in ended for w in verdict.manners(e, codes=(0, 1, 2))]
            wrong += verdict.outputs(ended[0], before, tree(place), good, some=True)
            if not (WAYS[attempt % len(WAYS)] is apply_too and ended[0].code == 2):
                wrong += _missing(ended, tree(place), good)  # it was there before the batch began
            said = "\n".join(e.line for e in ended)
            tally.add(f"{first} and after {after:.3f} s", wrong, said)
    return tallies


def _missing(ended: list[child.Ended], after: Tree, good: Tree) -> list[str]:
    """What a batch that ended well should have made."""
    if not any(e.code == 0 for e in ended):
        return ["both: neither batch ended well"]
    return [f"absent: {name}" for name in good if name not in after]


def two(place: Path, flags: list[str], after: float, moments: random.Random) -> list[child.Ended]:
    """two at once"""
    other = list(moments.choice(FLAGS))
    a = child.start([*BATCH.args, *flags], place, number=0)
    time.sleep(after)
    b = child.start([*BATCH.args, *other], place, number=1)
    return [a.wait(), b.wait()]


def apply_too(
    place: Path, flags: list[str], after: float, moments: random.Random
) -> list[child.Ended]:
    """and one file"""
    a = child.start([*BATCH.args, *flags], place, number=0)
    time.sleep(after)
    (place / "out").mkdir(exist_ok=True)
    one = ["apply", "sigmoid", "in/c.npy", "out/c.npy", "--overwrite"]
    b = child.start(one, place, number=1)
    second, first = b.wait(), a.wait()
    # A batch that is not to overwrite reports what has come to be
    return [first, second]


def after_a_kill(
    place: Path, flags: list[str], after: float, moments: random.Random
) -> list[child.Ended]:
    """after a killed one"""
    a = child.start(BATCH.args, place, number=0)
    time.sleep(after)
    os.killpg(a.pid, signal.SIGKILL)
    a.wait()
    return [child.run([*BATCH.args, "--skip-existing"], place, number=1)]


WAYS = (two, apply_too, after_a_kill)

"""What has to be so however a run ended; and the table of what was tried."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tests.trust.child import Ended
from tests.trust.inputs import Tree

CODES = (0, 1, 2, 130, 141, 143)
HUNG = (-signal.SIGALRM, -signal.SIGXCPU)
BESIDE = (b"kact: warning: ", b"kact: interrupted; ")
"""Lines beside the one that says what went wrong: the second is how far it came until a signal."""
MANIFEST = ".kact-batch.json"
"""What a batch says of itself, which differs from one moment to the next."""


@dataclass
class Tally:
    """What was tried of one kind, and what failed, by what was wrong."""

    kind: str
    tried: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    """How many there were of something that is no fault of kact."""
    shown: ClassVar[int] = 8
    """Failures of a kind that are printed, each as soon as it is met."""

    def add(self, case: str, wrong: list[str], said: str = "") -> None:
        """Count a case, and what is wrong with it; nothing wrong: it survived."""
        self.tried += 1
        if wrong:
            self.failed[wrong[0].partition(":")[0]] += 1
            if self.failed.total() <= self.shown:
                lines = [f"{self.kind}: {case}", "; ".join(wrong), *said.splitlines()[-3:]]
                print("\n    ".join(lines), flush=True)

    def __str__(self) -> str:
        failed = self.failed.total()
        why = ", ".join(f"{what} {number}" for what, number in self.failed.most_common())
        if self.notes:
            why += f" ({', '.join(f'{number:,} {what}' for what, number in self.notes.items())})"
        return (
            f"{self.kind:32} {self.tried:>8} {self.tried - failed:>9} {failed:>7}  {why}".rstrip()
        )


def manners(ended: Ended, *, codes: tuple[int, ...] = CODES, clean: bool = True) -> list[str]:
    """What is wrong with how a run ended and what it said, whatever it was to do."""
    wrong = []
    if ended.code in HUNG:
        wrong.append(f"hang: over {ended.seconds:.0f} s")
    elif ended.code < 0:
        wrong.append(f"signal: killed by {-ended.code}")
    if b"Traceback" in ended.err or b"Exception ignored" in ended.err:
        wrong.append("traceback")
    elif ended.code >= 0 and ended.code not in codes:
        wrong.append(f"code: {ended.code}")
    lines = [line for line in ended.err.splitlines() if not line.startswith(BESIDE)]
    if clean and not wrong:
        if ended.code in (1, 2) and (len(lines) != 1 or not lines[0].startswith(b"kact: error: ")):
            wrong.append(f"lines: {len(lines)} on standard error")
        if ended.code > 128 and lines:
            wrong.append(f"lines: {len(lines)} after a signal")
    return wrong


def outputs(ended: Ended, before: Tree, after: Tree, *good: Tree, some: bool = False) -> list[str]:
    """What is wrong with the files that a run left.

    `good` are the trees that a run may make; `some`: each file by itself, as a batch does.
    """
    wrong = []
    made = {n: d for n, d in after.items() if before.get(n) != d and not n.endswith(MANIFEST)}
    for name, data in made.items():
        if not any(name in tree for tree in (before, *good)):
            wrong.append(f"left: {name}")
        elif not any(tree.get(name) == data for tree in good):
            wrong.append(f"mixture: {name} of {len(data)} bytes, exit code {ended.code}")
    wrong += [f"lost: {name}" for name in before if name not in after]
    if wrong or some:
        return wrong
    whole = any(all(after.get(n) == d for n, d in tree.items()) for tree in good)
    if ended.code == 0 and not whole:
        wrong.append("absent: exit code 0 without the output")
    if ended.code == 1 and made:
        wrong.append("in place: exit code 1, but the output is there")
    return wrong


def named(ended: Ended, path: str, names: tuple[str, ...], stdin: str | None) -> list[str]:
    """Whether the line names the file, of some names, that a fault was met in."""
    if ended.code != 1 or "Traceback" in ended.line:
        return []
    name = Path(path.removesuffix(" (deleted)")).name
    if stdin == f"<{name}" and "standard input" in ended.line:
        return []
    if name in names and name not in ended.line:
        return [f"name: {name} is not named"]
    if "standard output" in ended.line and not path.startswith("pipe:") and name != "out":
        return ["name: standard output is"]
    return []

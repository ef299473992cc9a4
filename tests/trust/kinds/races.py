"""The input is replaced, cut, grown or rewritten in place while kact reads it.

At the Nth time that kact opens, looks at or reads anything, for every N: what is done then is done
before the call goes on. The result has to be that of the old input, that of the new one, or none.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from tests.trust import verdict
from tests.trust.inject import Counters, Fault, arm
from tests.trust.inputs import COMMANDS, Command, Tree, files, tree
from tests.trust.patches import change
from tests.trust.verdict import Tally

CHANGES = ("replace", "cut", "grow", "rewrite")
CALLS = ("open", "fstat", "lseek", "read", "stat", "write", "copy", "fallocate", "link", "rename")
EACH = 10
"""Races of a command, at least: before them its calls are counted, and its results are made."""
Result = tuple[Tree, bytes]


def run(numbers: range, seed: int, only: str = "") -> Iterator[Tally]:
    """Try the races of these numbers, spread over every command that reads a file."""
    counters, tally = Counters(), Tally("races")
    place = counters.place
    chosen = [c for c in COMMANDS if only in c.name and not c.redirected]
    chosen = random.Random(seed).sample(chosen, min(len(chosen), 1 + numbers.stop // EACH))
    cases = [(command, fault) for command in chosen for fault in _races(command, place, counters)]
    random.Random(seed).shuffle(cases)
    cases = cases[: numbers.stop][numbers.start :: numbers.step]
    ordered = sorted(cases, key=lambda case: (case[0].name, case[1].action))
    for (command, action), group in groupby(ordered, key=lambda case: (case[0], case[1].action)):
        good = [command.results(place), *_changed(command, action, place)]
        for _, fault in group:
            wrong, said = _try(command, fault, place, counters, good)
            tally.add(f"{command.name}: {fault}", wrong, said)
    counters.close()
    yield tally


def _races(command: Command, place: Path, counters: Counters) -> Iterator[Fault]:
    counters.clear()
    command.prepare(place)
    command.run(place, prepare=lambda: arm(Fault(), counters, place))
    for call, number in counters.calls().items():
        if call in CALLS:
            for turn in range(1, number + 1):
                yield from (Fault(call, turn, action) for action in CHANGES)


def _other(command: Command, place: Path) -> str:
    """Another file of the input's name, beside the case."""
    path = place.parent / "other"
    path.write_bytes(files(1)[Path(command.inputs[0]).name])
    return str(path)


def _changed(command: Command, action: str, place: Path) -> list[Result]:
    """What comes of the input where it is changed before the run; nothing where it is broken."""
    before = command.prepare(place)
    change(action, str(place / command.inputs[0]), _other(command, place))
    ended = command.run(place)
    if ended.code not in command.ends:
        return []
    return [({**tree(place), **_inputs(command, before)}, ended.out)]


def _inputs(command: Command, before: Tree) -> Tree:
    """The inputs as they were: what has become of them is no work of kact's."""
    return {name: before[name] for name in command.inputs}


def _try(
    command: Command, fault: Fault, place: Path, counters: Counters, good: list[Result]
) -> tuple[list[str], str]:
    before = command.prepare(place)
    counters.clear()
    source, other = str(place / command.inputs[0]), _other(command, place)
    ended = command.run(place, prepare=lambda: arm(fault, counters, place, source, other))
    done = ended.code in command.ends
    wrong = verdict.manners(ended, codes=(0, 1, 2), clean=not done)
    after = {**tree(place), **_inputs(command, before)}
    trees = [found for found, _ in good]
    wrong += verdict.outputs(ended, before, after, *trees, some="batch" in command.name)
    printed = [said for _, said in good]
    if done and command.output is None and ended.out not in printed:
        wrong.append("mixture: what was printed")
    return wrong, ended.line

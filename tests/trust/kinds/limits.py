"""A full disk, few open files, small files, little memory: what `ulimit -n`, `-f`, `-v` set."""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.trust import verdict
from tests.trust.inputs import COMMANDS, Command, Tree, tree
from tests.trust.verdict import Tally

CLONE_NEWNS = 0x20000
KIB, MIB = 1 << 10, 1 << 20
DISK = (0, 4 * KIB, 20 * KIB, 100 * KIB, 400 * KIB, MIB)
"""Bytes that are free where the output goes."""
FILES = tuple(range(4, 28))
SIZES = (KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB)
MEMORY = (16 * MIB, 40 * MIB, 70 * MIB, 100 * MIB, 150 * MIB)
"""Bytes of address space beside those that kact has at its start."""


def run(numbers: range, seed: int, only: str = "") -> Iterator[Tally]:
    """Try the limits of these numbers, shared among the kinds of them."""
    chosen = [c for c in COMMANDS if only in c.name]
    cases = {
        "limits: open files": itertools.product(chosen, FILES),
        "limits: size of files": itertools.product(chosen, SIZES),
        "limits: memory": itertools.product(chosen, MEMORY),
        "limits: disk": itertools.product(chosen, DISK),
    }
    prepare: dict[str, Callable[[int], None]] = {
        "limits: open files": lambda n: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)),
        "limits: size of files": lambda n: resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)),
        "limits: memory": _little_memory,
        "limits: disk": lambda _: None,
    }
    with TemporaryDirectory(prefix="trust-") as directory:
        for kind, made in cases.items():
            tally, every = Tally(kind), list(made)
            random.Random(seed).shuffle(every)
            every = every[: numbers.stop // len(cases)][numbers.start :: numbers.step]
            place = Path(directory) / "case"
            if kind == "limits: disk":
                with small_disk(Path(directory) / "disk") as disk:
                    if disk is not None:
                        _try_all(every, disk / "case", tally, prepare[kind])
            else:
                _try_all(every, place, tally, prepare[kind])
            yield tally


def _try_all(
    cases: list[tuple[Command, int]], place: Path, tally: Tally, set_limit: Callable[[int], None]
) -> None:
    known: dict[str, tuple[Tree, bytes]] = {}
    for command, value in cases:
        good, said = known.get(command.name) or known.setdefault(
            command.name, command.results(place)
        )
        before = command.prepare(place)
        if "disk" in tally.kind:
            _fill(place / "filler", value)
        aside = place.parent.with_name("said") if "disk" in tally.kind else place.parent
        aside.mkdir(exist_ok=True)
        ended = command.run(place, said=aside, prepare=lambda value=value: set_limit(value))
        (place / "filler").unlink(missing_ok=True)
        wrong, after = verdict.manners(ended), tree(place)
        if command.redirected and ended.code:
            after.pop("out", None)
        wrong += verdict.outputs(ended, before, after, good, some="batch" in command.name)
        if ended.code == 0 and command.output is None and ended.out != said:
            wrong.append("mixture: what was printed differs")
        tally.add(f"{command.name}: {value:,}", wrong, ended.line)


def _little_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _fill(path: Path, free: int) -> None:
    """Leave so many bytes of a file system."""
    found = os.statvfs(path.parent)
    with path.open("wb") as file:
        file.write(bytes(max(0, found.f_bavail * found.f_frsize - free)))


@contextmanager
def small_disk(place: Path) -> Iterator[Path | None]:
    """A file system of its own; None where none can be mounted."""
    place.mkdir()
    # In a mount namespace of this process: nobody else sees it, and nothing can be left
    alone = not ctypes.CDLL(None).unshare(CLONE_NEWNS)
    private = ["mount", "--make-rprivate", "/"]
    run = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    if not alone or any(subprocess.run(r, capture_output=True).returncode for r in (private, run)):
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)

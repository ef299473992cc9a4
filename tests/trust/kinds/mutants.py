"""Broken files of every format: refused in one line, or done as NumPy and pyarrow would.

Many are tried in one child, in which kact's `transform` is called, and what it made is judged in
another: pyarrow may die of a file, which says nothing of kact.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from tests.trust import mutate, oracle
from tests.trust.child import PLACE, set_limits
from tests.trust.verdict import HUNG, Tally

EACH = 250
"""Mutants in a child."""
MEMORY = 3 << 30
"""Bytes of address space that a child may come to have more."""
DONE, REFUSED = "done", "refused"


class Reader(NamedTuple):
    """A way in: what makes mutants for it, the output's suffix, options, what compares."""

    maker: str
    target: str
    options: dict[str, Any]
    compare: Callable[[Path, Path], str | None]


TABLE: dict[str, Any] = {"columns": oracle.COMPUTED}
READERS = {
    "npy": Reader("npy", "npy", {}, oracle.npy),
    "npz": Reader("npz", "npz", {}, oracle.npz),
    "safetensors": Reader("safetensors", "safetensors", {}, oracle.safetensors),
    "csv": Reader("csv", "csv", {"columns": oracle.COMPUTED, "header": True}, oracle.text),
    "parquet by chunk": Reader("parquet", "parquet", TABLE, oracle.parquet),
    "parquet of another type": Reader(
        "parquet", "parquet", {**TABLE, "dtype": np.dtype("f8")}, oracle.parquet
    ),
    "parquet beside": Reader(
        "parquet", "parquet", {**TABLE, "suffix": "_p"}, partial(oracle.parquet, suffix="_p")
    ),
    "parquet in general": Reader("parquet", "arrow", TABLE, oracle.parquet_to_arrow),
    "arrow file": Reader("arrow", "arrow", TABLE, oracle.arrow),
    "arrow stream": Reader("arrows", "arrows", TABLE, oracle.arrow),
    "arrow to parquet": Reader("arrow", "parquet", TABLE, oracle.arrow_to_parquet),
}


def run(numbers: range, seed: int, only: str = "") -> Iterator[Tally]:
    """Try the mutants of these numbers of each reader."""
    for name, reader in READERS.items():
        if only in name:
            yield _reader(name, reader, numbers, seed)


def _reader(name: str, reader: Reader, every: range, seed: int) -> Tally:
    tally = Tally(f"mutants: {name}")
    for first in range(0, len(every), EACH):
        numbers = every[first : first + EACH]
        with TemporaryDirectory(prefix="trust-", dir=PLACE) as directory:
            place = Path(directory)

            def kact(number: int, place: Path = place) -> str:
                return _kact(reader, number, seed, place / str(number))

            def judge(number: int, place: Path = place) -> str:
                return _judge(reader, place / str(number))

            found = dict(_each(numbers, kact, place / "log"))
            made = [number for number, said in found.items() if said == DONE]
            judged = dict(_each(made, judge, place / "log"))
        for number, said in found.items():
            if judged.get(number, "").startswith(("signal", "hang")):
                tally.notes["pyarrow died"] += 1
                said = DONE
            said = judged.get(number, said) if said == DONE else said
            tally.notes[REFUSED] += said == REFUSED
            wrong = [] if said in (DONE, REFUSED, "") else [said]
            tally.add(f"mutant {number} of seed {seed}", wrong)
    return tally


def _each(
    numbers: Iterable[int], work: Callable[[int], str], log: Path
) -> Iterator[tuple[int, str]]:
    """What `work` says of each number, in a child; in another one after a number that kills it."""
    left = list(numbers)
    while left:
        log.write_text("")
        pid = os.fork()
        if pid == 0:
            _say_all(left, work, log)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said = log.read_text(errors="replace").splitlines()
        yield from zip(left, said, strict=False)
        if len(said) < len(left):
            yield left[len(said)], "hang" if code in HUNG else f"signal: {code}"
        left = left[len(said) + 1 :]


def _say_all(numbers: list[int], work: Callable[[int], str], log: Path) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    try:
        with log.open("w", buffering=1, errors="backslashreplace") as said:
            for number in numbers:
                set_limits()
                said.write(" ".join(work(number).split()) + "\n")
                signal.alarm(0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(0)


def _kact(reader: Reader, number: int, seed: int, place: Path) -> str:
    """What is wrong with what kact does with a mutant, or whether it is done or refused."""
    from kact_cli.chain import Chain
    from kact_cli.errors import KactError
    from kact_cli.messages import display
    from kact_cli.options import Options
    from kact_cli.transform.route import transform

    place.mkdir()
    source, target = place / f"in.{reader.maker}", place / f"out.{reader.target}"
    source.write_bytes(mutate.MAKERS[reader.maker](Random(f"{reader.maker} {seed} {number}")))
    said = DONE
    try:
        options = Options(source_format=reader.maker, jobs=2, **reader.options)
        transform(Chain.parse("relu"), str(source), str(target), options)
    except KactError as e:
        said = REFUSED
        if not display(str(e)).isprintable() or len(str(e)) > 2000:
            said = f"lines: {e}"
        elif source.name not in str(e):
            said = f"name: {e}"
    except Exception as e:  # a bug, whatever it is
        said = f"traceback: {e!r:.200}"
    left = {path.name for path in place.iterdir()} - {source.name}
    if left != ({target.name} if said == DONE else set()) and said in (DONE, REFUSED):
        said = f"left: {left}"
    if said == REFUSED:
        shutil.rmtree(place)
    return said


def _judge(reader: Reader, place: Path) -> str:
    """What is wrong with what kact made, or nothing."""
    source, target = place / f"in.{reader.maker}", place / f"out.{reader.target}"
    try:
        return reader.compare(source, target) or ""
    except Exception as e:  # what others cannot read, though they could read the input
        return f"unreadable: {e!r:.200}"
    except BaseException as e:  # as what Rust panics with is
        return f"signal: {e!r:.200}"

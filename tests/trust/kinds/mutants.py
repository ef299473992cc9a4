"""Broken files of every format: refused in one line, or done as NumPy and pyarrow would.

Many are tried in one child, in which kact's `transform` is called; a child that dies has said which
of them it was at.
"""

from __future__ import annotations

import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.trust import mutate, oracle
from tests.trust.child import set_limits
from tests.trust.verdict import HUNG, Tally

EACH = 250
"""Mutants in a child."""
MEMORY = 3 << 30
"""Bytes of address space that a child may come to have more."""


class Reader(NamedTuple):
    """A way in: what makes mutants for it, the output's suffix, options, what compares."""

    maker: str
    target: str
    options: dict[str, object]
    compare: Callable[[Path, Path], str | None]


TABLE: dict[str, object] = {"columns": oracle.COMPUTED}
READERS = {
    "npy": Reader("npy", "npy", {}, oracle.npy),
    "csv": Reader("csv", "csv", {"columns": oracle.COMPUTED, "header": True}, oracle.text),
    "parquet by chunk": Reader("parquet", "parquet", TABLE, oracle.parquet),
    "parquet in general": Reader("parquet", "arrow", TABLE, lambda a, b: _to_arrow(a, b)),
    "arrow file": Reader("arrow", "arrow", TABLE, oracle.arrow),
    "arrow stream": Reader("arrows", "arrows", TABLE, oracle.arrow),
    "arrow to parquet": Reader("arrow", "parquet", TABLE, lambda a, b: None),
}


def run(count: int, seed: int, only: str = "") -> list[Tally]:
    """Try `count` mutants of each reader."""
    return [_reader(name, reader, count, seed) for name, reader in READERS.items() if only in name]


def _reader(name: str, reader: Reader, count: int, seed: int) -> Tally:
    tally = Tally(f"mutants: {name}")
    with TemporaryDirectory(prefix="trust-") as directory:
        log, first = Path(directory) / "log", 0
        while first < count:
            for path in Path(directory).iterdir():
                path.unlink()  # what a child that died has left
            log.write_bytes(b"")
            pid = os.fork()
            if pid == 0:
                _child(reader, range(first, min(first + EACH, count)), seed, Path(directory), log)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            for number, wrong in _results(log, code):
                tally.add(f"mutant {number} of seed {seed}", [wrong] if wrong else [])
                first = number + 1
    return tally


def _results(log: Path, code: int) -> Iterator[tuple[int, str]]:
    """What was wrong with each mutant of a child."""
    number, phase = -1, ""
    for line in log.read_text(errors="replace").splitlines():
        what, _, rest = line.partition(" ")
        if what == "done":
            yield number, rest
            number = -1
        else:
            number, phase = int(what), rest
    if number >= 0:
        how = "hang" if code in HUNG else f"signal: {code}"
        yield number, f"{how} ({phase})"


def _child(reader: Reader, numbers: range, seed: int, place: Path, log: Path) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    os.chdir(place)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        with log.open("w", buffering=1) as said:
            for number in numbers:
                rng = random.Random(f"{reader.maker} {seed} {number}")
                Path(f"in.{reader.maker}").write_bytes(mutate.MAKERS[reader.maker](rng))
                said.write(f"{number} kact\n")
                wrong = _try(reader, lambda number=number: said.write(f"{number} oracle\n"))
                said.write(f"done {' '.join((wrong or '').split())}\n")
    finally:
        os._exit(0)


def _try(reader: Reader, done: Callable[[], object]) -> str | None:
    """What is wrong with what becomes of the input."""
    from kact_cli.chain import Chain
    from kact_cli.errors import KactError
    from kact_cli.options import Options
    from kact_cli.transform.route import transform

    source, target = Path(f"in.{reader.maker}"), Path(f"out.{reader.target}")
    target.unlink(missing_ok=True)
    set_limits()
    wrong = None
    try:
        options = Options(source_format=reader.maker, jobs=2, **reader.options)  # type: ignore[arg-type]
        transform(Chain.parse("relu"), str(source), str(target), options)
    except KactError as e:
        if "\n" in str(e) or len(str(e)) > 2000:
            wrong = f"lines: {e}"
        elif source.name not in str(e):
            wrong = f"name: {e}"
    except MemoryError:
        pass
    except Exception as e:  # a bug, whatever it is
        wrong = f"traceback: {e!r:.200}"
    else:
        set_limits()
        done()
        wrong = reader.compare(source, target)
    left = {p.name for p in Path().iterdir()} - {source.name, target.name, "log"}
    signal.alarm(0)
    if not wrong and left:
        wrong = f"left: {left}"
    return wrong


def _to_arrow(source: Path, target: Path) -> str | None:
    import pyarrow.parquet as pq

    new = oracle._ipc(target)
    for name, after in zip(new.column_names, new.columns, strict=True):
        before = oracle._column(
            lambda name=name: pq.read_table(source, columns=[name], use_threads=False)
        )
        if before is None:
            return f"accepted: column {name}"
        if wrong := oracle.differs(name, before, after):
            return wrong
    return None

"""kact in a forked child of this process, which has loaded all that it may need."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLACE = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Where files are made, in memory where it can be: None: where all temporary files are."""
LIMIT, WALL = 10, 40
"""Seconds that a run may compute; and take, on a machine that may be busy with other things."""


@dataclass(frozen=True)
class Ended:
    """How a run of kact ended: its exit code, or the negative of the signal that killed it."""

    code: int
    out: bytes
    err: bytes
    seconds: float

    @property
    def line(self) -> str:
        return self.err.decode(errors="replace").strip()


def set_limits() -> None:
    """End this process when it has hung, from now on."""
    used = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + LIMIT, resource.RLIM_INFINITY))
    signal.alarm(WALL)


def load() -> None:
    """Import what every command needs, so that a child finds it there."""
    for name in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{name}_NUM_THREADS", "1")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.environ.pop("PYTHONUNBUFFERED", None)
    from importlib import import_module

    import kact_cli

    top = Path(kact_cli.__file__).parent
    for path in sorted(top.rglob("*.py")):
        parts = path.relative_to(top.parent).with_suffix("").parts
        if parts[-1] not in ("__main__", "cluster"):
            import_module(".".join(p for p in parts if p != "__init__"))
    for name in ("pyarrow.parquet", "concurrent.futures.thread", "multiprocessing.popen_fork"):
        import_module(name)
    # A child that has not become kact yet is ended as the system ends a program
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.freeze()  # what is here already is not written to by a child's collections


@dataclass
class Running:
    """A kact that has been started."""

    pid: int
    started: float
    said: tuple[Path, Path]
    feeder: int | None

    def wait(self) -> Ended:
        """Wait for its end."""
        _, status = os.waitpid(self.pid, 0)
        seconds = time.monotonic() - self.started
        if self.feeder is not None:
            os.kill(self.feeder, signal.SIGKILL)
            os.waitpid(self.feeder, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # What a killed one may have left
        out, err = (path.read_bytes() for path in self.said)
        return Ended(os.waitstatus_to_exitcode(status), out, err, seconds)


def start(
    args: Sequence[str],
    place: Path,
    *,
    stdin: bytes | str | None = None,
    stdout: str | None = None,
    prepare: Callable[[], None] = lambda: None,
    said: Path | None = None,
    number: int = 0,
) -> Running:
    """Start kact in the directory `place`.

    `stdin` are bytes that come through a pipe, or a file; `stdout` a file, else what is said is
    kept, beside the directory or in `said`, apart for each `number`. `prepare` is called last, in
    the child.
    """
    above = said or place.parent
    files = above / f"stdout{number}", above / f"stderr{number}"
    started = time.monotonic()
    feeder = _feed(stdin) if isinstance(stdin, bytes) else None
    pid = os.fork()
    if pid == 0:
        _become(args, place, feeder[0] if feeder else stdin, stdout, files, prepare)
    with contextlib.suppress(OSError):  # whoever comes first, the child or this
        os.setpgid(pid, pid)
    if feeder:
        os.close(feeder[0])
    return Running(pid, started, files, feeder[1] if feeder else None)


def run(args: Sequence[str], place: Path, **how: Any) -> Ended:
    """Run kact to its end, as `start` says."""
    return start(args, place, **how).wait()


def _feed(data: bytes) -> tuple[int, int]:
    """A pipe that a process of its own writes `data` into: its end for reading, and the process."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            while data:
                data = data[os.write(write, data) :]
        except OSError:
            pass
        os._exit(0)
    os.close(write)
    return read, pid


def _become(
    args: Sequence[str],
    place: Path,
    stdin: int | str | None,
    stdout: str | None,
    said: tuple[Path, Path],
    prepare: Callable[[], None],
) -> None:
    """Be kact, in the child."""
    try:
        os.setpgid(0, 0)
        set_limits()
        os.chdir(place)
        os.environ["TMPDIR"] = str(place / "tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        given = stdin if isinstance(stdin, int) else os.open(stdin or os.devnull, os.O_RDONLY)
        out, err = (os.open(path, flags) for path in said)
        if stdout:
            out = os.open(stdout, flags)
        for number, fd in enumerate((given, out, err)):
            os.dup2(fd, number)
        os.closerange(3, 64)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, closefd=False) for number, mode in enumerate("rww")
        )
        sys.argv = ["kact", *args]
        # Spawned workers would load everything anew; no thread of Arrow's has started here
        context = multiprocessing.get_context("fork")
        multiprocessing.get_context = lambda *_: context
        from kact_cli.cli import main

        prepare()
        main()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(99)

"""Faults in the functions of Python's `os`, where there is no compiler for the shim.

What Arrow calls by itself is not seen, nor what other processes do.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.trust.inject import Counters, Fault

FUNCTIONS = {
    "close": "close", "copy_file_range": "copy", "dup": "dup", "posix_fallocate": "fallocate",
    "fchmod": "fchmod", "fchown": "fchown", "fstat": "fstat", "fsync": "fsync",
    "ftruncate": "ftruncate", "link": "link", "lseek": "lseek", "mkdir": "mkdir", "open": "open",
    "read": "read", "readv": "read", "pread": "read", "preadv": "read", "replace": "rename",
    "rename": "rename", "stat": "stat", "unlink": "unlink", "remove": "unlink", "write": "write",
    "pwrite": "write", "pwritev": "write",
}  # fmt: skip
"""The functions of `os`, and what the calls of each are counted as."""


def arm(fault: Fault, counters: Counters, place: Path, source: str, other: str) -> None:
    """Have the functions of this process meet `fault`."""
    for name, call in FUNCTIONS.items():
        if hasattr(os, name):
            patch = _patch(name, call, fault, counters, str(place), source, other)
            setattr(os, name, patch)


def _patch(
    name: str, call: str, fault: Fault, counters: Counters, place: str, source: str, other: str
) -> Callable[..., Any]:
    real, close, link = getattr(os, name), os.close, os.readlink
    paths = name in ("open", "stat", "unlink", "remove", "link", "rename", "replace", "mkdir")

    def path_of(args: tuple[Any, ...]) -> str:
        given = args[1] if name in ("link", "rename", "replace") else args[0]
        try:
            if isinstance(given, int):
                return link(f"/proc/self/fd/{given}")
            path = os.fsdecode(given)
            return link(path) if path.startswith(("/proc/", "/dev/fd/")) else path
        except OSError:
            return ""

    def patched(*args: Any, **more: Any) -> Any:
        path = path_of(args)
        inside = path.startswith((place, "pipe:")) or (paths and path[:1] != "/")
        if not inside or counters.met(call) != fault.turn or fault.call != call:
            return real(*args, **more)
        counters.fire(path)
        if fault.action == "fail":
            if call == "close":
                close(*args)
            raise OSError(fault.value, os.strerror(fault.value), *(args[:1] if paths else ()))
        if fault.action == "short":
            return real(*_less(name, args), **more)
        if fault.action == "kill":
            os.kill(os.getpid(), fault.value)
        elif fault.action != "count":
            change(fault.action, source, other)
        return real(*args, **more)

    return patched


def _less(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a call that does about half."""
    if name in ("read", "pread"):
        return args[0], max(1, args[1] // 2), *args[2:]
    if name in ("readv", "preadv", "pwritev"):
        first = memoryview(args[1][0]).cast("B")
        return args[0], [first[: max(1, len(first) // 2)]], *args[2:]
    if name in ("write", "pwrite"):
        view = memoryview(args[1]).cast("B")
        return args[0], view[: max(1, len(view) // 2)], *args[2:]
    return args


def change(action: str, source: str, other: str) -> None:
    """What someone else does to the input."""
    if action == "replace":
        shutil.move(other, source)
    elif action == "cut":
        with open(source, "r+b") as file:
            file.truncate(Path(source).stat().st_size // 2)
    else:
        with open(source, "ab" if action == "grow" else "r+b") as file:
            file.write(Path(other).read_bytes())

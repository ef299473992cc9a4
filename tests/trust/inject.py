"""One fault in one system call: what it is, how a child is armed with it, what came of it."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "close", "copy", "dup", "fallocate", "fchmod", "fchown", "flock", "fstat", "fsync", "ftruncate",
    "link", "lseek", "mkdir", "open", "read", "rename", "stat", "thread", "unlink", "write",
)  # fmt: skip
ACTIONS = ("count", "fail", "short", "kill", "replace", "cut", "grow", "rewrite")
"""What is done at the call; both are numbered as in shim.c."""
SAID = 512
SIZE = 8 * len(CALLS) + 8 + SAID
SHIM = Path(__file__).with_name("shim.c")


@dataclass(frozen=True)
class Fault:
    """At the `turn`th call of `call` (1 the first), do `action`, with an errno or a signal."""

    call: str = "none"
    turn: int = 0
    action: str = "count"
    value: int = 0

    def __str__(self) -> str:
        known = os.strerror(self.value) if self.action == "fail" else str(self.value or "")
        return f"{self.call} {self.turn}: {self.action} {known}".rstrip()


class Counters:
    """What the child, and every process that it starts, counts in a file."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="trust-")
        self.place = Path(self._directory.name) / "case"
        """Where the child works; the file is beside it."""
        self.path = Path(self._directory.name) / "counters"
        self.path.write_bytes(bytes(SIZE))
        with self.path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)

    def clear(self) -> None:
        self._map[:] = bytes(SIZE)

    def calls(self) -> dict[str, int]:
        """How often each call was made, of those that were."""
        numbers = struct.unpack_from(f"{len(CALLS)}q", self._map)
        return {name: number for name, number in zip(CALLS, numbers, strict=True) if number}

    def fired(self) -> bool:
        return struct.unpack_from("q", self._map, 8 * len(CALLS))[0] > 0

    def file(self) -> str:
        """The path of what the fault met."""
        return os.fsdecode(self._map[8 * len(CALLS) + 8 :].rstrip(b"\0").split(b"\0")[0])

    def met(self, call: str) -> int:
        """Count a call (of one process; shim.c does this for several) and say which one it is."""
        at = 8 * CALLS.index(call)
        (number,) = struct.unpack_from("q", self._map, at)
        struct.pack_into("q", self._map, at, number + 1)
        return int(number) + 1

    def fire(self, path: str) -> None:
        struct.pack_into("q", self._map, 8 * len(CALLS), 1)
        said = os.fsencode(path)[: SAID - 1]
        self._map[8 * len(CALLS) + 8 :][: len(said)]
        start = 8 * len(CALLS) + 8
        self._map[start : start + len(said)] = said

    def close(self) -> None:
        self._map.close()
        self._directory.cleanup()


def arm(fault: Fault, counters: Counters, place: Path, source: str = "", other: str = "") -> None:
    """Have this process meet `fault` in what lies under `place`; for what it starts too."""
    number = CALLS.index(fault.call) if fault.call in CALLS else -1
    action = ACTIONS.index(fault.action)
    fields = (counters.path, place, number, fault.turn, action, fault.value, source, other)
    text = "\n".join(map(str, fields))
    if shim_is_loaded():
        os.environ["KACT_TRUST"] = text
        ctypes.CDLL(None).trust_arm(os.fsencode(text))
    else:
        from tests.trust import patches

        patches.arm(fault, counters, place, source, other)


def shim_is_loaded() -> bool:
    return "trust_shim" in os.environ.get("LD_PRELOAD", "")


def with_shim() -> bool:
    """Start this program anew with the shim, where there is a compiler; else say that there is
    none. Returns whether the shim is there."""
    if shim_is_loaded():
        return True
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        return False
    built = Path(tempfile.gettempdir()) / f"trust_shim-{os.getuid()}.so"
    made = built.with_suffix(f".{os.getpid()}")
    run = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(SHIM), "-ldl"]
    if subprocess.run(run).returncode:
        return False
    made.replace(built)
    os.environ["LD_PRELOAD"] = str(built)
    return os.execv(sys.executable, [sys.executable, "-m", "tests.trust", *sys.argv[1:]])

"""kact in a child of a process that has imported everything already: a tenth of a start's work.

The child is what `python -m kact_cli` is, with its own standard streams, directory, environment and
exit code. What a start loads, memory, signals and kact's own processes are tested without this.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import pickle
import pkgutil
import runpy
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from tests.tools.run import environment

PRELOADED = ("numpy", "pyarrow", "pyarrow.compute", "pyarrow.parquet")
# As kact sets them before it imports what reads them
SETTINGS = {"ARROW_DEFAULT_MEMORY_POOL": "system"} | {
    f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")
}


class Forks:
    """The process that forks; closed at the end of the session."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        number = str(theirs.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.tools.forks", number],
            pass_fds=[theirs.fileno()],
            env=environment(**SETTINGS),
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

    def close(self) -> None:
        self._socket.close()
        self._process.wait()

    def run(
        self,
        args: list[str | bytes],
        stdin: Any,
        stdout: Any,
        cwd: Path | None,
        env: dict[str, str],
    ) -> subprocess.CompletedProcess[bytes]:
        """As subprocess.run: `stdin` is bytes or an open file, `stdout` PIPE or an open file."""
        given, said, err = os.pipe(), os.pipe(), os.pipe()
        fds = [
            given[0] if isinstance(stdin, bytes) else _number(stdin),
            said[1] if stdout == subprocess.PIPE else _number(stdout),
            err[1],
        ]
        socket.send_fds(self._socket, [b"!"], fds)
        message = pickle.dumps((args, str(cwd or Path.cwd()), env))
        self._socket.sendall(struct.pack("!q", len(message)) + message)
        for fd in (given[0], said[1], err[1]):
            os.close(fd)
        (pid,) = struct.unpack("!q", _exactly(self._socket, 8))
        late = threading.Timer(120, os.kill, (pid, signal.SIGKILL))
        late.start()
        data = stdin if isinstance(stdin, bytes) else b""
        writing = threading.Thread(target=_write, args=(given[1], data))
        errors: list[bytes] = []
        reading = threading.Thread(target=lambda: errors.append(_read(err[0])))
        for thread in (writing, reading):
            thread.start()
        output = _read(said[0])
        for thread in (writing, reading):
            thread.join()
        (code,) = struct.unpack("!q", _exactly(self._socket, 8))
        late.cancel()
        found = output if stdout == subprocess.PIPE else None
        return subprocess.CompletedProcess(args, code, found, errors[0])


def _number(file: Any) -> int:
    return file if isinstance(file, int) else int(file.fileno())


def _write(fd: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(fd, "wb") as pipe:
        pipe.write(data)


def _read(fd: int) -> bytes:
    with open(fd, "rb") as pipe:
        return pipe.read()


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = connection.recv(count - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def _serve(connection: socket.socket) -> None:
    """Fork a kact for each message, one after another, until the other end is closed."""
    for name in PRELOADED:
        importlib.import_module(name)
    import kact_cli

    for module in pkgutil.walk_packages(kact_cli.__path__, "kact_cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    while True:
        mark, fds, *_ = socket.recv_fds(connection, 1, 3)
        if not mark:
            return
        (size,) = struct.unpack("!q", _exactly(connection, 8))
        args, cwd, env = pickle.loads(_exactly(connection, size))
        pid = os.fork()
        if not pid:
            connection.close()
            _become_kact(args, fds, cwd, env)
        for fd in fds:
            os.close(fd)
        connection.sendall(struct.pack("!q", pid))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        connection.sendall(struct.pack("!q", code))


def _become_kact(args: list[str | bytes], fds: list[int], cwd: str, env: dict[str, str]) -> None:
    """In the child: what a start of Python would have set up, then kact to its end."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old, raw = getattr(sys, name), io.FileIO(number, "w" if number else "r", closefd=False)
        buffer: Any = io.BufferedWriter(raw) if number else io.BufferedReader(raw)
        setattr(sys, name, io.TextIOWrapper(buffer, old.encoding, old.errors))
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[1:] = [os.fsdecode(a) for a in args]
    try:
        runpy.run_module("kact_cli", run_name="__main__", alter_sys=True)
    except BaseException:
        traceback.print_exc()
    os._exit(1)  # kact ends its process by itself


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))

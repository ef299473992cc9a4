"""Running kact many times without paying for Python's start each time.

A server process imports kact and what it may need, once for each test worker, and forks for each
run: the child gets the descriptors, arguments, environment and directory of the run and calls
kact's own `main`, as the real command does. Start-up itself, process pools, signals and limits are
tested on real processes (`tests.tools.run.command`).
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

WARM = (
    "kact_cli.cli.commands",
    "kact_cli.transform",
    "kact_cli.formats",
    "kact_cli.reports",
)
"""Packages whose modules the server imports."""


class Server:
    """A process that forks a kact for each `run`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        words = [sys.executable, "-m", "tests.tools.forked", str(theirs.fileno())]
        pass_on = (theirs.fileno(),)
        self._process = subprocess.Popen(words, pass_fds=pass_on, env=dict(environment))
        theirs.close()
        self._socket = ours

    def run(
        self,
        args: Sequence[str | bytes | Path],
        *,
        stdin: bytes | int | IO[Any] = b"",
        stdout: int | IO[Any] = subprocess.PIPE,
        env: Mapping[str, str],
        cwd: str,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[bytes]:
        """As `subprocess.run` with these arguments and standard error captured."""
        with contextlib.ExitStack() as stack:
            feeding, given = self._end(stack, stdin if not isinstance(stdin, bytes) else None, 0)
            reading, out = self._end(stack, stdout if stdout != subprocess.PIPE else None, 1)
            erring, err = self._end(stack, None, 1)
            child = self._start(
                [os.fsdecode(a if isinstance(a, bytes) else str(a)) for a in args],
                (given, out, err),
                env,
                cwd,
            )
        killer = threading.Timer(timeout, os.kill, (child, signal.SIGKILL))
        killer.start()
        got: list[bytes] = [b"", b""]
        threads = [
            threading.Thread(target=self._feed, args=(feeding, stdin)),
            threading.Thread(target=self._drain, args=(reading, got, 0)),
            threading.Thread(target=self._drain, args=(erring, got, 1)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        code = int.from_bytes(self._receive(8), "little", signed=True)
        killer.cancel()
        return subprocess.CompletedProcess(list(args), code, got[0], got[1])

    @staticmethod
    def _end(stack: contextlib.ExitStack, given: int | IO[Any] | None, side: int) -> Any:
        """Our end of a new pipe (None: there is none) and the descriptor for the child.

        The child's end is closed here once the child has it, a file that was given is not.
        """
        if given == subprocess.DEVNULL:
            fd = os.open(os.devnull, os.O_RDWR)
        elif given is not None:
            return None, given if isinstance(given, int) else given.fileno()
        else:
            ends = os.pipe()
            stack.callback(os.close, ends[side])
            return ends[1 - side], ends[side]
        stack.callback(os.close, fd)
        return None, fd

    @staticmethod
    def _feed(fd: int | None, data: Any) -> None:
        if fd is not None:
            with contextlib.suppress(BrokenPipeError), open(fd, "wb", buffering=0) as pipe:
                view = memoryview(data)
                while view:
                    view = view[pipe.write(view) :]

    @staticmethod
    def _drain(fd: int | None, got: list[bytes], place: int) -> None:
        if fd is not None:
            with open(fd, "rb") as pipe:
                got[place] = pipe.read()

    def _start(
        self, words: list[str], fds: tuple[int, int, int], env: Mapping[str, str], cwd: str
    ) -> int:
        """Have a kact started; returns its process number."""
        data = json.dumps([words, dict(env), cwd]).encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        self._socket.sendmsg([len(data).to_bytes(8, "little")], rights)
        self._socket.sendall(data)
        return int.from_bytes(self._receive(8), "little")

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._socket.recv(count - len(data))
            if not more:
                raise RuntimeError("the server of kact's runs has ended")
            data += more
        return data

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


def _serve(connection: socket.socket) -> None:
    import importlib
    import pkgutil

    for name in WARM:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    while True:
        head, rights, *_ = connection.recvmsg(8, socket.CMSG_SPACE(12))
        if not head:
            return
        fds = array.array("i", rights[0][2])
        size, data = int.from_bytes(head, "little"), b""
        while len(data) < size:
            data += connection.recv(size - len(data))
        words, env, cwd = json.loads(data)
        child = os.fork()
        if child == 0:
            connection.close()
            _become_kact(words, env, cwd, fds)
        for fd in fds:
            os.close(fd)
        connection.sendall(child.to_bytes(8, "little"))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        connection.sendall(code.to_bytes(8, "little", signed=True))


def _become_kact(words: list[str], env: dict[str, str], cwd: str, fds: Sequence[int]) -> Any:
    try:
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
            os.close(fd)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = ["kact", *words]
        from kact_cli.cli import main

        main()
    finally:
        os._exit(99)  # main ends the process itself


if __name__ == "__main__":
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    for name in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{name}_NUM_THREADS", "1")
    _serve(socket.socket(fileno=int(sys.argv[1])))

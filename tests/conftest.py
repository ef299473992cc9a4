"""Fixtures that every test may use."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.tools.forked import Server
from tests.tools.run import Kact, command, environment

# A busy machine is no failure
settings.register_profile("kact", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kact")


REAL = {"batch", "--jobs", "-j"}
"""What makes processes of its own, and so runs as a process of its own in the tests."""


@pytest.fixture(scope="session")
def forked() -> Iterator[Server]:
    server = Server(environment())
    yield server
    server.close()


@pytest.fixture
def kact(forked: Server) -> Kact:
    """Run kact to its end: `kact("apply", "relu", path, stdin=b"...", code=0)`.

    `stdin` may also be an open file; `stdout` and `prepare` are subprocess's `stdout` and
    `preexec_fn`. Asserts the exit code, and that whatever went wrong was no traceback.
    """

    def run(
        *args: str | bytes | Path,
        stdin: Any = b"",
        stdout: Any = subprocess.PIPE,
        code: int = 0,
        cwd: Path | None = None,
        prepare: Callable[[], None] | None = None,
        **env: str,
    ) -> subprocess.CompletedProcess[bytes]:
        where = str(cwd or Path.cwd())
        python = any(name.startswith("PYTHON") for name in env)
        plain = prepare is None and not python and not REAL & {str(a) for a in args}
        if plain:
            done = forked.run(args, stdin=stdin, stdout=stdout, cwd=where, env=environment(**env))
        else:
            given = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
            done = subprocess.run(
                command(*args),
                **given,
                stdout=stdout,
                stderr=subprocess.PIPE,
                cwd=where,
                env=environment(**env),
                timeout=120,
                preexec_fn=prepare,
            )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        assert done.returncode == code, (done.returncode, done.stderr.decode())
        return done

    return run


@pytest.fixture
def refused(kact: Kact) -> Kact:
    """Run kact where it must fail: exit code 1 (or `code`), one line on standard error."""

    def run(*args: str | bytes | Path, code: int = 1, **more: Any) -> Any:
        done = kact(*args, code=code, **more)
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr.decode()
        assert lines[0].startswith(b"kact: ")
        assert done.stderr.decode("utf-8").rstrip("\n").isprintable()
        return done

    return run

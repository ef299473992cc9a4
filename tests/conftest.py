"""Fixtures that every test may use."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.tools.forks import Forks
from tests.tools.run import Kact, command, environment

# What the caller's shell says of colours and widths is nothing to the tests that run in here
for name in os.environ.keys() - environment().keys():
    del os.environ[name]

# The same cases on every run, printed where they fail and not shrunk, which may take minutes; a
# busy machine is no failure. Random cases, and more of them: pytest --hypothesis-profile random
settings.register_profile(
    "kact",
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=100,
    phases=[Phase.explicit, Phase.generate],
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "random",
    settings.get_profile("kact"),
    derandomize=False,
    max_examples=2000,
    phases=list(Phase),
)
settings.load_profile("kact")


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """The process that forks a kact, started once."""
    forks = Forks()
    yield forks
    forks.close()


@pytest.fixture
def kact(forks: Forks) -> Kact:
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
        # kact forks or spawns its workers according to what is loaded
        with_workers = args[:1] == ("batch",) or {"--jobs", "-j"} & set(args)
        of_the_start = prepare or any(name.startswith("PYTHON") for name in env)
        if not with_workers and not of_the_start:
            done = forks.run(command(*args)[3:], stdin, stdout, cwd, environment(**env))
        else:
            given = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
            done = subprocess.run(
                command(*args),
                **given,
                stdout=stdout,
                stderr=subprocess.PIPE,
                cwd=cwd,
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
        assert lines[0].startswith(b"kact: error: ")
        assert done.stderr.decode("utf-8").rstrip("\n").isprintable()
        return done

    return run

"""Broken files that once crashed kact or pyarrow: done or refused in one line, by every command.

Mutants that were found by trying many (`tests.trust`), and files of the kinds that the fuzzing of
Arrow has found. kact runs in a process of its own: what is feared is its death.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.tools.forks import Forks
from tests.tools.run import environment, names

BROKEN = Path(__file__).parents[1] / "data" / "broken"
CHAIN = ("chain", "relu", "-q")
COMMANDS: dict[str, tuple[str, ...]] = {
    "itself": (*CHAIN, "{}", "out{suffix}"),
    "csv": (*CHAIN, "{}", "out.csv"),
    "parquet": (*CHAIN, "{}", "out.parquet"),
    "down": ("chain", "softmax(axis=0)", "-q", "-c", "a,b", "{}", "out.csv"),
    "stats": ("inspect", "--stats", "{}"),
    "compare": ("compare", "{}", "{}"),
    "explain": ("explain", "relu", "{}"),
    "preview": ("chain", "relu", "--preview", "result", "{}"),
}


@pytest.mark.parametrize("name", names(BROKEN))
def test_it_is_done_or_refused_in_one_line(name: str, forks: Forks, tmp_path: Path) -> None:
    source = BROKEN / name
    for args in COMMANDS.values():
        line = [a.format(source, suffix=source.suffix) for a in args]
        done = forks.run(line, b"", subprocess.PIPE, tmp_path, environment())
        said = done.stderr.decode()
        assert done.returncode in (0, 1, 2), (line, done.returncode, said)
        assert "Traceback" not in said
        if done.returncode:
            errors = [x for x in said.splitlines() if not x.startswith("kact: warning")]
            assert len(errors) == 1, (line, said)
            assert name in errors[0] or done.returncode == 2, (line, said)
        writes = done.returncode == 0 and line[0] == "chain" and "--preview" not in line
        assert len(names(tmp_path)) == writes
        for path in tmp_path.iterdir():
            path.unlink()

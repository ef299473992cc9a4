"""A signal ends kact wherever it comes: also where Python drops the exception that it raises."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.tools.run import environment

LOST = {
    "destructor": """
class Dropped:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
Dropped()
""",
    "class": """
class Named:
    def __set_name__(self, owner, name):
        signal.raise_signal(signal.SIGTERM)
class Owner:
    named = Named()
""",
    "caught": """
try:
    signal.raise_signal(signal.SIGTERM)
except BaseException:
    pass
""",
}
"""Where Python, or a library, drops the exception that a signal raises, or makes another of it."""


@pytest.mark.parametrize("place", LOST)
def test_signal_is_not_lost(place: str) -> None:
    code = f"""
import signal, time
import kact_cli.cli, kact_cli.cli.run as run

def transform(*_):
    {LOST[place].strip().replace(chr(10), chr(10) + "    ")}
    time.sleep(9)

run.transform = transform
kact_cli.cli.main()
"""
    args = [sys.executable, "-c", code, "chain", "relu", "-", "-"]
    done = subprocess.run(args, input=b"", capture_output=True, env=environment(), timeout=30)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, b"")


@pytest.mark.parametrize("module", ["dataclasses", "datetime", "enum", "json", "uuid", "zoneinfo"])
def test_signal_while_a_library_is_imported(module: str) -> None:
    """orjson ends the process where what it imports cannot be: so it finds it there."""
    code = f"""
import sys
import numpy, kact_cli.errors

class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt

for name in [n for n in sys.modules if n.partition(".")[0] == {module!r}]:
    del sys.modules[name]
sys.meta_path.insert(0, Finder())
try:
    import kact_cli.formats.csv.floats
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment())
    assert (done.returncode, done.stdout) == (0, b"interrupted\n"), done.stderr

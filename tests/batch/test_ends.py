"""How a run ends: it is recorded whatever happens, and the first error is what counts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kact_cli.batch import report
from kact_cli.batch.report import transform_reported
from kact_cli.chain import Chain
from kact_cli.cli.signals import Terminated
from kact_cli.errors import DataError
from kact_cli.options import Options
from tests.tools.run import environment
from tests.tools.tensors import save

NO_MANIFEST = """
import signal
from kact_cli.batch.manifest import OutputDirectory
from kact_cli.batch.schedule import Batch
from kact_cli.cli import main
from kact_cli.errors import DataError

def end(*_):
    raise DataError("no room for the manifest")

OutputDirectory.end = end
"""
"""A kact that can record nothing in the directory, as where the disk is full."""
SIGNAL = "Batch.run = lambda *_: signal.raise_signal(signal.SIGTERM)\n"
"""And which a signal ends before any file is done."""

BAD, NO_ROOM = "error: bad.npy is not a .npy file", "error: no room for the manifest"
INTERRUPTED = "interrupted; 0 of 1 file done; --skip-existing goes on from there"
FULL = "error: /dev/full: no space left on device"
ENDS = [
    # what kact is given, its exit code, what it says, and the report
    ("", "a.npy", 1, [NO_ROOM], ["done"]),
    ("", "bad.npy", 1, [BAD, NO_ROOM], ["failed"]),
    ("", "a.npy bad.npy -k", 1, [BAD, "error: 1 of 2 files failed", NO_ROOM], ["done", "failed"]),
    ("", "bad.npy --report /dev/full", 1, [BAD, NO_ROOM, FULL], None),
    (SIGNAL, "a.npy", 143, [INTERRUPTED, NO_ROOM], ["unfinished"]),
    (SIGNAL, "a.npy --report /dev/full", 143, [INTERRUPTED, NO_ROOM, FULL], None),
]


@pytest.mark.parametrize(("how", "given", "code", "said", "became"), ENDS)
def test_the_first_error_counts_and_the_report_is_written(
    how: str, given: str, code: int, said: list[str], became: list[str] | None, tmp_path: Path
) -> None:
    save(tmp_path / "a.npy", 3)
    (tmp_path / "bad.npy").write_bytes(b"broken")
    words = f"batch relu -o out --jobs 1 --report r.json {given}".split()
    run = [sys.executable, "-c", f"{NO_MANIFEST}{how}main()", *words]
    done = subprocess.run(run, cwd=tmp_path, env=environment(), capture_output=True, timeout=60)
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, len(lines)) == (code, len(said)), lines
    for line, beginning in zip(lines, said, strict=True):
        assert line.startswith(f"kact: {beginning}")
    if became is not None:
        files = json.loads((tmp_path / "r.json").read_text())["files"]
        assert sorted(file["status"] for file in files) == became


# The report of one file

ERRORS = [
    # what ends it, what it says of the file, and whether with an error
    (DataError, "failed", True),
    (Terminated, "unfinished", False),
]


@pytest.mark.parametrize(("kind", "status", "told"), ERRORS)
def test_a_signal_is_no_failure_of_the_file(
    kind: Callable[[int], BaseException],
    status: str,
    told: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = kind(signal.SIGTERM)

    def ends(*_: object) -> None:
        raise error

    def notes(place: str) -> int:
        """Report to `place`, and count what the error says besides."""
        names = [str(tmp_path / name) for name in ("in.npy", "out.npy", place)]
        with pytest.raises(type(error)):
            transform_reported(Chain.parse("relu"), *names[:2], Options(), names[2])
        return len(getattr(error, "__notes__", ()))

    monkeypatch.setattr(report, "transform_file", ends)
    assert notes("r.json") == 0
    found = json.loads((tmp_path / "r.json").read_text())
    (file,) = found["files"]
    assert (file["status"], found[status], "error" in file) == (status, 1, told)
    assert notes("/dev/full") == 1

"""Thousands of mixed files: exactly the corrupt ones fail, and a killed run is continued."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tools.run import Kact, command, environment, start, tree, wait_until
from tests.tools.tensors import save

MIB = 1024 * 1024


def mixed(directory: Path, count: int) -> set[str]:
    """Files of all kinds, sizes and names, nested; returns the names of the corrupt ones."""
    rng = random.Random(7)
    bad = set()
    odd = [
        "x[0]",
        "-n",
        "a b",
        "[red]r",
        "\x1b[1m",
        "ü",
        "né\u202e",
        "'q'",
        '"',
        "$(x)",
        "a,b",
        "%41",
    ]
    directory.mkdir()
    for number in range(count):
        name = f"{number:04}" + rng.choice(odd if number % 5 == 0 else [""])
        parent = directory.joinpath(*(f"d{rng.randrange(4)}" for _ in range(rng.randrange(4))))
        parent.mkdir(parents=True, exist_ok=True)
        kind = rng.randrange(8)
        path = parent / (name + (".npy", ".csv", ".parquet")[min(kind // 3, 2)])
        size = rng.choice([1, 10, 1000, 1000, 20_000])
        array = np.random.default_rng(number).normal(size=(size, 3)).astype("f4")
        corrupt = number % 20 == 13
        if path.suffix == ".npy":
            with open(path, "wb") as file:
                np.save(file, array[:0] if number % 7 == 0 else array)
        elif path.suffix == ".csv":
            rows = array[: 0 if number % 7 == 0 else 200].tolist()
            path.write_text("i,x,y\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
        else:
            pq.write_table(pa.table(list(array.T), names=["a", "b", "c"]), path)
        if corrupt:
            bad.add(str(path.relative_to(directory)))
            data = path.read_bytes()
            if path.suffix == ".csv":
                data = b"" if number % 2 else data + b'"unterminated,1,2\n'
            else:
                data = data[: rng.randrange(len(data))] if number % 2 else b"\x89PNG\r\n\x1a\n\0\0"
            path.write_bytes(data)
    return bad


@pytest.mark.parametrize("count", [400, pytest.param(2000, marks=pytest.mark.slow)])
def test_exactly_the_corrupt_ones_of_mixed_files_fail(
    count: int, kact: Kact, tmp_path: Path
) -> None:
    bad = mixed(tmp_path / "in", count)
    save(tmp_path / "in" / "huge.npy", 17 * MIB, dtype="f8")
    out, report = tmp_path / "out", tmp_path / "report.json"
    args = ["batch", "elu,softmax", tmp_path / "in", "-o", out, "-k"]
    done = kact(*args, "--jobs", 2, "--report", report, code=1)
    lines = done.stderr.decode().splitlines()
    failures = [line for line in lines if not line.startswith("kact: warning")]
    assert failures[-1] == f"kact: error: {len(bad):,} of {count + 1:,} files failed"
    assert len(failures) == len(bad) + 1
    files = json.loads(report.read_text())["files"]
    named = {os.path.relpath(f["input"], tmp_path / "in") for f in files if f["status"] == "failed"}
    assert named == bad
    assert set(tree(out)) == set(tree(tmp_path / "in")) - bad
    again = kact(*args, "--jobs", 1, "--skip-existing", code=1)
    assert again.stdout.startswith(b"0 files done")
    assert f"{count + 1 - len(bad):,} left as they were" in again.stdout.decode()


def files_in(directory: Path) -> set[str]:
    """Every file below a directory, half written or whole."""
    return {os.path.join(top, name) for top, _, names in os.walk(directory) for name in names}


def resumed(tmp_path: Path, kills: int, count: int) -> None:
    """Kill a run when it has begun so many files, continue it, and compare with one left alone.

    Together they are half of the files at most, so that no run gets to the end before it is killed.
    """
    rng = random.Random(kills)
    mixed(tmp_path / "in", count)
    save(tmp_path / "in" / "huge.npy", 17 * MIB, dtype="f8")
    args: list[Any] = ["batch", "tanh,softmax(axis=0)", tmp_path / "in", "-k", "-q", "--jobs", "2"]
    whole = subprocess.run(
        command(*args, "-o", tmp_path / "whole"), env=environment(), capture_output=True
    )
    assert whole.returncode == 1
    out = tmp_path / "out"
    cut_short = 0
    for _ in range(kills):
        before, more = files_in(out), rng.randrange(count // (2 * kills))
        process = start(*args, "-o", out, "--skip-existing", start_new_session=True)
        assert wait_until(
            lambda b=before, m=more, p=process: len(files_in(out) - b) > m or p.poll() is not None,
            60,
        )
        if process.poll() is None:
            cut_short += 1
            # Half of the time the workers as well, so that nobody clears up
            if rng.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.communicate()
    assert cut_short >= min(3, kills // 2)
    last = subprocess.run(
        command(*args, "-o", out, "--skip-existing"), env=environment(), capture_output=True
    )
    assert last.stderr == whole.stderr
    assert tree(out) == tree(tmp_path / "whole")


def test_killed_three_times_and_resumed_is_the_same(tmp_path: Path) -> None:
    resumed(tmp_path, 3, 200)


@pytest.mark.slow
def test_killed_twenty_times_and_resumed_is_the_same(tmp_path: Path) -> None:
    resumed(tmp_path, 20, 2000)

"""No command imports pandas where it is installed: pyarrow does when it converts Python's values,
which takes a third of a second and pandas's memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kact_cli
from kact_cli.formats.declared import FORMATS
from kact_cli.formats.detect import by_name
from tests.tools.archives import safetensors
from tests.tools.run import environment
from tests.tools.tables import write

PANDAS = """\
import os, traceback
with open(os.environ["PANDAS_MARK"], "w") as file:
    traceback.print_stack(file=file)
raise ImportError("a stand-in for pandas, which nothing should import")
"""
RUN = """\
import sys
from kact_cli.cli import cli
for line in sys.stdin.read().splitlines():
    cli.main(line.split("\\t"), prog_name="kact", standalone_mode=False)
"""
TABLE = pa.table(
    {
        "text": pa.array(["a", None, "", 'with "quotes", and a comma', "e"]),
        "x": pa.array([1.5, None, float("nan"), -2.5, 1e300], pa.float64()),
        "y": pa.array([0.5, 1.5, 2.5, 3.5, 4.5], pa.float32()),
        "whole": pa.array([1, None, 3, 4, 5], pa.int64()),
        "flag": pa.array([True, None, False, True, False]),
    }
)


@pytest.fixture
def samples(tmp_path: Path) -> dict[str, Path]:
    """A small file in every format that there is."""
    paths = {f.name: tmp_path / f"in{f.suffixes[0]}" for f in FORMATS}
    np.save(paths["npy"], np.ones(4, "f4"))
    pq.write_table(TABLE, paths["parquet"])
    np.savez(paths["npz"], a=np.ones(4, "f4"))
    paths["safetensors"].write_bytes(safetensors({"a": np.ones(4, "f4")}))
    write(TABLE, paths["arrow"])
    write(TABLE, paths["arrows"])
    paths["csv"].write_text('text,x,y\n"q, ""q""",1.5,2.5\n,,0.5\n"",3.5,-1.5\n')
    assert all(path.exists() for path in paths.values())
    return paths


def runs(samples: dict[str, Path], name: str) -> list[list[str]]:
    """Every command that reads a file of this format, and what it makes of it in every format."""
    source = str(samples[name])
    lines = [
        ["inspect", "--stats", source],
        ["explain", "tanh", source],
        ["compare", source, source],
    ]
    kind = by_name(name).kind
    for wanted in FORMATS:
        if {kind, wanted.kind} == {"archive", "table"}:
            continue  # which is refused
        for chain in ("tanh", "softmax(axis=0)", "softmax"):
            target = samples[name].parent / f"{name}-{len(lines)}{wanted.suffixes[0]}"
            lines.append(["chain", chain, source, str(target)])
    return lines


def marked(code: str, given: str, place: Path) -> str:
    """Who imported pandas while `code` ran, or nothing."""
    (place / "pandas").mkdir()
    (place / "pandas" / "__init__.py").write_text(PANDAS)
    mark = place / "mark"
    paths = os.pathsep.join([str(place), str(Path(kact_cli.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=given,
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=paths, PANDAS_MARK=str(mark)),
    )
    assert done.returncode == 0, done.stderr
    return mark.read_text() if mark.exists() else ""


def test_an_import_of_pandas_is_seen(tmp_path: Path) -> None:
    assert marked("import pyarrow; pyarrow.array([1])", "", tmp_path)


@pytest.mark.parametrize("name", [f.name for f in FORMATS])
def test_no_command_imports_pandas(name: str, samples: dict[str, Path], tmp_path: Path) -> None:
    lines = "\n".join("\t".join(line) for line in runs(samples, name))
    assert not marked(RUN, lines, tmp_path)

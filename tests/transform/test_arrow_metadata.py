"""What Arrow files say of their batches and of themselves is in the output, batch by batch."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.tools.run import command, environment
from tests.tools.tables import convert

NOTED = [{b"k": b"first"}, None, {b"k": b"third", b"\xff": b""}, {b"of": b"no rows"}]
SIZES = (3, 1, 2, 0)
FILE = {b"made": b"by hand"}
has_footers = hasattr(pa.ipc.RecordBatchFileReader, "metadata")


def save(path: Path) -> Path:
    """Batches of SIZES, with what is NOTED of each."""
    batch = pa.record_batch({"x": [0.5, -2.0, 3.0], "word": ["a", "b", None]})
    more: dict[str, Any] = {"metadata": FILE} if has_footers else {}
    make = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink:
        kept = more if path.suffix == ".arrow" else {}
        with make(sink, batch.schema, **kept) as writer:
            for noted, size in zip(NOTED, SIZES, strict=True):
                writer.write_batch(batch.slice(0, size), custom_metadata=noted)
    return path


def noted(path: Path) -> list[Any]:
    """What is said of each batch, and the batches' rows."""
    with pa.OSFile(str(path)) as file:
        if path.suffix == ".arrows":
            found = list(pa.ipc.open_stream(file).iter_batches_with_custom_metadata())
        else:
            reader = pa.ipc.open_file(file)
            numbers = range(reader.num_record_batches)
            found = [reader.get_batch_with_custom_metadata(n) for n in numbers]
        assert tuple(batch.num_rows for batch, _ in found) == SIZES
        return [metadata and dict(metadata) for _, metadata in found]


@pytest.mark.parametrize("chain", ["relu", "relu,softmax(axis=0)"])
@pytest.mark.parametrize("to", ["arrow", "arrows"])
@pytest.mark.parametrize("of", ["arrow", "arrows"])
def test_what_is_noted_of_batches_stays_with_them(
    of: str, to: str, chain: str, tmp_path: Path
) -> None:
    source = save(tmp_path / f"in.{of}")
    for jobs in (1, 3):
        target = convert(chain, source, tmp_path / f"{jobs}.{to}", jobs=jobs)
        assert noted(target) == NOTED
    piped = subprocess.run(
        command("chain", chain, "-", "-", "-q", "--to", to), input=source.read_bytes(),
        capture_output=True, env=environment(), check=True,
    ).stdout  # fmt: skip
    (tmp_path / f"piped.{to}").write_bytes(piped)
    assert noted(tmp_path / f"piped.{to}") == NOTED


@pytest.mark.skipif(not has_footers, reason="this pyarrow knows no metadata of files")
def test_what_is_noted_of_the_file_stays_where_there_is_a_footer(tmp_path: Path) -> None:
    source = save(tmp_path / "in.arrow")
    target = convert("relu", source, tmp_path / "out.arrow")
    with pa.OSFile(str(target)) as file:
        assert dict(pa.ipc.open_file(file).metadata) == FILE
    run = command("apply", "relu", source, tmp_path / "out.arrows")
    said = subprocess.run(run, capture_output=True, env=environment(), check=True).stderr
    assert b"out.arrows is left without the metadata of the input as a file, made: " in said

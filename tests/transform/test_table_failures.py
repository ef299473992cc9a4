"""A run over a table that is stopped or fails: told in one line, nothing that looks whole."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kact_cli.errors import DataError
from tests.tools.run import Kact, command, environment
from tests.tools.tables import convert, write


def test_signals_of_a_run_that_stalls(tmp_path: Path) -> None:
    sources = {
        "csv": b"x,y\n" + b"1.5,2.5\n" * 400_000,
        "arrows": write({"x": [1.0] * 9}, tmp_path / "a.arrows").read_bytes()[:-8],
    }
    for name, data in sources.items():
        target = tmp_path / f"o.{name}"
        run = command("apply", "relu", "-", str(target))
        pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(
            run, env=environment(), preexec_fn=_interruptible, **pipes
        ) as process:
            assert process.stdin is not None
            process.stdin.write(data)
            process.stdin.flush()
            wait_for_temporary(tmp_path)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert process.stderr is not None
            assert (
                process.stderr.read() == f"kact: interrupted; {target} was not written\n".encode()
            )
        assert not list(tmp_path.glob(".kact*"))
        assert not target.exists()


def _interruptible() -> None:
    """A shell's background jobs ignore SIGINT, and so would their children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for_temporary(place: Path) -> None:
    from tests.tools.run import wait_until

    assert wait_until(lambda: bool(list(place.glob(".kact*"))))


@pytest.mark.parametrize("to", ["parquet", "arrow"])
def test_nulls_where_there_are_to_be_none(to: str, tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.float64()), pa.field("y", pa.float64(), nullable=False)])
    table = pa.table([pa.array([1.5, 2.5]), pa.array([1.0, None])], schema=schema)
    source = write(table, tmp_path / "a.arrow")
    with pytest.raises(DataError, match=r"a\.arrow: column 'y' holds nulls, and is said to hold"):
        convert("relu", source, tmp_path / f"b.{to}")


@pytest.mark.parametrize("to", ["csv", "parquet", "arrow", "arrows"])
def test_a_reader_that_leaves(to: str, tmp_path: Path) -> None:
    """`kact ... | head`: 141, silently, and no abort."""
    (tmp_path / "in.csv").write_bytes(b"x,y\n" + b"1.5,2.5\n" * 2_000_000)
    run = command("apply", "relu", str(tmp_path / "in.csv"), "-", "--to", to)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(run, env=environment(), **pipes) as process:
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 4)
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.parametrize("to", ["parquet", "arrow", "arrows"])
def test_a_run_that_fails_half_way_never_looks_whole(to: str, kact: Kact, tmp_path: Path) -> None:
    text = b"x,y\n" + b"1.5,2\n" * 1_000_000 + b"1.5,two\n"
    done = kact("apply", "relu", "-c", "x,y", "--to", to, stdin=text, code=1)
    assert done.stderr.count(b"\n") == 1
    place = b"standard input: column 'y', record 1,000,001 (line 1,000,002): "
    assert place + b"'two' is not a number" in done.stderr
    (tmp_path / f"o.{to}").write_bytes(done.stdout)
    if to != "arrows":
        with pytest.raises(DataError):
            convert("relu", tmp_path / f"o.{to}", tmp_path / f"again.{to}")
    else:  # a stream may end anywhere, but does not without a warning
        done = kact("apply", "relu", tmp_path / "o.arrows", tmp_path / "again.arrows")
        assert b"no end mark" in done.stderr


def test_a_stream_without_its_end_mark_is_told(kact: Kact, tmp_path: Path) -> None:
    """Its writer may have failed; the format allows it."""
    data = write({"x": [1.0, -2.0]}, tmp_path / "in.arrows").read_bytes()
    assert data.endswith(b"\xff\xff\xff\xff\0\0\0\0")
    (tmp_path / "cut.arrows").write_bytes(data[:-8])
    for run in (["relu"], ["softmax", "--axis", "0"]):
        done = kact("apply", *run, tmp_path / "cut.arrows", tmp_path / f"{run[0]}.csv")
        assert b"cut.arrows: the stream has no end mark" in done.stderr
        done = kact("apply", *run, "--to", "csv", stdin=data[:-8])
        assert b"standard input: the stream has no end mark" in done.stderr
        assert done.stderr.count(b"\n") == 1
        assert kact("apply", *run, "--to", "csv", stdin=data).stderr == b""


def test_a_full_disk_is_named(refused: Kact, tmp_path: Path) -> None:
    import resource

    from tests.tools.run import limit

    write({"x": np.random.default_rng(0).normal(size=100_000).tolist()}, tmp_path / "in.parquet")
    for to in ("parquet", "arrow", "csv"):
        target = tmp_path / f"o.{to}"
        done = refused("apply", "tanh", tmp_path / "in.parquet", target,
                       prepare=limit(resource.RLIMIT_FSIZE, 50_000))  # fmt: skip
        assert f"o.{to}: file too large".encode() in done.stderr
        assert not target.exists()
        assert not list(tmp_path.glob(".kact*"))


def test_a_dictionary_of_nulls_where_there_are_to_be_none(tmp_path: Path) -> None:
    none = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.nulls(1))
    schema = pa.schema([("x", pa.float64()), pa.field("y", none.type, nullable=False)])
    source = write(pa.table([pa.array([1.5]), none], schema=schema), tmp_path / "a.arrow")
    with pytest.raises(DataError, match=r"a\.arrow: field 'y' is of type null, and said to hold"):
        convert("relu", source, tmp_path / "b.parquet")

"""What has to be in memory as a whole has a limit: a bomb is refused, and --max-unit raises it."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kact_cli.chain import Chain
from kact_cli.errors import DataError
from kact_cli.formats.declared import FORMATS
from kact_cli.options import Options
from kact_cli.transform.route import transform
from tests.tools.run import Kact

MIB = 1 << 20
ZEROS = np.zeros(MIB, "f4")
TABLE = pa.table({"a": ZEROS})
LONG = b"a,b\n" + b"1.5," + b"x" * 4 * MIB + b"\n2.5,y\n"


def _arrow(table: pa.Table, *, stream: bool, codec: str | None = "zstd") -> bytes:
    file = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(file, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    return file.getvalue()


def _dictionary() -> pa.Table:
    words = pa.array(["x" * 4 * MIB, "y"])
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), words)
    return pa.table({"a": pa.array([1.5, -2.5, 3.5], pa.float32()), "d": coded})


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, a=ZEROS)
    return file.getvalue()


# The file, and what takes 4 MiB of memory in it.
BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "text": ("in.csv", lambda: LONG, "record 1 (line 2)"),
    "gzip": ("in.csv.gz", lambda: gzip.compress(LONG), "record 1 (line 2)"),
    "zstd": (
        "in.csv.zst",
        lambda: pa.Codec("zstd").compress(LONG, asbytes=True),
        "record 1 (line 2)",
    ),
    "npz": ("in.npz", _npz, "member 'a'"),
    "file": ("in.arrow", lambda: _arrow(TABLE, stream=False), "record batch 0"),
    "plain": ("in.arrow", lambda: _arrow(TABLE, stream=False, codec=None), "record batch 0"),
    "stream": ("in.arrows", lambda: _arrow(TABLE, stream=True), "a record batch"),
    "lz4": ("in.arrows", lambda: _arrow(TABLE, stream=True, codec="lz4"), "a record batch"),
    "file of words": ("in.arrow", lambda: _arrow(_dictionary(), stream=False), "dictionaries"),
    "stream of words": ("in.arrows", lambda: _arrow(_dictionary(), stream=True), "a record batch"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_unit_above_its_limit_is_refused_and_the_option_raises_it(
    name: str, tmp_path: Path
) -> None:
    called, make, what = BOMBS[name]
    source, target = tmp_path / called, tmp_path / f"out.{called.partition('.')[2]}"
    source.write_bytes(make())

    def run(limit: int | None) -> None:
        options = Options(columns=("a",), max_unit=limit)
        transform(Chain.parse("relu"), str(source), str(target), options)

    with pytest.raises(DataError) as refused:
        run(2 * MIB)
    said = str(refused.value)
    assert said.startswith(str(source))
    assert what in said
    assert "more than 2 MiB; --max-unit allows more" in said
    assert [p.name for p in tmp_path.iterdir()] == [called]
    run(5 * MIB)
    target.unlink()
    run(None)


def test_few_words_in_a_dictionary_become_text_some_rows_at_a_time(tmp_path: Path) -> None:
    source, target = tmp_path / "in.arrow", tmp_path / "out.csv"
    source.write_bytes(_arrow(_dictionary(), stream=False))
    transform(Chain.parse("relu"), str(source), str(target), Options(columns=("a",)))
    long = b"x" * 4 * MIB
    assert target.read_bytes() == b"a,d\n1.5,%b\n0.0,y\n3.5,%b\n" % (long, long)


def test_every_limit_is_told_by_the_help_and_raised_by_one_option(
    kact: Kact, tmp_path: Path
) -> None:
    said = " ".join(kact("chain", "--help").stdout.decode().split())
    for f in FORMATS:
        if f.unit is not None:
            assert f"{f.unit.name} of {f.name}" in said
    source = tmp_path / "in.arrow"
    source.write_bytes(_arrow(TABLE, stream=False))
    for more in (("apply", "relu"), ("inspect", "--stats")):
        done = kact(*more, source, "--max-unit", "2MiB", code=1)
        assert done.stderr.decode().endswith("more than 2 MiB; --max-unit allows more\n")

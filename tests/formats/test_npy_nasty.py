"""Broken and hostile .npy files: one clear error, no memory, nothing left behind."""

from __future__ import annotations

import gzip
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.tools.run import Kact, command, environment
from tests.tools.tensors import npy, raw, says

PICKLE = pickle.dumps([1])
NASTY: dict[str, tuple[bytes, bytes]] = {
    "empty": (b"", b"is empty"),
    "half a magic": (b"\x93NUM", b"not a .npy"),
    "only a magic": (b"\x93NUMPY\x01\x00", b"ends within"),
    "half a length": (b"\x93NUMPY\x01\x00\x10", b"ends within"),
    "half a header": (raw(says("(3,)"))[:30], b"ends within"),
    "version 4": (raw(says("(3,)"), b"\x04\x00", bytes(12)), b"version 4.0"),
    "version 0": (raw(says("(3,)"), b"\x00\x00", bytes(12)), b"version 0.0"),
    "4 GiB header": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(16), b"4,294,967,295 bytes"),
    "overflowing shape": (raw(says("(4611686018427387905, 4)"), data=bytes(16)), b""),
    "huge axis": (raw(says(f"({10**30},)"), data=bytes(16)), b""),
    "huge hex axis": (raw(says(f"(0x{'f' * 9000},)"), data=bytes(16)), b"shape"),
    "huge axis beside 0": (raw(says(f"(0, 0x{'f' * 9000})")), b"shape"),
    "negative hex axis": (raw(says(f"(-0x{'f' * 9000},)"), data=bytes(16)), b"shape"),
    "hex dtype": (raw(says("(3,)", f"0x{'f' * 9000}"), data=bytes(12)), b"dtype"),
    "endless dtype": (raw(says("(3,)", f"'{'x' * 9000}'"), data=bytes(12)), b"dtype"),
    "negative shape": (raw(says("(-1,)"), data=bytes(16)), b"shape"),
    "boolean shape": (raw(says("(True, 2)"), data=bytes(16)), b"shape"),
    "float shape": (raw(says("(1.0, 2)"), data=bytes(16)), b"shape"),
    "shape no tuple": (raw(says("3"), data=bytes(16)), b"shape"),
    "shape a list": (raw(says("[3]"), data=bytes(16)), b"shape"),
    "1 TB claim": (raw(says("(250000000000,)"), data=bytes(16)), b"truncated"),
    "one byte short": (npy(np.ones(100, "f4"))[:-1], b"truncated"),
    "nested": (raw("(" * 4000 + ")" * 4000), b"broken"),
    "nested lists": (raw(says("[" * 150 + "]" * 150)), b""),
    "signs": (raw(says(f"({'-' * 60000}3,)")), b"broken"),
    "sums": (raw(says(f"({'1+' * 30000}3,)")), b"broken"),
    "a call": (raw(says("(__import__('os').mkdir('/tmp/kact-was-executed'),)")), b"broken"),
    "warns when parsed": (raw(says("(1if 1else 2,)")), b"broken"),
    "null bytes": (raw(bytes(80)), b"broken"),
    "not UTF-8": (raw(b"\xff\xfe" + says("(3,)").encode(), b"\x03\x00"), b"broken"),
    "not a dict": (raw("[1, 2]"), b"broken"),
    "no shape": (raw("{'descr': '<f4', 'fortran_order': False}"), b"keys"),
    "one key more": (raw("{'x': 1, " + says("(3,)")[1:], data=bytes(12)), b"keys"),
    "a key twice": (raw("{'shape': (4,), " + says("(3,)")[1:], data=bytes(12)), b"keys"),
    "unpacked": (raw("{**{}, " + says("(3,)")[1:], data=bytes(12)), b"keys"),
    "endless key": (raw("{'" + "x" * 9000 + "': 1}"), b"keys"),
    "order no bool": (raw(says("(3,)", order="1"), data=bytes(12)), b"fortran_order"),
    "pickle": (raw(says("(1,)", "'|O'"), data=PICKLE), b"pickled"),
    "fp8": (raw(says("(4,)", "'|V1'"), data=bytes(4)), b"float8"),
    "big-endian bfloat16": (raw(says("(4,)", "'>V2'"), data=bytes(8)), b"bfloat16"),
    "fp8 with an order": (raw(says("(4,)", "'<V1'"), data=bytes(4)), b"float8"),
    "fp8 as a float": (raw(says("(4,)", "'<f1'"), data=bytes(4)), b"float8"),
    "two dtypes": (raw(says("(4,)", "'f4,i4'"), data=bytes(32)), b"dtype"),
    "structured": (raw(says("(4,)", "[('a', '<f4'), ('b', '<i4')]"), data=bytes(32)), b"record"),
    "sub-array": (raw(says("(4,)", "('<f4', (2,))"), data=bytes(32)), b"dtype"),
    "complex": (raw(says("(4,)", "'<c8'"), data=bytes(32)), b"<c8"),
    "datetime": (raw(says("(4,)", "'<M8[s]'"), data=bytes(32)), b"<M8[s]"),
    "string": (raw(says("(4,)", "'<U3'"), data=bytes(48)), b"<U3"),
    "bytes": (raw(says("(4,)", "'|S3'"), data=bytes(12)), b"|S3"),
    "longdouble": (raw(says("(1,)", "'<f16'"), data=bytes(16)), b"<f16"),
    "no such dtype": (raw(says("(4,)", "'<f3'"), data=bytes(16)), b"<f3"),
    "gzip": (gzip.compress(npy(np.ones(3))), b"gzip"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(40), b"PNG"),
    "parquet": (b"PAR1" + bytes(40), b"Parquet"),
}


PIPED = [
    "empty",
    "half a header",
    "4 GiB header",
    "overflowing shape",
    "huge axis",
    "1 TB claim",
    "one byte short",
    "pickle",
    "gzip",
]


@pytest.mark.parametrize("name", NASTY)
def test_nasty_input(name: str, refused: Kact, tmp_path: Path) -> None:
    content, wanted = NASTY[name]
    source, old, new = tmp_path / "in.npy", tmp_path / "old.npy", tmp_path / "new.npy"
    source.write_bytes(content)
    old.write_bytes(b"what was there")
    done = refused("apply", "relu", source, new)
    assert wanted in done.stderr
    assert b"in.npy" in done.stderr
    assert len(done.stderr) < 400
    if name not in PIPED:
        return
    # A disk may be too full for what a pipe claims, before the pipe is found to be shorter
    stderr = refused("apply", "relu", "-", old, "--overwrite", stdin=content).stderr
    assert b"standard input" in stderr or (name == "1 TB claim" and b"no space" in stderr)
    assert old.read_bytes() == b"what was there"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npy", "old.npy"]
    assert not Path("/tmp/kact-was-executed").exists()


def peak_bytes(*args: str | Path, stdin: bytes = b"") -> int:
    """The peak resident memory of a run of kact, whatever its exit code."""
    # Through a small process: a child's peak begins with that of whoever starts it
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *command(*args)],
        input=stdin,
        capture_output=True,
        env=environment(),
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout) * unit


def test_claims_cost_no_memory(tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    source.write_bytes(npy(np.ones(4, "f4")))
    base = peak_bytes("apply", "relu", source, target)
    assert base < 60e6
    for name in ("4 GiB header", "overflowing shape", "1 TB claim", "huge axis", "signs"):
        source.write_bytes(NASTY[name][0])
        assert peak_bytes("apply", "relu", source, target) < base + 50e6, name
        assert peak_bytes("apply", "softmax", stdin=NASTY[name][0]) < base + 50e6, name

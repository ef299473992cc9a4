"""The .npy format: every header that NumPy writes is read, everything else is one clear error."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kact_cli.errors import DataError
from kact_cli.formats.npy import HEADER_LIMIT, Header, read_header, write_header
from tests.conftest import Kact, start, wait_until

DTYPES = ["b1", *(f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)), "f2", "f4", "f8"]
SHAPES = [(), (0,), (0, 5), (5, 0, 3), (7,), (3, 4), (1, 1), (2, 3, 4), (1, 2, 1, 3, 1, 2, 1, 2)]


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def raw(text: bytes | str, version: bytes = b"\x01\x00", data: bytes = b"") -> bytes:
    """A .npy file with that header text, well-formed or not."""
    text = text.encode("latin-1") if isinstance(text, str) else text
    width = 2 if version[0] == 1 else 4
    return b"\x93NUMPY" + version + len(text).to_bytes(width, "little") + text + data


def says(shape: str, descr: str = "'<f4'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def header_of(content: bytes) -> Header:
    return read_header(io.BytesIO(content).read)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", DTYPES)
def test_reads_what_numpy_writes(dtype: str, order: str, version: tuple[int, int]) -> None:
    for end in "<>":
        for shape in SHAPES:
            array = np.zeros(shape, np.dtype(end + dtype), order=order)
            content = npy(array, version)
            header = header_of(content)
            assert (header.shape, header.dtype) == (shape, array.dtype)
            assert header.dtype.byteorder == array.dtype.byteorder
            assert header.fortran_order == (order == "F" and not array.flags.c_contiguous)
            assert header.offset == len(content) - array.nbytes
            assert header.end == len(content)


@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize("dtype", ["|b1", "|u1", "<i2", ">i8", "<f2", "<f4", ">f8"])
def test_numpy_reads_what_is_written(dtype: str, order: bool) -> None:
    for shape in [*SHAPES, (1,) * 32, (10**9, 0)]:
        text = write_header(Header(np.dtype(dtype), shape, order))
        array = np.empty(shape, dtype, order="F" if order else "C")
        if order == (not array.flags.c_contiguous):  # how NumPy tells them apart
            assert text == npy(array)[: len(text)]
        assert len(text) % 64 == 0
        loaded = np.load(io.BytesIO(text + bytes(np.dtype(dtype).itemsize * int(np.prod(shape)))))
        assert (loaded.shape, loaded.dtype) == (shape, np.dtype(dtype))
        again = header_of(text)
        assert (again.shape, again.dtype, again.fortran_order) == (shape, np.dtype(dtype), order)


@pytest.mark.parametrize(
    "text",
    [
        says("(3L, 4L)"),
        says("(3,4)") + "\n",
        "  {'shape':(3,4),'descr':'<f4','fortran_order':False}   \n",
        '{"descr": "<f4", "fortran_order": False, "shape": (3, 4)}',
        says("(3,\n4)"),
        says("(3, 4)", "'f4'") if struct.pack("=i", 1)[0] else says("(3, 4)", "'<f4'"),
    ],
)
def test_header_spellings_that_are_well_formed(text: str) -> None:
    header = header_of(raw(text))
    assert (header.shape, header.dtype, header.fortran_order) == ((3, 4), np.dtype("<f4"), False)


def test_python_2_shape_of_one_axis() -> None:
    assert header_of(raw(says("(3L,)"))).shape == (3,)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("end", "<>")
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4"])
def test_order_and_byte_order_are_kept(
    dtype: str, end: str, order: str, kact: Kact, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    x = np.array([[-3, 0, 5], [7, -1, 2]], np.dtype(end + dtype), order=order)
    np.save(source, x)
    kact("apply", "relu", source, target)
    header, y = header_of(target.read_bytes()), np.load(target)
    assert header.dtype.str == x.dtype.str
    assert header.fortran_order == (order == "F")
    assert y.tolist() == np.maximum(x, 0).tolist()


@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (1,), (1, 2, 1, 3, 1, 2, 1, 2)])
@pytest.mark.parametrize("order", "CF")
def test_ranks_from_none_to_eight(
    shape: tuple[int, ...], order: str, kact: Kact, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    x = np.asarray(np.random.default_rng(1).normal(size=shape), "f8", order=order)
    np.save(source, x)
    kact("chain", "softmax(axis=none),relu", source, target)
    e = np.exp(x)
    np.testing.assert_allclose(np.load(target), e / e.sum() if x.size else e, rtol=1e-14)
    assert np.load(target).shape == shape


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
    "bfloat16": (raw(says("(4,)", "'|V2'"), data=bytes(8)), b"bfloat16"),
    "fp8": (raw(says("(4,)", "'|V1'"), data=bytes(4)), b"float8"),
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


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", npy(np.ones(3)))
    return file.getvalue()


NASTY["zip"] = (zipped(), b"zip")


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
    # A disk may be too full for what a pipe claims, before the pipe is found to be shorter
    stderr = refused("apply", "relu", "-", old, "--overwrite", stdin=content).stderr
    assert b"standard input" in stderr or (name == "1 TB claim" and b"no space" in stderr)
    assert old.read_bytes() == b"what was there"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npy", "old.npy"]
    assert not Path("/tmp/kact-was-executed").exists()


def peak_bytes(*args: str | Path, stdin: bytes = b"") -> int:
    """The peak resident memory of a run of kact, whatever its exit code."""
    child = start(*args)
    assert child.stdin is not None
    threading.Thread(target=_feed, args=(child.stdin, stdin), daemon=True).start()
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    for pipe in (child.stdout, child.stderr):
        assert pipe is not None
        pipe.close()
    return usage.ru_maxrss * 1024


def _feed(pipe: io.BufferedWriter, content: bytes) -> None:
    try:
        pipe.write(content)
        pipe.close()
    except BrokenPipeError:
        pass


def test_claims_cost_no_memory(tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    source.write_bytes(npy(np.ones(4, "f4")))
    base = peak_bytes("apply", "relu", source, target)
    for name in ("4 GiB header", "overflowing shape", "1 TB claim", "huge axis", "signs"):
        source.write_bytes(NASTY[name][0])
        assert peak_bytes("apply", "relu", source, target) < base + 50e6, name
        assert peak_bytes("apply", "softmax", stdin=NASTY[name][0]) < base + 50e6, name


def test_trailing_bytes_warn_and_are_left_out(kact: Kact, tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    x = np.array([[-1.0, 2.0]], ">f4", order="F")
    source.write_bytes(npy(x) + b"more")
    for chain in ("relu", "softmax(axis=0)"):
        done = kact("chain", chain, source, target, "--overwrite")
        assert b"4 bytes after the tensor" in done.stderr
        assert target.stat().st_size == len(npy(x))
        assert kact("chain", chain, source, target, "--overwrite", "--quiet").stderr == b""
        done = kact("chain", chain, stdin=source.read_bytes())
        assert b"after the tensor" in done.stderr
        assert done.stdout == target.read_bytes()


def test_trailing_bytes_warn_where_the_pipe_is_spooled(kact: Kact, tmp_path: Path) -> None:
    x = np.arange(12.0).reshape(3, 4)
    done = kact("chain", "softmax(axis=0)", "--chunk-size", "16", stdin=npy(x) + b"more")
    assert b"after the tensor" in done.stderr
    np.testing.assert_allclose(np.load(io.BytesIO(done.stdout)).sum(0), 1)


def test_many_trailing_bytes_are_not_waited_for() -> None:
    child = start("chain", "softmax(axis=0)", "--chunk-size", "16")
    endless = npy(np.ones((3, 4))) + bytes(64 << 20)
    out, _ = child.communicate(endless, timeout=60)
    np.testing.assert_allclose(np.load(io.BytesIO(out)).sum(0), 1)
    assert child.returncode == 0


@pytest.mark.parametrize("chain", ["relu", "softmax", "softmax(axis=0)"])
def test_one_byte_at_a_time(chain: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("f4")
    child = start("chain", chain, "--chunk-size", "64")
    assert child.stdin is not None
    for byte in npy(x):
        os.write(child.stdin.fileno(), bytes([byte]))
    out, err = child.communicate()
    assert (child.returncode, err) == (0, b"")
    e = {"relu": np.maximum(x, 0)}.get(chain)
    if e is None:
        axis = 0 if "0" in chain else -1
        e = np.exp(x.astype("f8"))
        e = e / e.sum(axis, keepdims=True)
    np.testing.assert_allclose(np.load(io.BytesIO(out)), e, rtol=1e-6)


@pytest.mark.parametrize("more", [(), ("--jobs", "2"), ("--jobs", "1")])
def test_truncated_while_it_is_read(more: tuple[str, ...], tmp_path: Path) -> None:
    source, target = tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(source, np.zeros((64, 1 << 17), "f4"))
    target.write_bytes(b"old")
    # Truncated under a process that holds it open and has read its header, but not its end
    child = start("chain", "tanh," * 30 + "relu", source, target, "--overwrite", *more)
    assert wait_until(lambda: bool(list(tmp_path.glob(".kact-*"))))
    os.truncate(source, 4096)
    _, err = child.communicate()
    assert child.returncode == 1
    assert b"in.npy became shorter" in err
    assert err.count(b"\n") == 1
    assert target.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npy", "out.npy"]


@pytest.mark.parametrize("chain", ["relu", "softmax(axis=0)"])
def test_pipe_that_ends_too_early(chain: str, refused: Kact, tmp_path: Path) -> None:
    content = npy(np.zeros((1000, 1000), "f4"))
    for cut in (len(content) - 1, 2_000_000, 130):
        target = tmp_path / "out.npy"
        done = refused("chain", chain, "-", target, "--chunk-size", "64KiB", stdin=content[:cut])
        assert b"truncated" in done.stderr
        assert list(tmp_path.iterdir()) == []


def only_data_errors(read: Callable[[int], bytes]) -> Header | None:
    try:
        return read_header(read)
    except DataError as e:
        message = str(e)
    assert "\n" not in message
    assert len(message) < 500
    return None


GOOD = [raw(says("(3, 4)")), raw(says("(3L,)"), b"\x02\x00"), npy(np.ones((2, 3, 4), ">i8"))]


@settings(max_examples=1000)
@given(st.data())
def test_mutated_headers_raise_nothing_but_data_errors(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(GOOD)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "insert", "delete"]))
        some = data.draw(st.binary(min_size=1, max_size=4))
        if kind == "set":
            content[at] = some[0]
        elif kind == "insert":
            content[at:at] = some
        elif kind == "cut" and at:
            del content[at:]
        elif len(content) > 1:
            del content[at]
    only_data_errors(io.BytesIO(bytes(content)).read)


LITERALS = st.recursive(
    st.sampled_from(
        [
            "1",
            "-1",
            "True",
            "None",
            "'<f4'",
            "1e999",
            "0xffffffffffffffffffff",
            "''",
            "b'x'",
            "1j",
            "...",
            "__import__",
            "3L",
            "01",
            "1_0",
            "f'{1}'",
            "'\\q'",
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda v: f"({', '.join(v)},)" if v else "()"),
        st.lists(inner, max_size=4).map(lambda v: f"[{', '.join(v)}]"),
        st.lists(inner, max_size=3).map(lambda v: f"{{{', '.join(v)}}}"),
        st.tuples(inner, st.sampled_from("+-*"), inner).map("".join),
        st.tuples(inner, inner).map(lambda p: f"{{{p[0]}: {p[1]}}}"),
    ),
    max_leaves=12,
)


@settings(max_examples=1000)
@given(descr=LITERALS, order=LITERALS, shape=LITERALS)
def test_any_literals_in_a_header_raise_nothing_but_data_errors(
    descr: str, order: str, shape: str
) -> None:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"
    only_data_errors(io.BytesIO(raw(text)).read)
    only_data_errors(io.BytesIO(raw(says(shape))).read)
    only_data_errors(io.BytesIO(raw(says("(3,)", descr))).read)


@given(st.binary(max_size=80))
def test_any_bytes_raise_nothing_but_data_errors(content: bytes) -> None:
    for start_ in (b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b"\x93NUMPY\x03\x00"):
        only_data_errors(io.BytesIO(start_ + content).read)


def test_no_more_than_the_limit_is_read() -> None:
    asked: list[int] = []

    def read(count: int) -> bytes:
        asked.append(count)
        return b"\x93NUMPY\x02\x00"[:count] if len(asked) == 1 else b"\xff" * count

    assert only_data_errors(read) is None
    assert sum(asked) <= HEADER_LIMIT + 12

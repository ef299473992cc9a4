"""The .npy format: every header that NumPy writes is read, everything else is one clear error."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from kact_cli.formats.npy import Header, read_header, write_header
from tests.tools.run import Kact, start, wait_until
from tests.tools.tensors import npy, raw, says

DTYPES = ["b1", *(f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)), "f2", "f4", "f8"]
SHAPES = [(), (0,), (0, 5), (5, 0, 3), (7,), (3, 4), (1, 1), (2, 3, 4), (1, 2, 1, 3, 1, 2, 1, 2)]


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
    # Whichever is noticed first
    assert b"in.npy became shorter" in err or b"in.npy: changed while" in err
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

"""Tasks that run side by side fill a file as if they had run one after another."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kact_cli.errors import DataError
from kact_cli.files import descriptors
from kact_cli.files.descriptors import copy_range, write_full
from kact_cli.formats.parquet import output as parquet_layout
from kact_cli.formats.parquet.output import OutputOrder, Region, Stopped


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield file
    os.close(file)


@pytest.mark.parametrize("waiting", [10, 1000, 1 << 20])
def test_regions_follow_each_other_in_the_order_of_their_tasks(
    file: int, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    monkeypatch.setattr(parquet_layout, "WAITING_BYTES", waiting)
    monkeypatch.setattr(parquet_layout, "FLUSH_BYTES", 100)
    pick = random.Random(0)
    parts = [[pick.randbytes(pick.randrange(200)) for _ in range(30)] for _ in range(40)]
    layout = OutputOrder(file, 4)

    def run(task: int) -> int:
        region = Region(layout, task)
        for part in parts[task]:
            region.write([part, b""])
        return region.close()

    with ThreadPoolExecutor(4) as pool:
        starts = list(pool.map(run, range(len(parts))))
    whole = b"".join(map(b"".join, parts))
    assert os.pread(file, 1 << 20, 4) == whole
    assert layout.end == 4 + len(whole)
    assert starts == sorted(starts)


def test_a_failure_stops_those_who_wait(file: int) -> None:
    layout = OutputOrder(file, 0)

    def fail() -> None:
        with layout.stopped_by_failure():
            raise KeyError("first")

    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(layout.place, 1, 10)
        with pytest.raises(KeyError):
            fail()
        with pytest.raises(Stopped):
            waiting.result()
    with pytest.raises(Stopped):
        Region(layout, 0).write([b"though it is its turn"])
    assert isinstance(layout.failure, KeyError)


@pytest.mark.parametrize("data", [b"", b"abc", np.arange(6.0), np.zeros((2, 0)), np.eye(2)])
def test_arrays_and_bytes_are_written_whole(
    file: int, monkeypatch: pytest.MonkeyPatch, data: bytes | np.ndarray
) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda f, view, at: pwrite(f, view[:2], at))
    write_full(file, data, 3)
    assert os.pread(file, 100, 3) == bytes(memoryview(data).tobytes())


@pytest.mark.parametrize("in_kernel", [True, False])
def test_ranges_are_copied_whole(
    file: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool
) -> None:
    if not in_kernel:
        monkeypatch.delattr(os, "copy_file_range", raising=False)
    monkeypatch.setattr(descriptors, "PIPE_BYTES", 100)
    data = random.Random(0).randbytes(1000)
    (tmp_path / "source").write_bytes(data)
    source = os.open(tmp_path / "source", os.O_RDONLY)
    copy_range(source, 5, 990, file, 7)
    assert os.pread(file, 2000, 7) == data[5:995]
    with pytest.raises(DataError, match="shorter"):
        copy_range(source, 5, 1000, file, 0)
    os.close(source)


def test_ranges_are_copied_where_the_kernel_cannot(
    file: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> int:
        raise OSError("across file systems")

    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    (tmp_path / "source").write_bytes(b"0123456789")
    source = os.open(tmp_path / "source", os.O_RDONLY)
    copy_range(source, 2, 5, file, 0)
    assert os.pread(file, 10, 0) == b"23456"
    os.close(source)

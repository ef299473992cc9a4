"""Memory and work are bounded by pages, not by row groups, nor by what a file claims."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.errors import DataError
from kact_cli.formats.parquet import encode as parquet_encode
from kact_cli.formats.parquet.levels import Values
from kact_cli.formats.parquet.metadata import chunk as parquet_chunk
from kact_cli.formats.parquet.metadata.schema import REQUIRED, Leaf
from kact_cli.formats.parquet.metadata.thrift import I32, write_struct
from kact_cli.formats.parquet.metadata.thrift_reader import read_struct
from kact_cli.formats.parquet.pages import PageEncoder, PageFormat
from tests.tools.parquet import chunk_span, column_chunks
from tests.tools.tables import convert, every_kind

MIB = 1 << 20


def dictionary(path: Path) -> None:
    """3 MB of different numbers, of which each is the one before and a little more."""
    table = pa.table({"x": np.arange(400_000) / 2})
    pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=64 * MIB)


def lists(path: Path) -> None:
    """A row of a million equal numbers."""
    values = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**6, np.int8)), [0.5])
    column = pa.ListArray.from_arrays(pa.array([0, 10**6], pa.int32()), values)
    pq.write_table(pa.table({"x": column}), path, compression="zstd", store_schema=False)


BOMBS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a dictionary": (dictionary, "a page of column x in row group 0 takes"),
    "a list": (lists, "the lists of column x.list.element in row group 0 takes"),
}


@pytest.mark.parametrize("to", ["parquet", "arrow"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_what_is_larger_in_memory_than_it_may_be_is_refused(
    bomb: str, to: str, tmp_path: Path
) -> None:
    make, message = BOMBS[bomb]
    source, target = tmp_path / "in.parquet", tmp_path / f"out.{to}"
    make(source)
    with pytest.raises(DataError, match=f"{message}.* more than 2 MiB; --max-unit allows more"):
        convert("relu", source, target, max_unit=2 * MIB)
    assert not target.exists()
    convert("relu", source, target, max_unit=64 * MIB)
    assert target.exists()


@pytest.mark.parametrize("to", ["parquet", "arrow"])
def test_a_page_that_goes_on_beyond_its_chunk_is_not_made_room_for(to: str, tmp_path: Path) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(pa.table({"x": np.arange(100.0)}), source, use_dictionary=False)
    data, (start, _) = source.read_bytes(), chunk_span(column_chunks(source)[0][0][0])
    header, end = read_struct(data, start)
    header[3] = I32, 2**31 - 1  # compressed_page_size
    source.write_bytes(data[:start] + write_struct(header) + data[end:])
    with pytest.raises(DataError, match="a page of column x in row group 0 ends beyond its column"):
        convert("relu", source, tmp_path / f"out.{to}")


def test_headers_of_any_length_are_passed_over(tmp_path: Path) -> None:
    names = [f"{'long' * 500}{n}" for n in range(100)]
    pq.write_table(
        pa.table({"x": np.arange(100.0), "name": names}), tmp_path / "in.parquet",
        compression="zstd", use_dictionary=False, data_page_size=4096, write_batch_size=2,
    )  # fmt: skip
    convert("relu", tmp_path / "in.parquet", tmp_path / "out.arrow", max_unit=MIB)


def test_pages_that_wait_in_a_file_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.parquet"
    columns = {f"x{n}": np.random.default_rng(n).normal(size=50_000) for n in range(4)}
    pq.write_table(pa.table(columns), source, row_group_size=30_000, write_page_index=True)

    files: list[int] = []

    def temporary_file() -> Any:
        files.append(1)
        return made_before()

    made_before = parquet_encode.temporary_file
    for name in ("LEAST_PAGE", "PAGE_BYTES"):
        monkeypatch.setattr(parquet_encode, name, 16 << 10)
    monkeypatch.setattr(parquet_encode, "temporary_file", temporary_file)
    expected = convert("softmax", source, tmp_path / "memory.parquet")
    assert files == []
    monkeypatch.setattr(parquet_encode, "WAITING_BYTES", 100_000)
    target = convert("softmax", source, tmp_path / "file.parquet")
    assert files == [1, 1]
    assert target.read_bytes() == expected.read_bytes()
    assert pq.read_table(target).num_rows == 50_000


def test_a_full_disk_for_pages_that_wait_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(parquet_encode, "WAITING_BYTES", 1000)
    monkeypatch.setattr(parquet_encode, "write_full", full)
    columns = {name: np.zeros(5000) for name in "ab"}
    pq.write_table(pa.table(columns), tmp_path / "in.parquet")
    with pytest.raises(DataError, match=r"^temporary file .*: no space left on device$"):
        convert("softmax", tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


@pytest.mark.parametrize("codec", [1, 2, 6])
def test_a_compressed_page_holds_no_more_than_its_bytes(codec: int) -> None:
    said = {"split": False, "version_2": False, "page_index": False, "ordered": True}
    pages = PageEncoder(PageFormat(Leaf((b"x",), 5, 0, (REQUIRED,)), "<f8", codec, **said))
    zeros = np.zeros(32_768)
    page = pages.page(Values(len(zeros), len(zeros), None, None, zeros))
    assert sum(map(sys.getsizeof, page)) < zeros.nbytes / 10


@pytest.mark.parametrize("options", [{}, {"suffix": "_p"}, {"dtype": np.dtype("f8")}], ids=str)
def test_each_chunk_is_read_once(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.parquet"
    pq.write_table(every_kind(), source, row_group_size=15, write_page_index=True)
    read, calls = parquet_chunk.read_numbers, []

    def counted(*args: Any) -> int:
        calls.append(args[1])
        return read(*args)

    monkeypatch.setattr(parquet_chunk, "read_numbers", counted)
    convert("relu", source, tmp_path / "out.parquet", columns=("f32",), **options)
    metadata = pq.read_metadata(source)
    assert len(calls) == len(set(calls)) == metadata.num_columns * metadata.num_row_groups

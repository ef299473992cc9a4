"""Which files are rewritten by column chunk, which take the general way, and which are broken."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parquet_tools import FILES, negate, rewritten, table

from kact_cli.errors import DataError
from kact_cli.formats.parquet_footer import (
    Chunk,
    File,
    Group,
    Meta,
    NotByChunkError,
    chunk_meta,
    chunk_span,
)  # fmt: skip
from kact_cli.formats.parquet_plan import plan_rewrite
from kact_cli.formats.thrift import (
    BINARY,
    I32,
    I64,
    STRUCT,
    Struct,
    read_struct,
    write_struct,
)  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """60 rows in 3 row groups, with checksums."""
    path = tmp_path / "source.parquet"
    columns = ["id", "f32", "name", "list", "struct"]
    pq.write_table(
        table().select(columns), path, row_group_size=25, write_page_checksum=True,
        compression="none", use_dictionary=["name"],
    )  # fmt: skip
    return path


Edit = Callable[[Struct, list[Struct]], None]


def edit(path: Path, change: Edit) -> Path:
    """Change the footer: `change(footer, all column chunks)`."""
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer, _ = read_struct(data[-8 - length : -8])
    groups = footer.structs(File.GROUPS)
    change(footer, [chunk for group in groups for chunk in group.structs(Group.COLUMNS)])
    new = write_struct(footer)
    path.write_bytes(data[: -8 - length] + new + len(new).to_bytes(4, "little") + b"PAR1")
    return path


def refuse(path: Path, message: str, columns: Sequence[str] = ("f32", "list")) -> None:
    with pytest.raises(DataError, match=message) as caught:
        rewritten(path, path.with_name("out"), columns)
    assert "\n" not in str(caught.value)


def test_a_file_without_its_last_byte(source: Path) -> None:
    source.write_bytes(source.read_bytes()[:-1])
    refuse(source, "does not end in PAR1")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1PAR1", b"PAR1\x00\x00\x00\x00PAR1"])
def test_files_too_short_for_a_footer(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    refuse(path, "Parquet|malformed")


@pytest.mark.parametrize("length", [0, 5, 10**6, 2**32 - 1])
def test_a_footer_of_another_length(source: Path, length: int) -> None:
    data = source.read_bytes()
    source.write_bytes(data[:-8] + length.to_bytes(4, "little") + b"PAR1")
    refuse(source, "broken|malformed")


def test_a_file_that_does_not_start_as_one(source: Path) -> None:
    source.write_bytes(b"PARX" + source.read_bytes()[4:])
    refuse(source, "broken Parquet file")


def test_a_flipped_bit_under_a_checksum(source: Path) -> None:
    for leaf in (1, 3):
        data = bytearray(source.read_bytes())
        group = pq.read_metadata(source).row_group(2)
        column = group.column(leaf)
        data[column.data_page_offset + column.total_compressed_size - 1] ^= 1
        path = source.with_name("flipped.parquet")
        path.write_bytes(data)
        refuse(path, "CRC")


def rows(number: int) -> Edit:
    def change(footer: Struct, chunks: list[Struct]) -> None:
        footer[File.ROWS] = I64, number

    return change


def group_rows(number: int, agree: int) -> Edit:
    """Another row count of a row group and the file; agree: and of the values of each column."""

    def change(footer: Struct, chunks: list[Struct]) -> None:
        group = footer.structs(File.GROUPS)[-1]
        more = number - (group.integer(Group.ROWS) or 0)
        group[Group.ROWS] = I64, number
        footer[File.ROWS] = I64, (footer.integer(File.ROWS) or 0) + more
        for chunk in group.structs(Group.COLUMNS):
            meta = chunk_meta(chunk)
            meta[Meta.VALUES] = I64, (meta.integer(Meta.VALUES) or 0) + more * agree

    return change


def moved(field: int, to: int) -> Edit:
    def change(footer: Struct, chunks: list[Struct]) -> None:
        chunk_meta(chunks[1])[field] = I64, to

    return change


def without(field: int) -> Edit:
    def change(footer: Struct, chunks: list[Struct]) -> None:
        del chunk_meta(chunks[1])[field]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rows(59), "59 rows in all, but 60 in the row groups"),
        (rows(-1), "-1 rows in all"),
        (group_rows(11, 1), "broken Parquet file"),
        (group_rows(11, 0), "11 rows has 10 values of column id"),
        (group_rows(9, 0), "9 rows has 10 values of column id"),
        (group_rows(-1, 1), "row count"),
        (moved(Meta.DATA_PAGE, 10**9), "not inside the file"),
        (moved(Meta.DATA_PAGE, -5), "not inside the file"),
        (moved(Meta.DATA_PAGE, 2**63 - 1), "not inside the file"),
        (moved(Meta.COMPRESSED, 10**9), "not inside the file"),
        (moved(Meta.COMPRESSED, -1), "not inside the file"),
        (moved(Meta.VALUES, 24), "25 rows has 24 values of column f32"),
        (moved(Meta.DATA_PAGE, 5), "broken"),
        (moved(Meta.COMPRESSED, 20), "broken"),
        (without(Meta.DATA_PAGE), "without an offset"),
        (without(Meta.COMPRESSED), "without an offset"),
        (without(Meta.VALUES), "None values"),
        (lambda footer, chunks: footer.pop(File.SCHEMA) and None, "no schema"),
        (lambda footer, chunks: footer.structs(File.SCHEMA).pop() and None, "not a tree|lacks"),
        (lambda footer, chunks: footer.structs(File.SCHEMA)[0].put(5, I32, 2**31 - 1), "a tree"),
        (lambda footer, chunks: footer.structs(File.SCHEMA)[0].put(5, I32, 1), "not a tree"),
        (lambda footer, chunks: footer.structs(File.GROUPS)[0].structs(1).pop() and None, "lacks"),
        (lambda footer, chunks: footer.put(File.ROWS, BINARY, b"60"), "field 3 is of another type"),
    ],
)  # fmt: skip
def test_footers_that_contradict_the_file(source: Path, change: Edit, message: str) -> None:
    refuse(edit(source, change), message)


def test_a_file_truncated_while_it_is_read(source: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    big = pa.table({"id": rng.integers(0, 2**60, 400_000), "x": rng.standard_normal(400_000)})
    pq.write_table(big, source, row_group_size=100_000)
    lock = threading.Lock()

    def compute(batch: pa.RecordBatch) -> list[pa.Array]:
        with lock:
            os.truncate(source, 1_200_000)
        return batch.columns

    with pytest.raises(DataError, match="broken Parquet file"):
        rewritten(source, tmp_path / "out", ["x"], compute=compute)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_failure_is_what_is_raised(source: Path, tmp_path: Path, workers: int) -> None:
    pq.write_table(table(400), source, row_group_size=10)
    calls = []

    def compute(batch: pa.RecordBatch) -> list[pa.Array]:
        calls.append(batch)
        if len(calls) == 7:
            raise KeyError("seven")
        return negate(batch)

    with pytest.raises(KeyError, match="seven"):
        rewritten(source, tmp_path / "out", ["f32"], compute=compute, workers=workers)
    assert len(calls) <= 7 + 3 * workers


def test_columns_of_another_type_or_length_are_a_bug(source: Path, tmp_path: Path) -> None:
    for wrong in (lambda b: [b.column(0).cast("float64")], lambda b: [b.column(0).slice(1)]):
        with pytest.raises(ValueError, match="other types or lengths"):
            rewritten(source, tmp_path / "out", ["f32"], compute=wrong)


def general(path: Path, message: str, columns: Sequence[str], across: bool = False) -> None:
    with pytest.raises(NotByChunkError, match=message):
        plan_rewrite(str(path), columns, across=across)


def test_encrypted_files_take_the_general_way(source: Path) -> None:
    data = source.read_bytes()
    source.write_bytes(data[:-4] + b"PARE")
    general(source, "encrypted", ["f32"])
    source.write_bytes(data)
    for change in (
        lambda footer, chunks: footer.put(File.ENCRYPTION, STRUCT, Struct()),
        lambda footer, chunks: footer.put(File.SIGNING_KEY, BINARY, b"key"),
        lambda footer, chunks: chunks[0].put(Chunk.CRYPTO, STRUCT, Struct()),
        lambda footer, chunks: chunks[0].put(Chunk.ENCRYPTED, BINARY, b"x"),
    ):
        source.write_bytes(data)
        general(edit(source, change), "encrypted", ["f32"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, chunks: chunks[0].put(Chunk.PATH, BINARY, b"other"), "in other files"),
        (lambda footer, _: footer.put(6, BINARY, b"parquet-cpp version 1.2.8"), "wrong lengths"),
        (lambda _, chunks: chunk_meta(chunks[1]).put(Meta.CODEC, I32, 3), "codec 3"),
    ],
)
def test_oddities_take_the_general_way(source: Path, change: Edit, message: str) -> None:
    general(edit(source, change), message, ["f32"])


def test_overlapping_chunks_take_the_general_way(source: Path) -> None:
    def overlap(_: Struct, chunks: list[Struct]) -> None:
        start, size = chunk_span(max(chunks, key=lambda chunk: chunk_span(chunk)[1]))
        for chunk in chunks:
            meta = chunk_meta(chunk)
            meta.pop(Meta.DICTIONARY, None)
            meta[Meta.DATA_PAGE], meta[Meta.COMPRESSED] = (I64, start), (I64, size)

    general(edit(source, overlap), "overlap", ["f32"])


@pytest.mark.parametrize("name", ["name", "struct", "map", "decimal", "flag", "time", "dictionary"])
def test_columns_that_are_not_numbers_take_the_general_way(tmp_path: Path, name: str) -> None:
    pq.write_table(table(), tmp_path / "x")
    general(tmp_path / "x", f"column {name} is", ["f32", name])


def test_names_that_are_not_unique_take_the_general_way(tmp_path: Path) -> None:
    x = pa.array([1.0])
    for names in (["x", "x"], ["x", "x.y"]):
        pq.write_table(pa.table([x, x], names), tmp_path / "x")
        general(tmp_path / "x", "not the only one", ["x"])
    pq.write_table(pa.table([x, x], ["x.z", "x.y"]), tmp_path / "x")
    rewritten(tmp_path / "x", tmp_path / "out", ["x.y"])
    assert pq.read_table(tmp_path / "out").to_pydict() == {"x.z": [1.0], "x.y": [-1.0]}


def test_row_groups_beyond_memory_take_the_general_way_if_columns_are_crossed(
    tmp_path: Path,
) -> None:
    pq.write_table(pa.table({"x": np.zeros(1000), "y": np.zeros(1000)}), tmp_path / "x")
    path = str(tmp_path / "x")
    plan_rewrite(path, ["x", "y"], across=True, unit_memory=16_000)
    plan_rewrite(path, ["x", "y"], across=False, unit_memory=1)
    plan_rewrite(path, ["x"], across=True, unit_memory=1)
    with pytest.raises(NotByChunkError, match="computed together"):
        plan_rewrite(path, ["x", "y"], across=True, unit_memory=15_999)


@pytest.mark.parametrize(
    ("data", "dictionary", "start"),
    [(100, None, 100), (100, 0, 100), (100, 60, 60), (100, 160, 100), (0, 4, 4), (100, -3, 100)],
)
def test_a_chunk_starts_at_its_dictionary_where_that_makes_sense(
    data: int, dictionary: int | None, start: int
) -> None:
    meta = Struct({Meta.COMPRESSED: (I64, 9), Meta.DATA_PAGE: (I64, data)})
    if dictionary is not None:
        meta[Meta.DICTIONARY] = I64, dictionary
    assert chunk_span(Struct({Chunk.META: (STRUCT, meta)})) == (start, 9)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_file_with_changed_bytes_is_refused_or_keeps_its_rows(
    tmp_path: Path, data: st.DataObject
) -> None:
    """Without checksums a change of values goes unseen, but never one of rows, nor a crash."""
    content = bytearray(data.draw(st.sampled_from(FILES)).read_bytes())
    length = int.from_bytes(content[-8:-4], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(len(content) - 8 - length, len(content) - 1))] = data.draw(
            st.integers(0, 255)
        )
    path = tmp_path / "x"
    path.write_bytes(content)
    try:
        plan = plan_rewrite(str(path), ["x", "y"], across=False)
        rewritten(path, tmp_path / "out", ["x", "y"])
    except (DataError, NotByChunkError):
        return
    assert pq.read_metadata(tmp_path / "out").num_rows == plan.footer.rows

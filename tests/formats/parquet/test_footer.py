"""Footers that contradict themselves or the file are a DataError, never a shorter output."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.errors import DataError
from kact_cli.formats.parquet.metadata.chunk import Chunk, Meta, chunk_meta
from kact_cli.formats.parquet.metadata.footer import File, Group
from kact_cli.formats.parquet.metadata.thrift import BINARY, I32, I64, LIST, STRUCT, Items, Struct
from kact_cli.formats.parquet.plan import NotByChunkError
from tests.tools.parquet import (
    FILES,
    Edit,
    check,
    chunk_span,
    column_chunks,
    edit_footer,
    planned,
    refuse,
    rewritten,
    small_file,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return small_file(tmp_path / "source.parquet")


def test_a_file_without_its_last_byte(source: Path) -> None:
    source.write_bytes(source.read_bytes()[:-1])
    refuse(source, "does not end in PAR1")


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1PAR1", b"PAR1\x00\x00\x00\x00PAR1"])
def test_files_too_short_for_a_footer(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    refuse(path, "Parquet")


@pytest.mark.parametrize("length", [0, 5, 10**6, 2**32 - 1])
def test_a_footer_of_another_length(source: Path, length: int) -> None:
    data = source.read_bytes()
    source.write_bytes(data[:-8] + length.to_bytes(4, "little") + b"PAR1")
    refuse(source, "broken")


def test_a_file_that_does_not_start_as_one(source: Path) -> None:
    source.write_bytes(b"PARX" + source.read_bytes()[4:])
    refuse(source, "broken Parquet")


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
        (group_rows(11, 1), "broken Parquet"),
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
    refuse(edit_footer(source, change), message)


def test_a_field_of_another_type_is_another_field(source: Path) -> None:
    """One branch of parquet-mr had lists of pages where the length of Bloom filters is now."""
    pages = LIST, Items(STRUCT, [Struct({2: (I64, 22)})])

    def change(footer: Struct, chunks: list[Struct]) -> None:
        for chunk in chunks:
            chunk_meta(chunk)[Meta.BLOOM_LENGTH] = pages

    target = rewritten(edit_footer(source, change), source.with_name("out"), ["f32", "list"])
    check(source, target, ["f32", "list"])
    assert chunk_meta(column_chunks(target)[0][0][0])[Meta.BLOOM_LENGTH] == pages


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
        plan = planned(path, ["x", "y"])
        rewritten(path, tmp_path / "out", ["x", "y"])
    except (DataError, NotByChunkError):
        return
    assert pq.read_metadata(tmp_path / "out").num_rows == plan.source.footer.rows

"""Which files are rewritten by column chunk, and which take the general way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.formats.parquet.metadata.chunk import Chunk, Meta, chunk_meta
from kact_cli.formats.parquet.metadata.footer import File
from kact_cli.formats.parquet.metadata.thrift import BINARY, I32, I64, STRUCT, Struct
from kact_cli.formats.parquet.plan import NotByChunkError, plan_rewrite
from kact_cli.formats.parquet.read import Description
from kact_cli.options import Options
from tests.tools.parquet import (
    Edit,
    chunk_span,
    edit_footer,
    planned,
    refuse,
    rewrite_to,
    small_file,
)
from tests.tools.tables import every_kind


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return small_file(tmp_path / "source.parquet")


def general(path: Path, message: str, columns: Sequence[str], across: bool = False) -> None:
    with pytest.raises(NotByChunkError, match=message):
        planned(path, columns, across=across)


def test_encrypted_files_are_refused(source: Path) -> None:
    data = source.read_bytes()
    source.write_bytes(data[:-4] + b"PARE")
    refuse(source, "encrypted, and kact has no keys")
    source.write_bytes(data)
    for change in (
        lambda footer, chunks: footer.put(File.ENCRYPTION, STRUCT, Struct()),
        lambda footer, chunks: footer.put(File.SIGNING_KEY, BINARY, b"key"),
        lambda footer, chunks: chunks[0].put(Chunk.CRYPTO, STRUCT, Struct()),
        lambda footer, chunks: chunks[0].put(Chunk.ENCRYPTED, BINARY, b"x"),
    ):
        source.write_bytes(data)
        refuse(edit_footer(source, change), "encrypted, and kact has no keys")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, chunks: chunks[0].put(Chunk.PATH, BINARY, b"other"), "in other files"),
        (lambda footer, _: footer.put(6, BINARY, b"parquet-mr version 1.2.8"), "wrong lengths"),
        (lambda footer, _: footer.put(6, BINARY, b"parquet-mr"), "wrong lengths"),
    ],
)
def test_oddities_take_the_general_way(source: Path, change: Edit, message: str) -> None:
    general(edit_footer(source, change), message, ["f32"])


def test_a_codec_that_arrow_lacks_is_refused(source: Path) -> None:
    def change(_: Struct, chunks: list[Struct]) -> None:
        chunk_meta(chunks[1]).put(Meta.CODEC, I32, 3)

    refuse(edit_footer(source, change), "column f32: compression codec 3 is not supported")


def test_overlapping_chunks_take_the_general_way(source: Path) -> None:
    def overlap(_: Struct, chunks: list[Struct]) -> None:
        start, size = chunk_span(max(chunks, key=lambda chunk: chunk_span(chunk)[1]))
        for chunk in chunks:
            meta = chunk_meta(chunk)
            meta.pop(Meta.DICTIONARY, None)
            meta[Meta.DATA_PAGE], meta[Meta.COMPRESSED] = (I64, start), (I64, size)

    general(edit_footer(source, overlap), "overlap", ["f32"])


@pytest.mark.parametrize("name", ["name", "struct", "map", "decimal", "flag", "time", "dictionary"])
def test_columns_that_are_not_numbers_take_the_general_way(tmp_path: Path, name: str) -> None:
    pq.write_table(every_kind(), tmp_path / "x")
    general(tmp_path / "x", f"column {name} is", ["f32", name])


def test_names_that_are_not_unique_name_a_column_each(tmp_path: Path) -> None:
    x = pa.array([1.0])
    for names in (["x", "x"], ["x", "x.y"], ["x.z", "x.y"]):
        pq.write_table(pa.table([x, x], names), tmp_path / "x")
        described = Description.of(str(tmp_path / "x"), Options())
        plan = plan_rewrite(described, described.schema, {1: 1}, across=False)
        rewrite_to(tmp_path / "out", plan)
        columns = pq.ParquetFile(tmp_path / "out").read().columns
        assert [column.to_pylist() for column in columns] == [[1.0], [-1.0]]

"""Which files are rewritten by column chunk, and which take the general way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.formats.parquet.footer import (
    Chunk,
    File,
    Meta,
    NotByChunkError,
    chunk_meta,
    chunk_span,
)
from kact_cli.formats.parquet.plan import plan_rewrite
from kact_cli.formats.parquet.thrift import BINARY, I32, I64, STRUCT, Struct
from tests.tools.parquet import Edit, edit_footer, rewritten, small_file
from tests.tools.tables import every_kind


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return small_file(tmp_path / "source.parquet")


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
        general(edit_footer(source, change), "encrypted", ["f32"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, chunks: chunks[0].put(Chunk.PATH, BINARY, b"other"), "in other files"),
        (lambda footer, _: footer.put(6, BINARY, b"parquet-mr version 1.2.8"), "wrong lengths"),
        (lambda footer, _: footer.put(6, BINARY, b"parquet-mr"), "wrong lengths"),
        (lambda _, chunks: chunk_meta(chunks[1]).put(Meta.CODEC, I32, 3), "codec 3"),
    ],
)
def test_oddities_take_the_general_way(source: Path, change: Edit, message: str) -> None:
    general(edit_footer(source, change), message, ["f32"])


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

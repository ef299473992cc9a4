"""Indexes, bloom filters and sort orders follow the chunks that they are about."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.formats.parquet.metadata.chunk import Chunk, Meta, chunk_meta
from kact_cli.formats.parquet.metadata.footer import Group
from kact_cli.formats.parquet.metadata.thrift import I64, Struct
from kact_cli.formats.parquet.metadata.thrift_reader import read_struct
from tests.tools.parquet import (
    check,
    chunk_span,
    column_chunks,
    edit_footer,
    refuse,
    rewritten,
    row_groups,
)
from tests.tools.tables import NAN, every_kind

PAGE_INDEX = {"write_page_index": True, "data_page_size": 64, "write_batch_size": 5}


def test_bloom_filters_are_copied_with_what_they_are_about_and_dropped_otherwise(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source"
    options = {"ndv": 50, "fpp": 0.05}
    names = ["id", "name", "f64"]
    pq.write_table(
        every_kind().select(names), source, bloom_filter_options=dict.fromkeys(names, options)
    )
    target = rewritten(source, tmp_path / "out", ["f64"])
    check(source, target, ["f64"])

    def filters(path: Path) -> list[bytes | None]:
        data, found = path.read_bytes(), []
        for chunk, _ in column_chunks(path)[0]:
            meta = chunk_meta(chunk)
            start, size = meta.integer(Meta.BLOOM), meta.integer(Meta.BLOOM_LENGTH)
            found.append(None if start is None or size is None else data[start : start + size])
        return found

    before, after = filters(source), filters(target)
    assert None not in before
    assert after == [*before[:2], None]


def test_page_indexes_point_at_the_pages(tmp_path: Path) -> None:
    source = tmp_path / "source"
    pq.write_table(every_kind(), source, **PAGE_INDEX)
    target = rewritten(source, tmp_path / "out", ["f32", "list", "required"])
    data = target.read_bytes()
    pages = 0
    for chunk, _ in column_chunks(target)[0]:
        start, size = chunk.integer(Chunk.OFFSET_INDEX), chunk.integer(Chunk.OFFSET_INDEX_LENGTH)
        assert start is not None
        assert size is not None
        index, end = read_struct(data, start)
        assert end == start + size
        rows = []
        for location in index.structs(1):
            at, stored = location.integer(1), location.integer(2)
            assert at is not None
            header, body = read_struct(data, at)
            assert header.integer(1) in (0, 3)
            assert stored == body - at + (header.integer(3) or 0)
            rows.append(location.integer(3))
            pages += 1
        assert rows == sorted(rows)
        assert rows[0] == 0
    assert pages > pq.read_metadata(target).num_columns


def test_the_column_index_of_a_computed_column_is_that_of_its_pages(tmp_path: Path) -> None:
    source = tmp_path / "source"
    x = [None] * 5 + [1.0, NAN, -2.0, None, 0.0]
    columns = {"x": pa.array(x), "nan": pa.array([NAN] * 10)}
    pq.write_table(pa.table(columns), source, write_page_index=True)
    target = rewritten(source, tmp_path / "out", ["x", "nan"])
    chunk, nan_chunk = (chunk for chunk, _ in column_chunks(target)[0])
    index, _ = read_struct(target.read_bytes(), chunk.integer(Chunk.COLUMN_INDEX) or 0)
    pack = np.float64
    assert index[2][1].values == [pack(-1.0).tobytes()]
    assert index[3][1].values == [pack(2.0).tobytes()]
    assert index[5][1].values == [6]
    # The format has no column index for pages that are NaN throughout.
    assert Chunk.COLUMN_INDEX not in nan_chunk
    assert Chunk.OFFSET_INDEX in nan_chunk


@pytest.mark.parametrize(
    ("order", "kept"),
    [(["id", "f32"], ["id"]), (["f32", "id"], []), (["id", "name"], ["id", "name"])],
)
def test_sorting_columns_are_kept_up_to_the_first_that_changed(
    tmp_path: Path, order: list[str], kept: list[str]
) -> None:
    source = tmp_path / "source"
    names = ["id", "f32", "name"]
    sorting = [pq.SortingColumn(names.index(name)) for name in order]
    pq.write_table(every_kind().select(names), source, sorting_columns=sorting)
    target = rewritten(source, tmp_path / "out", ["f32"])
    found = pq.read_metadata(target).row_group(0).sorting_columns
    assert [names[c.column_index] for c in found] == kept


def test_sizes_and_places_of_row_groups_are_those_of_their_chunks(tmp_path: Path) -> None:
    source = tmp_path / "source"
    pq.write_table(every_kind(), source, row_group_size=25)
    target = rewritten(source, tmp_path / "out", ["f32", "list"])
    for group in row_groups(target):
        spans = [chunk_span(chunk) for chunk in group.structs(Group.COLUMNS)]
        assert group.integer(Group.OFFSET) == min(start for start, _ in spans)
        assert group.integer(Group.COMPRESSED) == sum(size for _, size in spans)


def test_file_offsets_are_inside_the_new_chunk_or_say_that_they_mean_nothing(
    tmp_path: Path,
) -> None:
    source = Path(__file__).parent.parent.parent / "data" / "parquet" / "old_offsets.parquet"
    target = rewritten(source, tmp_path / "out", ["x", "v"])
    old, new = column_chunks(source), column_chunks(target)
    seen = set()
    for (before, _), (after, _) in zip(chain(*old), chain(*new), strict=True):
        (old_start, old_size), (start, _) = chunk_span(before), chunk_span(after)
        was = before.integer(Chunk.OFFSET)
        assert was is not None
        inside = old_start <= was < old_start + old_size
        assert after.integer(Chunk.OFFSET) == (start if inside else 0)
        seen.add(inside)
    assert seen == {True, False}


@pytest.mark.parametrize("field", [Chunk.COLUMN_INDEX, Chunk.OFFSET_INDEX, Meta.BLOOM])
@pytest.mark.parametrize("place", [-1, 2**40, 2**63 - 1])
@pytest.mark.parametrize("with_length", [True, False])
def test_indexes_that_are_not_inside_the_file(
    tmp_path: Path, field: int, place: int, with_length: bool
) -> None:
    source = tmp_path / "source"
    pq.write_table(
        every_kind().select(["id", "f32"]),
        source,
        write_page_index=True,
        bloom_filter_options={"id": {"ndv": 50}},
    )

    def change(_: Struct, chunks: list[Struct]) -> None:
        struct = chunk_meta(chunks[0]) if field == Meta.BLOOM else chunks[0]
        struct[field] = I64, place
        if not with_length:
            del struct[field + 1]

    refuse(edit_footer(source, change), "broken Parquet", ["f32"])


def test_a_bloom_filter_without_a_length_is_measured(tmp_path: Path) -> None:
    source = tmp_path / "source"
    pq.write_table(
        every_kind().select(["id", "f32"]), source, bloom_filter_options={"id": {"ndv": 50}}
    )
    with_length = rewritten(source, tmp_path / "a", ["f32"]).stat().st_size

    def change(_: Struct, chunks: list[Struct]) -> None:
        del chunk_meta(chunks[0])[Meta.BLOOM_LENGTH]

    target = rewritten(edit_footer(source, change), tmp_path / "b", ["f32"])
    assert 0 < with_length - target.stat().st_size < 10
    assert pq.read_table(target)["id"].to_pylist() == list(range(60))

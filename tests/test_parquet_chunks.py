"""Files come back with the computed columns computed and everything else as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parquet_tools import FILES, NAN, negative, rewritten, storage, table

from kact_cli.formats.parquet_footer import Chunk, Group, Meta, chunk_meta, chunk_span, read_footer
from kact_cli.formats.thrift import Struct, read_struct

COMPUTED = [
    "f32", "f64", "f16", "required", "empty", "list", "large", "half_list", "fixed", "nested",
    "tensor", "i8", "u64",
]  # fmt: skip

WRITERS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "version_1": {"version": "1.0"},
    "version_2_4": {"version": "2.4"},
    "pages_v2": {"data_page_version": "2.0"},
    "pages_v2_plain": {"data_page_version": "2.0", "compression": "none"},
    "none": {"compression": "none"},
    "gzip": {"compression": "gzip"},
    "brotli": {"compression": "brotli"},
    "lz4": {"compression": "lz4"},
    "zstd": {"compression": "zstd", "compression_level": 7},
    "mixed_codecs": {"compression": {"f32": "zstd", "list.list.element": "gzip", "name": "lz4"}},
    "no_dictionary": {"use_dictionary": False},
    "byte_stream_split": {
        "use_dictionary": False,
        "use_byte_stream_split": ["f32", "f64", "f16", "list.list.element"],
    },
    "delta": {
        "use_dictionary": False,
        "column_encoding": {"id": "DELTA_BINARY_PACKED", "name": "DELTA_BYTE_ARRAY"},
    },
    "page_index": {"write_page_index": True, "data_page_size": 64, "write_batch_size": 5},
    "checksums": {"write_page_checksum": True},
    "no_statistics": {"write_statistics": False},
    "item_names": {"use_compliant_nested_type": False},
    "one_row_group": {"row_group_size": 60},
    "many_row_groups": {"row_group_size": 1},
}


def column_chunks(path: Path) -> list[list[tuple[Struct, bytes]]]:
    """For each row group, each column chunk's description and bytes."""
    data = path.read_bytes()
    with path.open("rb") as file:
        groups = read_footer(file.fileno()).row_groups
    chunks = [read_struct(raw)[0].structs(Group.COLUMNS) for raw in groups]
    spans = [[(c, chunk_span(c)) for c in group] for group in chunks]
    return [[(c, data[start : start + size]) for c, (start, size) in group] for group in spans]


def check(source: Path, target: Path, computed: list[str]) -> None:
    """`target` is `source` with `computed` negated, in every respect that a reader can see."""
    before, after = pq.ParquetFile(source), pq.ParquetFile(target, page_checksum_verification=True)
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert after.schema.equals(before.schema)
    assert after.metadata.metadata == before.metadata.metadata
    assert after.metadata.created_by == before.metadata.created_by
    assert after.metadata.format_version == before.metadata.format_version
    old, new = before.read(), after.read()
    new.validate(full=True)
    for name in old.schema.names:
        if name in computed:
            expected = [negative(v) for c in old[name].chunks for v in storage(c).to_pylist()]
            if pa.types.is_unsigned_integer(old[name].type):
                expected = old[name].to_pylist()
            actual = [v for c in new[name].chunks for v in storage(c).to_pylist()]
            assert repr(actual) == repr(expected), name
        else:
            assert new[name].equals(old[name]), name
    pairs = zip(column_chunks(source), column_chunks(target), strict=True)
    for number, (old_group, new_group) in enumerate(pairs):
        info = after.metadata.row_group(number)
        assert info.num_rows == before.metadata.row_group(number).num_rows
        assert info.total_byte_size == sum(
            info.column(c).total_uncompressed_size for c in range(info.num_columns)
        )
        for leaf, ((_, old_bytes), (_, new_bytes)) in enumerate(
            zip(old_group, new_group, strict=True)
        ):
            column, was = info.column(leaf), before.metadata.row_group(number).column(leaf)
            assert column.compression == was.compression
            assert column.num_values == was.num_values
            assert column.has_offset_index == was.has_offset_index
            name = column.path_in_schema.split(".")[0]
            if name not in computed:
                assert new_bytes == old_bytes
                assert column.statistics == was.statistics
            elif column.statistics is not None:
                first = sum(group_rows(before, n) for n in range(number))
                check_statistics(column, new[name].slice(first, info.num_rows))


def group_rows(file: pq.ParquetFile, row_group: int) -> int:
    rows: int = file.metadata.row_group(row_group).num_rows
    return rows


def leaves(values: list[Any]) -> list[Any]:
    """The values in lists of lists, and None for each list that has none."""
    found: list[Any] = []
    for value in values:
        found += (leaves(value) or [None]) if isinstance(value, list) else [value]
    return found


def check_statistics(chunk: Any, column: pa.ChunkedArray) -> None:
    """The statistics of a chunk are those of its values; NaN is in no minimum or maximum."""
    values = leaves([v for c in column.chunks for v in storage(c).to_pylist()])
    ordered = [v for v in values if v is not None and v == v]
    assert chunk.statistics.null_count == values.count(None)
    assert chunk.statistics.has_min_max == bool(ordered)
    if ordered and not isinstance(chunk.statistics.min, bytes):  # as pyarrow gives float16
        assert (chunk.statistics.min, chunk.statistics.max) == (min(ordered), max(ordered))
        for end, sign in ((chunk.statistics.min, -1.0), (chunk.statistics.max, 1.0)):
            assert end != 0 or isinstance(end, int) or np.copysign(1, end) == sign


@pytest.fixture(scope="module", params=list(WRITERS))
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("written") / f"{request.param}.parquet"
    pq.write_table(table(), path, **{"row_group_size": 25, **WRITERS[request.param]})
    return path


@pytest.mark.parametrize("across", [False, True])
def test_every_way_that_pyarrow_writes_comes_back(
    written: Path, tmp_path: Path, across: bool
) -> None:
    computed = COMPUTED
    check(written, rewritten(written, tmp_path / "out", computed, across=across), computed)


@pytest.mark.parametrize("source", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("across", [False, True])
def test_files_of_other_writers_come_back(source: Path, tmp_path: Path, across: bool) -> None:
    computed = [n for n in pq.read_schema(source).names if n in ("x", "y", "v")]
    check(source, rewritten(source, tmp_path / "out", computed, across=across), computed)


def test_output_is_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    source = tmp_path / "source"
    pq.write_table(table(500), source, row_group_size=30, write_page_index=True)
    outputs = {
        rewritten(source, tmp_path / f"out{n}", COMPUTED, workers=n).read_bytes() for n in (1, 2, 5)
    }
    assert len(outputs) == 1


def test_softmax_across_columns_sees_whole_rows(tmp_path: Path) -> None:
    source = tmp_path / "source"
    rng = np.random.default_rng(0)
    x = rng.standard_normal((70_000, 3))
    names = ["a", "b", "c"]
    columns = {"id": np.arange(len(x)), **dict(zip(names, x.T, strict=True))}
    pq.write_table(pa.table(columns), source, row_group_size=66_000)

    def softmax(batch: pa.RecordBatch) -> list[pa.Array]:
        e = np.exp(np.column_stack([c.to_numpy() for c in batch.columns]))
        return [pa.array(column) for column in (e / e.sum(1, keepdims=True)).T]

    target = rewritten(source, tmp_path / "out", names, compute=softmax, across=True)
    result = pq.read_table(target)
    expected = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    actual = np.column_stack([result[name].to_numpy() for name in names])
    np.testing.assert_allclose(actual, expected, rtol=1e-14)
    assert result["id"].to_pylist() == list(range(len(x)))


def test_many_pages_and_large_chunks_come_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    rows = 300_000
    x = pa.array(np.arange(rows, dtype=np.float64), mask=np.arange(rows) % 1000 == 0)
    lists = pa.ListArray.from_arrays(np.arange(0, rows + 1, 3, dtype=np.int32), x.cast("float32"))
    columns = {"x": x.slice(0, len(lists)), "lists": lists}
    pq.write_table(pa.table(columns), source, row_group_size=rows, write_page_index=True)
    target = rewritten(source, tmp_path / "out", ["x", "lists"], compute=lambda b: b.columns)
    assert pq.read_table(target).equals(pq.read_table(source))
    with target.open("rb") as file:
        (raw,) = read_footer(file.fileno()).row_groups
    chunk = read_struct(raw)[0].structs(Group.COLUMNS)[1]
    stats = chunk_meta(chunk).structs(Meta.ENCODING_STATS)
    assert [s.integer(3) for s in stats] == [-(-rows * 4 // (256 << 10))]


@pytest.mark.parametrize("row_group_size", [1, 100])
def test_a_table_without_rows_comes_back(tmp_path: Path, row_group_size: int) -> None:
    source = tmp_path / "source"
    pq.write_table(table(0), source, row_group_size=row_group_size)
    check(source, rewritten(source, tmp_path / "out", COMPUTED), COMPUTED)


def test_a_file_without_row_groups_comes_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    pq.ParquetWriter(source, table(0).schema).close()
    assert pq.read_metadata(source).num_row_groups == 0
    check(source, rewritten(source, tmp_path / "out", COMPUTED), COMPUTED)


def test_thousands_of_columns_come_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    x = np.arange(5, dtype=np.float32)
    columns = {f"c{n}": x + n if n % 2 else np.arange(5) * n for n in range(2000)}
    pq.write_table(pa.table(columns), source, row_group_size=3)
    computed = [name for n, name in enumerate(columns) if n % 2]
    expected = pa.table({n: -c if n in set(computed) else c for n, c in columns.items()})
    for across in (False, True):
        target = rewritten(source, tmp_path / "out", computed, across=across)
        assert pq.read_table(target).equals(expected)


def test_bloom_filters_are_copied_with_what_they_are_about_and_dropped_otherwise(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source"
    options = {"ndv": 50, "fpp": 0.05}
    names = ["id", "name", "f64"]
    pq.write_table(
        table().select(names), source, bloom_filter_options=dict.fromkeys(names, options)
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
    pq.write_table(table(), source, **WRITERS["page_index"])
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
    pq.write_table(table().select(names), source, sorting_columns=sorting)
    target = rewritten(source, tmp_path / "out", ["f32"])
    found = pq.read_metadata(target).row_group(0).sorting_columns
    assert [names[c.column_index] for c in found] == kept


def test_pages_carry_checksums_that_match(tmp_path: Path) -> None:
    source = tmp_path / "source"
    pq.write_table(table(), source)
    for name in COMPUTED:
        target = rewritten(source, tmp_path / "out", [name])
        data = bytearray(target.read_bytes())
        column = pq.read_schema(source).get_field_index(name)
        leaf = next(
            n
            for n in range(pq.read_metadata(target).num_columns)
            if pq.read_metadata(target).row_group(0).column(n).path_in_schema.split(".")[0] == name
        )
        assert column >= 0
        start, size = chunk_span(column_chunks(target)[0][leaf][0])
        data[start + size - 1] ^= 0x10
        target.write_bytes(data)
        with pytest.raises(OSError, match="CRC"):
            pq.read_table(target, columns=[name], page_checksum_verification=True)

"""Files come back with the computed columns computed and everything else as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.formats.parquet import encode as parquet_units
from kact_cli.formats.parquet import rewrite as parquet_chunks
from kact_cli.formats.parquet.metadata.chunk import Meta, chunk_meta
from kact_cli.formats.parquet.metadata.footer import Group
from tests.tools.parquet import (
    FILES,
    check,
    chunk_span,
    column_chunks,
    rewritten,
    row_groups,
)
from tests.tools.tables import every_kind

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


@pytest.fixture(scope="module", params=list(WRITERS))
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("written") / f"{request.param}.parquet"
    pq.write_table(every_kind(), path, **{"row_group_size": 25, **WRITERS[request.param]})
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
    pq.write_table(every_kind(500), source, row_group_size=30, write_page_index=True)
    outputs = {
        rewritten(source, tmp_path / f"out{n}", COMPUTED, workers=n).read_bytes() for n in (1, 2, 5)
    }
    assert len(outputs) == 1


@pytest.mark.parametrize("size", [1, 100, 1 << 30])
def test_work_cut_into_any_pieces_gives_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    source = tmp_path / "source"
    pq.write_table(every_kind(), source, row_group_size=25, write_page_index=True)
    monkeypatch.setattr(parquet_chunks, "PIECE_BYTES", max(size, 20))
    monkeypatch.setattr(parquet_chunks, "UNIT_BYTES", size)
    monkeypatch.setattr(parquet_chunks, "BATCH_BYTES", size)
    monkeypatch.setattr(parquet_chunks, "PAGE_BYTES", size)
    monkeypatch.setattr(parquet_units, "PAGE_BYTES", size)
    for across in (False, True):
        check(source, rewritten(source, tmp_path / "out", COMPUTED, across=across), COMPUTED)


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
    (group,) = row_groups(target)
    chunk = group.structs(Group.COLUMNS)[1]
    stats = chunk_meta(chunk).structs(Meta.ENCODING_STATS)
    assert [s.integer(3) for s in stats] == [-(-rows * 4 // (256 << 10))]


@pytest.mark.parametrize("row_group_size", [1, 100])
def test_a_table_without_rows_comes_back(tmp_path: Path, row_group_size: int) -> None:
    source = tmp_path / "source"
    pq.write_table(every_kind(0), source, row_group_size=row_group_size)
    target = rewritten(source, tmp_path / "out", COMPUTED)
    check(source, target, COMPUTED)
    assert [[b for _, b in group] for group in column_chunks(target)] == [
        [b for _, b in group] for group in column_chunks(source)
    ]


def test_a_file_without_row_groups_comes_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    pq.ParquetWriter(source, every_kind(0).schema).close()
    assert pq.read_metadata(source).num_row_groups == 0
    check(source, rewritten(source, tmp_path / "out", COMPUTED), COMPUTED)


def test_a_thousand_columns_come_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    x = np.arange(5, dtype=np.float32)
    columns = {f"c{n}": x + n if n % 2 else np.arange(5) * n for n in range(1000)}
    pq.write_table(pa.table(columns), source, row_group_size=3)
    computed = [name for n, name in enumerate(columns) if n % 2]
    expected = pa.table({n: -c if n in set(computed) else c for n, c in columns.items()})
    for across in (False, True):
        target = rewritten(source, tmp_path / "out", computed, across=across)
        assert pq.read_table(target).equals(expected)


def test_pages_carry_checksums_that_match(tmp_path: Path) -> None:
    source = tmp_path / "source"
    pq.write_table(every_kind(), source)
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

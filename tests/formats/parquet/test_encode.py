"""Pages that are broken, or fewer than the footer says, are a DataError; failures come through."""

from __future__ import annotations

import os
import pickle
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.errors import DataError
from kact_cli.formats.parquet import rewrite as parquet_chunks
from kact_cli.formats.parquet.encode import (
    Compute,
    Emit,
    EncodedChunk,
    EncodeUnit,
    encode_unit,
)
from kact_cli.formats.parquet.read import Description, RowGroupReader
from kact_cli.options import Options
from tests.tools.parquet import negate, refuse, rewritten, small_file
from tests.tools.tables import every_kind


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return small_file(tmp_path / "source.parquet")


def test_a_flipped_bit_under_a_checksum(source: Path) -> None:
    for leaf in (1, 3):
        data = bytearray(source.read_bytes())
        group = pq.read_metadata(source).row_group(2)
        column = group.column(leaf)
        data[column.data_page_offset + column.total_compressed_size - 1] ^= 1
        path = source.with_name("flipped.parquet")
        path.write_bytes(data)
        refuse(path, "row group 2, column f32, list: .*CRC")


def test_a_file_truncated_while_it_is_read(source: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    big = pa.table({"id": rng.integers(0, 2**60, 400_000), "x": rng.standard_normal(400_000)})
    pq.write_table(big, source, row_group_size=100_000)
    lock = threading.Lock()

    def compute(batch: pa.RecordBatch) -> list[pa.Array]:
        with lock:
            os.truncate(source, 1_200_000)
        return batch.columns

    with pytest.raises(DataError, match="broken Parquet"):
        rewritten(source, tmp_path / "out", ["x"], compute=compute)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_failure_is_what_is_raised(source: Path, tmp_path: Path, workers: int) -> None:
    pq.write_table(every_kind(400), source, row_group_size=10)
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


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_columns_are_read_in_batches_of_one_row_group(source: Path, batch_rows: int) -> None:
    batches = list(
        RowGroupReader(Description.of(str(source), Options())).batches(1, [1, 3], batch_rows)
    )
    assert max(batch.num_rows for batch in batches) == min(batch_rows, 25)
    expected = every_kind().select(["f32", "list"]).slice(25, 25)
    assert repr(pa.Table.from_batches(batches).to_pydict()) == repr(expected.to_pydict())


def test_columns_that_are_read_have_as_many_rows_as_the_footer_says(
    source: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    pq.write_table(every_kind(90).select(["id", "f32", "name", "list", "struct"]), other)
    described = Description.of(str(source), Options())
    reader = RowGroupReader(replace(described, metadata=pq.read_metadata(other)))
    with pytest.raises(DataError, match="row group 0"):
        list(reader.batches(0, [1], 1000))


def test_units_are_descriptions_that_pickle(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = rewritten(source, tmp_path / "plain", ["f32", "list"]).read_bytes()

    def elsewhere(
        unit: EncodeUnit, compute: Compute, emit: Emit, source: RowGroupReader
    ) -> list[EncodedChunk]:
        chunks = encode_unit(pickle.loads(pickle.dumps(unit)), compute, emit, source)
        result: list[EncodedChunk] = pickle.loads(pickle.dumps(chunks))
        return result

    monkeypatch.setattr(parquet_chunks, "encode_unit", elsewhere)
    assert rewritten(source, tmp_path / "out", ["f32", "list"]).read_bytes() == plain

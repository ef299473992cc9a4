"""Nasty tables through the command line: done, or one line, the target untouched, nothing left."""

from __future__ import annotations

import gzip
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from kact_cli.formats.parquet.metadata.footer import File, ending
from kact_cli.formats.parquet.metadata.thrift import I64, write_struct
from kact_cli.formats.parquet.metadata.thrift_reader import read_struct
from tests.tools.run import Kact
from tests.tools.tables import encoded, read_ipc, text_of, write

F32 = pa.float32()

RECORDS = b"".join(b"%d,%d.5\n" % (n, n) for n in range(1000))


def parquet(rows: int = 50_000, **options: Any) -> bytes:
    x = np.random.default_rng(0).normal(size=rows).astype(np.float32)
    table = pa.table({"id": range(rows), "x": x, "y": -x})
    return encoded(table, ".parquet", 20_000, write_page_checksum=True, **options)


def ipc(suffix: str) -> bytes:
    return encoded(pa.table({"x": np.zeros(5000, np.float32)}), suffix, 1000)


def with_rows(data: bytes, rows: int) -> bytes:
    """The Parquet file, whose footer says that it has so many rows."""
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    footer, _ = read_struct(data, start)
    footer[File.ROWS] = I64, rows
    return data[:start] + ending(footer, [write_struct(g) for g in footer.structs(File.GROUPS)])


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


CSV = b"a,b\n" + RECORDS
LONG = b"a,b\n" + RECORDS * 200  # more than is looked at before the work begins
GZIP = gzip.compress(CSV * 9)
FILES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "an empty file": ("csv", lambda: b"", "empty"),
    "an unterminated quote": ("csv", lambda: CSV + b'1,"2\n' + RECORDS, "quote"),
    "a ragged record": ("csv", lambda: CSV + b"1,2,3\n", "record 1,001"),
    "a short record": ("csv", lambda: CSV + b"1\n" + RECORDS, "record 1,001"),
    "a word for a number": ("csv", lambda: LONG + b"1,two\n", "(line 200,002): 'two'"),
    "UTF-16": ("csv", lambda: CSV.decode().encode("utf-16"), "UTF-16"),
    "latin-1": ("csv", lambda: "né,x\né,1.5\n".encode("latin-1"), "UTF-8"),
    "latin-1 late": ("csv", lambda: CSV + b"\xe9,1.5\n", "UTF-8"),
    "decimal commas": ("csv", lambda: b"a;b\n1,5;2,5\n", "decimal"),
    "a zip archive": ("csv", lambda: b"PK\3\4" + bytes(99), "zip archive"),
    "a PNG": ("csv", lambda: b"\x89PNG\r\n\x1a\n" + bytes(99), "PNG"),
    "gzip cut off": ("csv.gz", lambda: GZIP[:-20], "gzip"),
    "gzip without its last byte": ("csv.gz", lambda: GZIP[:-1], "gzip"),
    "gzip with a flipped bit": ("csv.gz", lambda: flipped(GZIP, len(GZIP) // 2), ""),
    "zstd cut off": (
        "csv.zst", lambda: pa.Codec("zstd").compress(CSV, asbytes=True)[:-9], "cut off"
    ),
    "gzip of something else": ("csv.gz", lambda: gzip.compress(bytes(range(256)) * 9), ""),
    "Parquet without its last byte": ("parquet", lambda: parquet()[:-1], "Parquet"),
    "Parquet of one byte less inside": (
        "parquet", lambda: parquet()[:90] + parquet()[91:], "Parquet"
    ),
    "Parquet that is its magic": ("parquet", lambda: b"PAR1", "Parquet"),
    "Parquet with a flipped bit": (
        "parquet", lambda: flipped(parquet(use_dictionary=False), 300_000), "CRC"
    ),
    "Parquet with too many rows": ("parquet", lambda: with_rows(parquet(), 50_001), "rows"),
    "Parquet with too few rows": ("parquet", lambda: with_rows(parquet(), 49_999), "rows"),
    "an Arrow file cut off": ("arrow", lambda: ipc(".arrow")[:-100], "Arrow"),
    "an Arrow file that is its magic": ("arrow", lambda: b"ARROW1\0\0", ""),
    "an Arrow stream cut off": ("arrows", lambda: ipc(".arrows")[:-900], "Expected"),
    "an Arrow stream of garbage": ("arrows", lambda: b"\xff" * 4 + b"\x7f" * 999, ""),
    "an Arrow stream of its magic": ("arrows", lambda: b"\xff" * 4, ""),
}  # fmt: skip


@pytest.mark.parametrize("to", ["same", "other"])
@pytest.mark.parametrize("name", FILES)
def test_broken_tables(name: str, to: str, refused: Kact, tmp_path: Path) -> None:
    suffix, made, message = FILES[name]
    source = tmp_path / f"in.{suffix}"
    source.write_bytes(made())
    target = tmp_path / f"out.{suffix if to == 'same' else 'arrow' if 'csv' in suffix else 'csv'}"
    target.write_bytes(b"before")
    chain = "softmax(axis=0)" if to == "same" else "relu"
    columns = () if name in ("an empty file", "decimal commas", "latin-1") else ("-c", "*")
    done = refused("chain", chain, *columns, "-q", "--overwrite", source, target)
    line = done.stderr.decode()
    assert f"in.{suffix}" in line
    assert message in line
    assert len(line) < 600 + len(str(source))
    assert target.read_bytes() == b"before"
    assert {p.name for p in tmp_path.iterdir()} == {source.name, target.name}


def test_a_ragged_record_far_down_is_named(refused: Kact) -> None:
    text = b"x,y\n" + b"1.5,2\n" * 999_999 + b"1.5\n" + b"1.5,2\n" * 10
    for to in ("csv", "arrows"):
        done = refused("apply", "relu", "--to", to, "-c", "*", stdin=text)
        assert b"standard input: record 1,000,000" in done.stderr


def test_a_field_of_5_mb_and_every_line_ending(kact: Kact) -> None:
    long = b'"' + b"a line\r\nand, another\n" * 250_000 + b'"'
    text = b"x,t\r\n1.0,a\r\n-1.5," + long + b"\r\n2.5,b\r\n"
    assert kact("apply", "relu", stdin=text).stdout == text.replace(b"-1.5", b"0.0")


def test_integers_for_2000_rows_and_then_a_fraction(kact: Kact) -> None:
    text = b"n,later\n" + b"1,\n" * 400_000 + b"2.5,7.5\n"
    done = kact("apply", "relu", "-c", "n,later", stdin=text).stdout.splitlines()
    assert (len(done), done[1], done[-1]) == (400_002, b"1.0,", b"2.5,7.5")


@pytest.mark.parametrize("to", ["csv", "parquet", "arrow"])
def test_one_column_keeps_the_rows_of_its_nulls(to: str, kact: Kact, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"x\n-1.5\n\n2.5\n\n")
    kact("apply", "relu", tmp_path / "in.csv", tmp_path / f"a.{to}")
    kact("apply", "relu", tmp_path / f"a.{to}", tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet").to_pydict() == {"x": [0.0, None, 2.5, None]}
    kact("apply", "relu", tmp_path / "b.parquet", tmp_path / "c.csv")
    assert text_of(tmp_path / "c.csv").count("\n") == 5


def test_spellings_of_nan_inf_and_null(kact: Kact, tmp_path: Path) -> None:
    cells = ["nan", "NaN", "NAN", "inf", "-inf", "Infinity", "", "NA", "null", "n/a", "1.5"]
    text = "x,t\n" + "".join(f"{c},{c}\n" for c in cells)
    done = kact("apply", "relu", "-c", "x", stdin=text.encode()).stdout.decode().splitlines()[1:]
    numbers = ["nan"] * 3 + ["inf", "0.0", "inf", "", "NA", "null", "n/a", "1.5"]
    assert done == [f"{n},{c}" for n, c in zip(numbers, cells, strict=True)]
    kact("apply", "relu", "-c", "x", "-", tmp_path / "o.arrow", stdin=text.encode())
    table = read_ipc(tmp_path / "o.arrow")
    assert table["x"].null_count == 4
    assert table["t"].to_pylist() == [c or None for c in cells]


def test_the_pickle_in_an_extension_type_is_not_opened(kact: Kact, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    metadata = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Trap()),
    }
    field = pa.field("x", F32, metadata=metadata)
    table = pa.Table.from_arrays([pa.array([-1.0, 2.0], F32)], schema=pa.schema([field]))
    write(table, tmp_path / "in.arrow")
    pq.write_table(table, tmp_path / "in.parquet")
    for of in ("arrow", "parquet"):
        for to in ("arrow", "parquet", "csv", "npy"):
            kact("apply", "relu", tmp_path / f"in.{of}", tmp_path / f"{of}.{to}")
        assert read_ipc(tmp_path / f"{of}.arrow")["x"].to_pylist() == [0.0, 2.0]
        kept = pq.read_schema(tmp_path / f"{of}.parquet").field("x").metadata
        assert kept[b"ARROW:extension:metadata"] == metadata["ARROW:extension:metadata"]
    assert not (tmp_path / "executed").exists()


def encrypted(path: Path, *, plaintext_footer: bool) -> None:
    import base64

    import pyarrow.parquet.encryption as pe

    class Keys(pe.KmsClient):
        def __init__(self, _: Any) -> None:
            super().__init__()

        def wrap_key(self, key: bytes, _: str) -> bytes:
            return base64.b64encode(key)

        def unwrap_key(self, key: bytes, _: str) -> bytes:
            return base64.b64decode(key)

    how = pe.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["x"]}, plaintext_footer=plaintext_footer
    )
    factory = pe.CryptoFactory(Keys)
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), how)
    table = pa.table({"id": [1, 2], "x": [1.0, 2.0]})
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("plaintext_footer", [True, False])
@pytest.mark.parametrize("to", ["parquet", "csv"])
def test_encrypted_parquet(to: str, plaintext_footer: bool, refused: Kact, tmp_path: Path) -> None:
    encrypted(tmp_path / "in.parquet", plaintext_footer=plaintext_footer)
    done = refused("apply", "relu", tmp_path / "in.parquet", tmp_path / f"o.{to}")
    assert b"in.parquet: the file is encrypted" in done.stderr
    assert len(list(tmp_path.iterdir())) == 1

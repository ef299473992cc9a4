"""What is no tensor or table is named, and what follows the end of an input is not dropped."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.orc as orc
import pytest

from kact_cli.errors import DataError
from tests.tools.tables import convert, read, write
from tests.tools.tensors import npy

TABLE = pa.table({"a": [1.5, 2.5], "b": [0.5, 1.0]})
CSV = b"a,b\n1.5,2.5\n"


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, b"x")
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x.npy"))
    return file.getvalue()


def orc_file() -> bytes:
    file = io.BytesIO()
    orc.write_table(TABLE, file)
    return file.getvalue()


def old_stream() -> bytes:
    file = io.BytesIO()
    kinds = {"use_legacy_format": True, "metadata_version": pa.ipc.MetadataVersion.V4}
    options = pa.ipc.IpcWriteOptions(**kinds)
    with pa.ipc.new_stream(file, TABLE.schema, options=options) as writer:
        writer.write_table(TABLE)
    return file.getvalue()


def zstd(data: bytes) -> bytes:
    compressed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    return compressed


NO_TABLE: dict[str, tuple[bytes, str]] = {
    "x.pt": (zipped("archive/data.pkl"), "PyTorch"),
    "x.xlsx": (zipped("[Content_Types].xml"), "Excel"),
    "x.keras": (zipped("metadata.json"), "Keras model"),
    "x.zip": (zipped("{curly}.txt"), "`unzip {}`"),
    "x.tar": (tarred(), "tar archive"),
    "x.tar.gz": (gzip.compress(tarred()), "tar archive"),
    "x.pkl": (pickle.dumps([1.5]), "pickle"),
    "x.h5": (b"\x89HDF\r\n\x1a\n" + bytes(600), "HDF5"),
    "user-block.h5": (bytes(512) + b"\x89HDF\r\n\x1a\n" + bytes(600), "HDF5"),
    "x.feather": (b"FEA1" + bytes(60), "Feather V1"),
    "x.avro": (b"Obj\1" + bytes(60), "Avro"),
    "x.orc": (orc_file(), "ORC"),
    "x.arrows": (old_stream(), "before Arrow 0.15; --from arrows"),
    "x.png": (b"\x89PNG\r\n\x1a\n" + bytes(40), "PNG"),
    "x.npy": (b"\x89PNG\r\n\x1a\n" + bytes(40), "PNG"),
    "x.parquet": (b"\xff\xd8\xff\xe0" + bytes(40), "JPEG"),
    "x.npy.zst": (zstd(npy(np.ones(3))), "`zstd -dc {} | kact"),
    "x.npy.gz": (gzip.compress(npy(np.ones(3))), "`gzip -dc {} | kact"),
    "gzip.npy": (gzip.compress(npy(np.ones(3))), "`gzip -dc {} | kact"),
    "x.csv.bz2": (bz2.compress(CSV), "`bzip2 -dc {} | kact"),
    "x.csv.xz": (lzma.compress(CSV), "`xz -dc {} | kact"),
    "x.csv.lzma": (lzma.compress(CSV, format=lzma.FORMAT_ALONE), "`xz -dc {} | kact"),
    "x.jsonl": (
        b'{"logits": [1.0, 2.0]}\n{"logits": [3.0]}\n',
        "JSON, not CSV; `duckdb -c \"COPY (FROM read_json('{}')) TO 'x.parquet'\"` converts it",
    ),
    "x.csv": (b" [[1.0, 2.0]]\n", "JSON"),
    "bom.csv": (b'\xef\xbb\xbf[{"a": 1.5}]', "JSON"),
    "x.jsonl.gz": (gzip.compress(b'{"a": 1.5}\n'), "JSON"),
    "x.html": (b"\n<!DOCTYPE html>\n<table>", "HTML"),
    "x.svm": (b"1.5 1:0.5 7:-1e-3\n-1 2:3\n", "LIBSVM"),
    "rank.txt": (b"3 qid:1 1:0.5 7:0 " + b"8:1.5 " * 200, "LIBSVM"),
    "x.xml": (b"<?xml version='1.0'?>", "XML"),
}


@pytest.mark.parametrize("to", ["csv", "npy"])
@pytest.mark.parametrize("name", NO_TABLE)
def test_it_says_what_is_no_table_and_what_reads_it(tmp_path: Path, name: str, to: str) -> None:
    data, words = NO_TABLE[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as refusal:
        convert("relu", path, tmp_path / f"out.{to}")
    said = str(refusal.value)
    assert said.startswith(f"{path} is ")
    assert words.format(path) in said
    assert said.isprintable()
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_name_that_a_shell_would_run_is_not_in_a_line_for_the_shell(tmp_path: Path) -> None:
    for name in ("$(touch X).jsonl", "a'b.json", "a b.json"):
        (tmp_path / name).write_text('{"a": 1.5}')
        with pytest.raises(DataError, match=r"read_json\('FILE'\)"):
            convert("relu", tmp_path / name, tmp_path / "out.csv")


TAKEN = {
    "times": (b"7 12:30:05 2.5\n8 12:31:05 3.5\n", {}),
    "a null in the first cell": (b"<NA>,1.5\n2.5,3.5\n", {}),
    "three letters of ORC": (b"ORC,PRC\n1.5,2.5\n", {}),
    "a bracket, told to be CSV": (b"[0],[1]\n1.5,2.5\n", {"source_format": "csv"}),
    "an old stream, told to be one": (old_stream(), {"source_format": "arrows"}),
}


@pytest.mark.parametrize("case", TAKEN)
def test_it_takes_what_only_looks_like_another_format(tmp_path: Path, case: str) -> None:
    data, options = TAKEN[case]
    (tmp_path / "x").write_bytes(data)
    convert("relu", tmp_path / "x", tmp_path / "out.csv", target_format="csv", **options)
    assert b"2.5" in (tmp_path / "out.csv").read_bytes()


def wide(rows: int) -> pa.Table:
    text = pa.array([str(i % 7) for i in range(rows)]).dictionary_encode()
    return pa.table({"x": np.arange(rows) / 2, "y": np.ones(rows), "s": text})


SECOND: dict[str, tuple[Callable[[pa.Table, Path], Path], tuple[int, int]]] = {
    f"{name}, {rows[0]} rows and {rows[1]}": (make, rows)
    for name, make in {
        "x.parquet": write,
        "paged.parquet": lambda t, p: write(t, p, 30, write_page_index=True),
        "x.arrow": write,
        "zstd.arrow": lambda t, p: write(t, p, compression="zstd"),
    }.items()
    for rows in ((100, 100), (0, 100), (100, 0), (5, 5000), (5000, 5))
}


@pytest.mark.parametrize("case", SECOND)
@pytest.mark.parametrize("to", [".csv", ""])
def test_a_second_file_behind_is_refused(tmp_path: Path, case: str, to: str) -> None:
    write, rows = SECOND[case]
    path = tmp_path / case.split(",")[0]
    both = b"".join(write(wide(n), path).read_bytes() for n in rows)
    path.write_bytes(both)
    with pytest.raises(DataError, match="one after the other"):
        convert("relu", path, tmp_path / f"out{to or path.suffix}")
    assert list(tmp_path.iterdir()) == [path]


def test_streams_of_one_schema_are_read_on(tmp_path: Path) -> None:
    parts = [write(TABLE, tmp_path / "x.arrows").read_bytes()] * 3
    (tmp_path / "x.arrows").write_bytes(b"".join(parts))
    for chain in ("relu", "softmax(axis=0)"):
        convert(chain, tmp_path / "x.arrows", tmp_path / "out.arrow", overwrite=True)
        assert len(read(tmp_path / "out.arrow")["a"]) == 6


@pytest.mark.parametrize("what", ["other columns", "text", "bytes"])
def test_what_else_follows_a_stream_is_refused(tmp_path: Path, what: str) -> None:
    other = write(pa.table({"c": [1.5]}), tmp_path / "o.arrows").read_bytes()
    more = {"other columns": other, "text": b"hi", "bytes": bytes(range(1, 200))}[what]
    path = write(TABLE, tmp_path / "x.arrows")
    path.write_bytes(path.read_bytes() + more)
    with pytest.raises(DataError, match=r"x\.arrows: .* follows"):
        convert("relu", path, tmp_path / "out.csv")

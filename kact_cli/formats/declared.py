"""The file formats, each declared once: its name, how it is told, what reads and writes it.

A new format is a module or folder beside this one, and a record here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class Format(NamedTuple):
    """One format. A tensor format holds one array; a table format, rows of named columns; an
    archive, named arrays.

    `reader` and `writer` are the classes that meet `formats.base.TableReader` and `TableWriter`, or
    `formats.archive.ArchiveReader` and `ArchiveWriter`,
    as `module:name` below `kact_cli.formats`; they are imported when a file of the format is met.
    """

    name: str
    kind: Literal["tensor", "table", "archive"]
    suffixes: tuple[str, ...]
    magic: tuple[bytes, ...]
    """What a file of the format may start with."""
    reader: str
    writer: str
    seeks: bool = False
    """Whether reading it as a table goes to and fro in the file, as it cannot in a pipe."""
    typed: bool = True
    """Whether a file says what type its columns are; where it is text, its reader finds out."""


NPY = Format(
    "npy",
    "tensor",
    (".npy",),
    (b"\x93NUMPY",),
    "npy_table:NpyTableReader",
    "npy_table:NpyTableWriter",
    seeks=True,
)
PARQUET = Format(
    "parquet",
    "table",
    (".parquet", ".pq"),
    (b"PAR1", b"PARE"),
    "parquet.table:ParquetReader",
    "parquet.table:ParquetWriter",
    seeks=True,
)
ARROW = Format(
    "arrow",
    "table",
    (".arrow", ".feather", ".ipc"),
    (b"ARROW1",),
    "arrow.read:ArrowFileReader",
    "arrow.write:ArrowFileWriter",
    seeks=True,
)
ARROW_STREAM = Format(
    "arrows",
    "table",
    (".arrows",),
    (b"\xff\xff\xff\xff",),
    "arrow.read:ArrowStreamReader",
    "arrow.write:ArrowStreamWriter",
)
CSV = Format(
    "csv",
    "table",
    tuple(t + c for t in (".csv", ".tsv") for c in ("", ".gz", ".zst", ".zstd")),
    # Compressed, with a frame for zstd to skip too; plain text starts with anything
    (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", *(bytes((n, 0x2A, 0x4D, 0x18)) for n in range(80, 96))),
    "csv.table:CsvReader",
    "csv.table:CsvWriter",
    typed=False,
)
NPZ = Format(
    "npz",
    "archive",
    (".npz",),
    (b"PK\3\4", b"PK\5\6"),
    "npz.reader:NpzReader",
    "npz.writer:NpzWriter",
    seeks=True,
)
SAFETENSORS = Format(
    "safetensors",
    "archive",
    (".safetensors",),
    (),  # the length of the header comes first: `detect` looks behind it
    "safetensors:SafetensorsReader",
    "safetensors:SafetensorsWriter",
    seeks=True,
)
FORMATS = (NPY, NPZ, SAFETENSORS, PARQUET, ARROW, ARROW_STREAM, CSV)
"""Every format, in the order in which they are tried."""
NAMED = tuple(f.name for f in FORMATS if f.kind != "tensor")
"""Those whose parts have names: tables and archives."""
TABLES = tuple(f.name for f in FORMATS if f.kind == "table")
"""Those that have columns."""
TENSORS = tuple(f.name for f in FORMATS if f.kind != "table")
"""Those that hold tensors."""

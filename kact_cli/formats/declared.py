"""The file formats, each declared once: its name, how it is told, what reads and writes it.

A new format is a module or folder beside this one, and a record here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from kact_cli.errors import DataError
from kact_cli.messages import human
from kact_cli.options import Options

GIB = 1 << 30


class Unit(NamedTuple):
    """What of a file is in memory as a whole, and how many bytes it may take there at most, unless
    the user says otherwise (`--max-unit`)."""

    name: str
    limit: int = GIB


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
    unit: Unit | None = None
    """What can be much larger in memory than in the file; None: nothing."""

    def limit(self, options: Options) -> int:
        """How many bytes of memory a unit may take."""
        assert self.unit is not None
        return options.max_unit or self.unit.limit

    def check_unit(self, called: str, size: int, options: Options) -> None:
        """Raise DataError for a unit, `called` so, that would take more memory than it may."""
        limit = self.limit(options)
        if size > limit:
            raise DataError(f"{called} takes {human(size)} in memory, {beyond(limit)}")


def beyond(limit: int) -> str:
    """What is said of a unit above its limit: how high that is, and which option raises it."""
    return f"more than {human(limit)}; --max-unit allows more"


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
    unit=Unit("page"),
)
ARROW = Format(
    "arrow",
    "table",
    (".arrow", ".feather", ".ipc"),
    (b"ARROW1",),
    "arrow.read:ArrowFileReader",
    "arrow.write:ArrowFileWriter",
    seeks=True,
    unit=Unit("record batch"),
)
ARROW_STREAM = Format(
    "arrows",
    "table",
    (".arrows",),
    (b"\xff\xff\xff\xff",),
    "arrow.read:ArrowStreamReader",
    "arrow.write:ArrowStreamWriter",
    unit=Unit("record batch"),
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
    # A cell may hold a document; but a quote that is never closed ends
    unit=Unit("record", GIB >> 6),
)
NPZ = Format(
    "npz",
    "archive",
    (".npz",),
    (b"PK\3\4", b"PK\5\6"),
    "npz.reader:NpzReader",
    "npz.writer:NpzWriter",
    seeks=True,
    unit=Unit("deflated member"),
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
IN_UNITS = tuple(f.name for f in FORMATS if f.unit is not None)
"""Those with units that may have a limit."""

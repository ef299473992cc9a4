"""Files in formats that kact does not read: what they are, by their first bytes, and what would.

One table, for whoever meets such bytes: `detect` at the start of an input, the reader of CSV inside
what is compressed. A format that kact learns to read leaves this table for `declared`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kact_cli.errors import DataError

HEAD_BYTES = 600
"""What has to be seen of a file to know it: a tar archive's magic is at 257, HDF5's up to 512."""


class Foreign(NamedTuple):
    """What a file is, and what to do with it; `{}` stands for its name in a line of shell."""

    what: str
    way: str


_SAVE = "save the array as .npy with numpy.save"
_SHEET = "save it as CSV, or read it with pandas"
_IMAGE = "Pillow reads it; save the pixels as .npy with numpy.save"

_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"BZh", "bzip2 data", "`bzip2 -dc {} | kact …` reads it"),
    (0, b"\xfd7zXZ\0", "xz data", "`xz -dc {} | kact …` reads it"),
    (0, b"\x5d\0\0", "lzma data", "`xz -dc {} | kact …` reads it"),
    (0, b"\x1f\x8b", "gzip data", "`gzip -dc {} | kact …` reads it"),
    (0, b"\x28\xb5\x2f\xfd", "zstd data", "`zstd -dc {} | kact …` reads it"),
    (0, b"\x04\x22\x4d\x18", "lz4 data", "`lz4 -dc {} | kact …` reads it"),
    (0, b"LZIP", "lzip data", "`lzip -dc {} | kact …` reads it"),
    (0, b"\x1f\x9d", "compress data (.Z)", "`gzip -dc {} | kact …` reads it"),
    (0, b"\xff\x06\0\0sNaPpY", "snappy data", "decompress it first"),
    (0, b"\x78\x9c", "zlib data", "decompress it first"),
    (0, b"\x78\xda", "zlib data", "decompress it first"),
    (257, b"ustar", "a tar archive", "take the file out of it with `tar -xf {}`"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "take the file out of it with `7z x {}`"),
    (0, b"Rar!\x1a\x07", "a rar archive", "take the file out of it with `unrar x {}`"),
    (0, b"PK\5\6", "an empty zip archive", "there is nothing in it"),
    (0, b"\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file (.pt)", "torch.load reads it"),
    *((0, bytes((0x80, n)), "a Python pickle, which kact never loads", _SAVE) for n in range(2, 6)),
    *((at, b"\x89HDF\r\n\x1a\n", "an HDF5 file", "h5py reads it") for at in (0, 512)),
    (0, b"MATLAB ", "a MATLAB file", "scipy.io.loadmat reads it"),
    (0, b"FEA1", "a Feather V1 file", "pyarrow.feather reads it, and writes it as .arrow"),
    (0, b"Obj\1", "an Avro file", "DuckDB or fastavro reads it"),
    (0, b"GGUF", "a GGUF model", "the gguf package reads it"),
    (4, b"TFL3", "a TensorFlow Lite model", "kact reads tensors and tables"),
    (0, b"CDF\1", "a NetCDF file", "xarray reads it"),
    (0, b"CDF\2", "a NetCDF file", "xarray reads it"),
    (0, b"CDF\5", "a NetCDF file", "xarray reads it"),
    (0, b"SIMPLE  =", "a FITS file", "astropy.io.fits reads it"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office file", "save it as CSV"),
    (0, b"SQLite format 3\0", "an SQLite database", "DuckDB exports a table as Parquet"),
    (8, b"DUCK", "a DuckDB database", "COPY … TO 'x.parquet' exports a table"),
    (0, b"<stata_dta>", "a Stata file", "pandas.read_stata reads it"),
    (0, b"$FL2", "an SPSS file", "pandas.read_spss reads it"),
    (0, bytes(12) + b"\xc2\xea\x81\x60", "a SAS file", "pandas.read_sas reads it"),
    (0, b"HEADER RECORD*******", "a SAS transport file", "pandas.read_sas reads it"),
    (0, b"RDX2\n", "an R workspace", "R reads it; write.csv writes CSV"),
    (0, b"RDX3\n", "an R workspace", "R reads it; write.csv writes CSV"),
    (0, b"X\n\0\0\0", "R data (.rds)", "R reads it; write.csv writes CSV"),
    (0, b"%%MatrixMarket", "a Matrix Market file", "scipy.io.mmread reads it"),
    (0, b"\x89PNG", "a PNG image", _IMAGE),
    (0, b"\xff\xd8\xff", "a JPEG image", _IMAGE),
    (0, b"GIF8", "a GIF image", _IMAGE),
    (0, b"II*\0", "a TIFF image", _IMAGE),
    (0, b"MM\0*", "a TIFF image", _IMAGE),
    (8, b"WEBP", "a WebP image", _IMAGE),
    (8, b"WAVE", "a WAV recording", "scipy.io.wavfile reads it"),
    (4, b"ftyp", "a video", "kact reads tensors and tables"),
    (0, b"%PDF-", "a PDF document", "kact reads tensors and tables"),
    (0, b"\x7fELF", "a program", "kact reads tensors and tables"),
)

_ZIPPED: tuple[tuple[bytes, str, str], ...] = (
    (b"/data.pkl", "a PyTorch file (.pt)", "torch.load reads it; " + _SAVE),
    (b"/.data/serialization_id", "a PyTorch file (.pt)", "torch.load reads it; " + _SAVE),
    (b"[Content_Types].xml", "an Excel or Office file (.xlsx)", _SHEET),
    (b"_rels/.rels", "an Excel or Office file (.xlsx)", _SHEET),
    (b"docProps/", "an Excel or Office file (.xlsx)", _SHEET),
    (b"xl/", "an Excel file (.xlsx)", _SHEET),
    (b"mimetype", "an OpenDocument file (.ods)", _SHEET),
    (b"metadata.json", "a Keras model (.keras)", "keras.saving.load_model reads it"),
)
"""By what is in the name of the first member."""

COMPRESSION = (
    r"\.(gz|gzip|zstd?|bz2?|bzip2|xz|lzma|lz4?|z|br|sz|snappy|zip|7z|rar|tar|tgz|tbz2?|txz)"
)
"""The suffixes of compressed files and archives, in small letters."""
FOREIGN_SUFFIX = (
    r"\.(jsonl?|ndjson|geojson|xls[xmb]?|ods|numbers|pth?|ckpt|pkl|pickle|joblib|h5|hdf5?|he5"
    r"|keras|onnx|pb|tflite|gguf|tfrecords?|orc|avro|db|sqlite3?|duckdb|sql|html?|xml|ya?ml"
    r"|toml|md|tex|pdf|mat|nc4?|fits|zarr|lance|vortex|rds|rda|rdata|sav|dta|sas7bdat|xpt|mtx|arff"
    r"|png|jpe?g|gif|bmp|tiff?|webp|svg|wav|mp[34]|py|ipynb|docx?|rtf|ini|conf|whl|jar|iso"
    r"|hex|mem|mif|coe|[ch]|[ch]pp)"
)
"""The suffixes of formats that kact does not write."""

_AS_CSV = "--from csv takes it for CSV all the same"
_JSON = """`duckdb -c "COPY (FROM read_json('{}')) TO 'x.parquet'"` converts it; """ + _AS_CSV
_PLAIN_NAME = re.compile(r"[\w./+:@%=,-]+")
"""A file name that a shell takes as it is, quoted or not, and SQL too."""


def foreign(head: bytes) -> Foreign | None:
    """What the file that begins with `head` is, where that is known and not a format of kact's."""
    if head.startswith(b"PK\3\4"):
        return _zipped(head)
    for at, magic, what, way in _SIGNATURES:
        if head.startswith(magic, at):
            return Foreign(what, way)
    if head.startswith(b"ORC") and any(byte < 9 for byte in head[3:16]):
        return Foreign("an ORC file", "pyarrow.orc or DuckDB reads it")
    if _old_arrow_stream(head):
        return Foreign("an Arrow stream from before Arrow 0.15", "--from arrows reads it")
    return _text(head)


def refuse_foreign(name: str, head: bytes) -> None:
    """Raise DataError, saying what it is, where the file `name` is in a format not kact's."""
    if found := foreign(head):
        typed = name if _PLAIN_NAME.fullmatch(name) else "FILE"
        raise DataError(f"{name} is {found.what}; {found.way.format(typed)}")


def _zipped(head: bytes) -> Foreign | None:
    """A zip archive other than an .npz, by its first member: the name's length is at 26."""
    member = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if member.endswith(b".npy"):
        return None
    for part, what, way in _ZIPPED:
        if part in member:
            return Foreign(what, way)
    return Foreign("a zip archive", "take the file out of it with `unzip {}`")


def _old_arrow_stream(head: bytes) -> bool:
    """Whether a FlatBuffer follows its length at once, without the four bytes of ones before it.

    https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
    """
    length, root = (int.from_bytes(head[at : at + 4], "little") for at in (0, 4))
    if (length + 4) % 8 or not 16 <= length < 1 << 24 or not 4 <= root <= 64:
        return False
    table = 4 + root
    fields = table - int.from_bytes(head[table : table + 4], "little", signed=True)
    size = int.from_bytes(head[fields : fields + 2], "little") if fields >= 8 else 0
    return 6 <= size <= 16 and not size % 2


_LIBSVM = re.compile(
    rb"[+-]?[\d.]+(e[+-]?\d+)?( qid:\d+)?( (0|[1-9]\d*):[+-]?[\d.]+(e[+-]?\d+)?)+"
    rb"( ?[\de:+-]*$| *\r?\n)"
)
"""A label, then the number and the value of each feature that is not 0."""


def _text(head: bytes) -> Foreign | None:
    """JSON, HTML, XML and LIBSVM; `<NA>` may stand in the first cell of a CSV."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"{", b"[")):
        return Foreign("JSON, not CSV", _JSON)
    if text.startswith((b"<!doctype html", b"<html", b"<table", b"<head", b"<body")):
        return Foreign("HTML, not CSV", f"pandas.read_html reads its tables; {_AS_CSV}")
    if text.startswith(b"<") and not text.startswith(b"<na>"):
        return Foreign("XML, not CSV", f"pandas.read_xml reads it; {_AS_CSV}")
    if _LIBSVM.match(text):
        return Foreign(
            "LIBSVM data, not CSV", f"sklearn.datasets.load_svmlight_file reads it; {_AS_CSV}"
        )
    return None

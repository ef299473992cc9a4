"""The .npy format, versions 1.0 to 3.0, read and written without seeking.

Format (NumPy Enhancement Proposal 1): the magic `\\x93NUMPY`, a version of two bytes, the header's
length (2 bytes little-endian in version 1, 4 in 2 and 3), a Python dict literal with the keys
`descr`, `fortran_order` and `shape` (latin-1; UTF-8 in version 3), then the elements.

`numpy.lib.format` reads the same bytes, but believes a length before it has checked it, needs a
file that seeks, and raises whatever its parser happens to raise on a broken header.
"""

from __future__ import annotations

import ast
import contextlib
import math
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from kact_cli.engine.bfloat16 import as_floats
from kact_cli.engine.layout import runs
from kact_cli.errors import DataError, UsageError, prefixed
from kact_cli.files.source import Source
from kact_cli.formats.declared import NPY, Format
from kact_cli.types import BFLOAT16, Array, Shape, dtype_name

MAGIC = b"\x93NUMPY"
HEADER_LIMIT = 64 * 1024
AXES_LIMIT = 64
"""Of NumPy's arrays."""
SIZE_LIMIT = 2**59
"""The most elements: offsets stay within a signed 64-bit integer, whatever dtype comes out."""
_KEYS = {"descr", "fortran_order", "shape"}
_DESCR = re.compile(r"[<>=|]?[A-Za-z]+[0-9]*|[<>=|]?\?", re.A)
"""A dtype by its code or its name, and nothing else that NumPy takes: no fields, no sub-arrays."""
_BFLOAT16 = ("<V2", "|V2", "V2", "bfloat16")
"""bfloat16, first as ml_dtypes saves it."""
_HINTS = {
    r"[>=]V2": ", probably bfloat16 of a machine that is not little-endian",
    r"[|<>=]?[Vf]1|float8\w*": ", probably float8: save it as float32 first",
    r"[|<>=]?O8?|object": " (pickled Python objects), which kact never loads",
}
"""What a dtype that no tensor of numbers has probably is."""
_ALIGN = 64
_GROWTH = 21
BLOCK_BYTES = 1024 * 1024
"""Of the elements that are read at a time."""


class NoTensorError(DataError):
    """A .npy that may be sound, but holds what no activation is defined for."""


class Header(NamedTuple):
    """What a .npy file says of its tensor; `offset` is where the elements start, in bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool
    offset: int = 0

    @property
    def size(self) -> int:
        """The number of elements, as a Python integer: it never overflows."""
        return math.prod(self.shape)

    def taken_for(self, dtype: np.dtype[Any] | None) -> Header:
        """The same, its elements taken for `dtype` where they are its bits, as uint16."""
        if dtype is None or self.dtype != np.dtype("<u2"):
            return self
        return self._replace(dtype=dtype)

    @property
    def end(self) -> int:
        """The size of a whole file with this header, in bytes."""
        return self.offset + self.size * self.dtype.itemsize


class NpyTensor(NamedTuple):
    """A .npy open for reading, as it comes or, where it does not come through a pipe, anywhere."""

    source: Source
    header: Header

    @property
    def format(self) -> Format:
        return NPY

    @classmethod
    def open(cls, source: Source, dtype: np.dtype[Any] | None = None) -> NpyTensor:
        """Read the header; raises DataError where the file is not as long as it says.

        `dtype` is what uint16 is taken for; UsageError where this is neither.
        """
        with prefixed(source.name, between=" "):
            header = read_header(source.reader())
            if source.size is not None and header.end > source.size:
                raise DataError(
                    f"is truncated: {source.size:,} bytes of the {header.end:,} that it claims"
                )
        taken = header.taken_for(dtype)
        if dtype not in (None, taken.dtype):
            held = dtype_name(header.dtype)
            raise UsageError(f"{source.name}: --dtype-in is for uint16, and this holds {held}")
        return cls(source, taken)

    def facts(self) -> dict[str, Any]:
        """What the header says, for `inspect`."""
        header = self.header
        orders = {"<": "little", ">": "big", "=": "native", "|": "none"}
        return {
            "shape": list(header.shape),
            "dtype": dtype_name(header.dtype),
            "byte_order": orders[header.dtype.str[0]],
            "order": "Fortran" if header.fortran_order else "C",
            "elements": header.size,
            "data_offset": header.offset,
        }

    def seekable(self, stack: contextlib.ExitStack) -> NpyTensor:
        """The same, from a temporary file (which `stack` closes) where it comes through a pipe."""
        if self.source.size is not None:
            return self
        size = self.header.end - self.header.offset
        spooled = stack.enter_context(self.source.spool(size))
        return NpyTensor(spooled, self.header._replace(offset=0))

    def blocks(self) -> Iterator[Array]:
        """All elements, in the order of the file, as vectors in its dtype; bfloat16 as float32."""
        dtype = self.header.dtype
        each = BLOCK_BYTES // dtype.itemsize
        for first in range(0, self.header.size, each):
            yield as_floats(self.read(first, min(each, self.header.size - first)))

    def read(self, first: int, count: int) -> Array:
        """`count` elements from number `first`, in the order of the file."""
        dtype = self.header.dtype
        block = np.empty(count, dtype)
        view = block.view(np.uint8).data
        if self.source.read_at(view, self.header.offset + first * dtype.itemsize) < len(view):
            raise DataError(f"{self.source.name} is truncated: it ends before the tensor does")
        return block

    def box(self, start: Shape, shape: Shape) -> Array:
        """A box of the tensor as a C-contiguous array, whatever the order of the file."""
        dims = self.header.shape
        if self.header.fortran_order:
            dims, start, shape = dims[::-1], start[::-1], shape[::-1]
        parts = [self.read(first, count) for first, count in runs(dims, start, shape)]
        block = (parts[0] if len(parts) == 1 else np.concatenate(parts)).reshape(shape)
        return np.ascontiguousarray(block.T) if self.header.fortran_order else block

    def first_rows(self, count: int) -> Array | None:
        """The first rows, which a pipe still gives afterwards; None where they are not at hand."""
        header = self.header
        shape = (count, *header.shape[1:])
        if self.source.size is not None:
            return self.box((0,) * len(shape), shape)
        dims = header.shape[::-1] if header.fortran_order else shape
        size = math.prod(dims) * header.dtype.itemsize
        data = self.source.peek(size) if size <= BLOCK_BYTES else b""
        if len(data) < size:
            return None
        values = np.frombuffer(data, header.dtype).reshape(dims)
        return values.T[:count] if header.fortran_order else values


def read_header(read: Callable[[int], bytes]) -> Header:
    """The header at the start of a file, whose bytes `read(count)` gives in order.

    Raises DataError for anything but a well-formed header of a numeric tensor. Reads no more than
    64 KiB, whatever the file claims.
    """
    start = read(8)
    if len(start) < 8 or start[:6] != MAGIC:
        raise DataError("is not a .npy file" if start else "is empty")
    major, minor = start[6], start[7]
    if major not in (1, 2, 3) or minor != 0:
        raise DataError(f"has .npy version {major}.{minor}; 1.0 to 3.0 are known")
    width = 2 if major == 1 else 4
    field = read(width)
    length = int.from_bytes(field, "little")
    if len(field) < width or length > HEADER_LIMIT:
        raise DataError(
            f"claims a .npy header of {length:,} bytes; {HEADER_LIMIT:,} is the limit"
            if len(field) == width
            else "ends within its .npy header"
        )
    text = read(length)
    if len(text) < length:
        raise DataError("ends within its .npy header")
    fields = _parse(text, "utf-8" if major == 3 else "latin-1")
    header = Header(
        _dtype(fields["descr"]),
        _shape(fields["shape"]),
        _flag(fields["fortran_order"]),
        8 + width + length,
    )
    if header.size > SIZE_LIMIT:
        raise DataError(f"claims the shape {_shown(header.shape)}, more than any file holds")
    return header


def write_header(header: Header, size: int = 0) -> bytes:
    """The bytes of a header, as NumPy writes them: the elements start at a multiple of 64.

    `size`, itself such a multiple, is the least that it takes: room for a shape not known yet.
    """
    is_known = header.dtype != BFLOAT16
    descr = np.lib.format.dtype_to_descr(header.dtype) if is_known else _BFLOAT16[0]
    order, shape = header.fortran_order, header.shape
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode("latin-1")
    if shape:  # room for the outermost axis to grow in place
        text += b" " * (_GROWTH - len(str(shape[-1 if order else 0])))
    bare = len(MAGIC) + 4 + len(text) + 1
    padding = max(size - bare, -bare % _ALIGN)
    body = text + b" " * padding + b"\n"
    if len(body) < 2**16:
        return MAGIC + b"\x01\x00" + len(body).to_bytes(2, "little") + body
    raise DataError("has more axes than a .npy header can name")


def _parse(text: bytes, encoding: str) -> dict[str, Any]:
    try:
        source = text.decode(encoding)
        if encoding == "latin-1":  # Python 2, which knew no version 3, wrote (3L, 4L)
            source = re.sub(r"(?<=\d)L\b", "", source)
        with warnings.catch_warnings():  # of odd Python in the header, which is no one's code
            warnings.simplefilter("error")
            node = ast.parse(source.strip(" \t\r\n"), mode="eval").body
        if not isinstance(node, ast.Dict):
            raise ValueError("not a dict")
        keys = [str(ast.literal_eval(k)) if k else "**" for k in node.keys]
        fields = dict(zip(keys, map(ast.literal_eval, node.values), strict=True))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, Warning) as e:
        raise DataError("has a broken .npy header") from e
    if len(keys) != len(_KEYS) or set(keys) != _KEYS:
        raise DataError(f"has a .npy header with the keys {_shown(keys)}, not {sorted(_KEYS)}")
    return fields


def _dtype(descr: object) -> np.dtype[Any]:
    if isinstance(descr, list):
        raise NoTensorError("holds records (a structured dtype); activations need a plain tensor")
    if isinstance(descr, str):
        if descr in _BFLOAT16:
            return BFLOAT16
        if _DESCR.fullmatch(descr):
            # NumPy reads 'float32', 'd' and '?' too, and complains of some names before it does
            with contextlib.suppress(TypeError, ValueError), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dtype = np.dtype(descr)
                if dtype.kind in "biuf" and dtype.itemsize <= 8:
                    return dtype
        hint = next((text for pattern, text in _HINTS.items() if re.fullmatch(pattern, descr)), "")
        raise NoTensorError(
            f"has dtype {_shown(descr)}{hint}; floats, integers or booleans are needed"
        )
    raise NoTensorError(f"has dtype {_shown(descr)}; floats, integers or booleans are needed")


def _shape(shape: object) -> tuple[int, ...]:
    sound = isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 2**63 for n in shape)
    if not sound or not isinstance(shape, tuple):
        raise DataError(f"has the shape {_shown(shape)} in its .npy header")
    if len(shape) > AXES_LIMIT:
        raise DataError(f"has {len(shape):,} axes; {AXES_LIMIT} is the limit")
    return shape


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise DataError("has a fortran_order in its .npy header that is neither True nor False")
    return value


def _shown(value: object) -> str:
    """A value of the header, short enough for a message; an integer may be too long to print."""
    try:
        text = repr(value)
    except ValueError:
        return "(too long to print)"
    return text if len(text) <= 80 else f"{text[:80]}…"

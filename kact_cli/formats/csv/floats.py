"""Floating-point numbers as text, for whole arrays at once.

`shortest` writes what orjson does: of all decimals that read back as the same number, the one with
the fewest digits, and of those the nearest, as Python's `repr` chooses them. A number always looks
like a float (`1.0`, never `1`), so that a column is still one of floats when the text is read
again. The largest and the smallest are scientific: `1e+16`, `1.5e-7`. pandas, DuckDB and Polars
read every such text as the same float64, and `nan`, `inf` and `-inf` beside it.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kact_cli.errors import UsageError


def _orjson() -> Any:
    """orjson, after the modules that it imports: a signal while it does that would be an abort."""
    for name in ("dataclasses", "datetime", "enum", "json", "uuid", "zoneinfo"):
        import_module(name)
    return import_module("orjson")


orjson = _orjson()

_PLAIN = re.compile(r" *[+-]?[\d.]+(e[+-]\d+)?%? *", re.I | re.A)
"""A number without commas, which may be the delimiter, and without what fills up its width."""


class Texts(NamedTuple):
    """Pieces of text in one buffer: text i is `data[starts[i]:ends[i]]`, in rising order."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]


def written(
    x: NDArray[Any],
    float_format: str | None = None,
    lead: bytes = b",",
    decimal: str = ".",
    reserve: int = 0,
) -> Texts:
    """The text of each number of the 1-D array `x`, each led by the one byte `lead`.

    `x` is float64, float32 or float16; without `float_format` the texts are the shortest.
    With a decimal comma, a number is quoted if commas are the delimiter too. The first `reserve`
    bytes of the buffer are left for the caller.
    """
    texts = (
        shortest(x, lead, reserve)
        if float_format is None
        else formatted(x, float_format, lead, reserve)
    )
    if decimal == ".":
        return texts
    points = np.flatnonzero(texts.data[reserve:] == ord(".")) + reserve
    texts.data[points] = ord(decimal)
    if lead != decimal.encode():
        return texts
    spans = zip(texts.starts + 1, texts.ends, strict=True)
    return _joined([lead + b'"%b"' % texts.data[a:b].tobytes() for a, b in spans], reserve)


def shortest(x: NDArray[Any], lead: bytes = b",", reserve: int = 0) -> Texts:
    """The shortest text of each number of the 1-D array `x`, each led by the one byte `lead`.

    `x` is float64, float32 or float16. The first `reserve` bytes of the buffer are left for the
    caller.
    """
    if x.dtype.itemsize == 2:
        x = _as_written(x)
    text = orjson.dumps(np.ascontiguousarray(x), option=orjson.OPT_SERIALIZE_NUMPY)
    data = np.empty(reserve + len(text), np.uint8)
    data[reserve:] = np.frombuffer(text, np.uint8)
    # The brackets and commas of a JSON list stand before and after each number
    starts = np.empty(len(x) + 1, np.int32)
    starts[0] = reserve
    starts[1:-1] = np.flatnonzero(data[reserve:] == ord(",")) + reserve if len(x) > 1 else ()
    starts[-1] = len(data) - 1
    starts, ends = starts[:-1], starts[1:].copy()
    for i in np.flatnonzero(~np.isfinite(x)):
        # orjson has `null` for these, of four letters
        word = b"nan" if np.isnan(x[i]) else b"inf" if x[i] > 0 else b"-inf"
        data[starts[i] + 1 : starts[i] + 1 + len(word)] = np.frombuffer(word, np.uint8)
        ends[i] = starts[i] + 1 + len(word)
    data[starts] = ord(lead)
    return Texts(data, starts, ends)


def shortest_rows(x: NDArray[Any], delimiter: bytes = b",", reserve: int = 0) -> Texts:
    """The numbers of each row of the 2-D array `x`, all finite, with the delimiter between them.

    As `shortest`, a row taken for a number: one text of many in place of as many texts.
    """
    text = orjson.dumps(np.ascontiguousarray(x), option=orjson.OPT_SERIALIZE_NUMPY)
    data = np.empty(reserve + len(text), np.uint8)
    written = data[reserve:]
    written[:] = np.frombuffer(text, np.uint8)
    if delimiter != b",":
        written[written == ord(",")] = ord(delimiter)
    starts = np.flatnonzero(written == ord("["))[1:].astype(np.int32) + np.int32(reserve)
    # Each row ends before `,[`, and the last before `]`
    ends = np.append(starts[1:] - 1, np.int32(len(data) - 1))[: len(starts)] - np.int32(1)
    data[starts] = ord(delimiter)
    return Texts(data, starts, ends)


def _as_written(x: NDArray[np.float16]) -> NDArray[np.float64]:
    """The numbers whose shortest decimals as float64 are those of the float16 numbers `x`."""
    bits, where = np.unique(x.view(np.uint16), return_inverse=True)
    return np.array([float(str(number)) for number in bits.view(np.float16)])[where]


def formatted(x: NDArray[Any], spec: str, lead: bytes = b",", reserve: int = 0) -> Texts:
    """Each number of the 1-D array `x` as Python's `format(number, spec)` gives it; as `shortest`.

    Raises UsageError if `spec` is no format of a float.
    """
    check_format(spec)
    return _joined([lead + format(number, spec).encode() for number in x.tolist()], reserve)


def _joined(texts: list[bytes], reserve: int) -> Texts:
    offsets = np.cumsum([reserve, *map(len, texts)], dtype=np.int32)
    data = np.frombuffer(bytes(reserve) + b"".join(texts), np.uint8).copy()
    return Texts(data, offsets[:-1], offsets[1:])


def check_format(spec: str) -> None:
    """Raise UsageError if `spec` is no format of a float, or one that `_PLAIN` is not."""
    try:
        plain = all(_PLAIN.fullmatch(format(x, spec)) for x in (1234567.5, -0.25))
    except ValueError:
        plain = False
    if not plain:
        raise UsageError(f"not a float format: {spec!r}; try .6g or .3f")

"""The shortest text of floating-point numbers, for whole arrays at once.

`shortest` gives what Python's `repr` and `str(numpy.float32)` give for the digits: of all decimals
that read back as the same number, the one with the fewest digits, and of those the nearest. A
number always looks like a float (`1.0`, never `1`), so that a column is still one of floats when
the text is read again. Below 1e-5 and from 1e15 on, the text is scientific (`1e-7`, `1.5e+20`).

How: with `fraction` the part of |x| after the point and q chosen so that the number has as many
significant digits as any number of its dtype can need (17 for float64), V = fraction * 10**q is
computed exactly, as a sum of two float64 (Dekker's product; 10**q is exact up to q = 22). x is
read back from any decimal within half a unit in its last place, so V is rounded to as few digits
as stay within that distance. This holds for 1e-5 <= |x| < 1e4 and zero, which is nearly
everything that is written; Arrow's cast, three times slower, does the rest.

Every operation works on a tile that stays in cache and writes to a buffer that is used again:
memory that is newly allocated costs ten times as much as the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from threading import local
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kact_cli.errors import UsageError

Floats = NDArray[Any]

TILE = 1 << 14
"""Numbers worked on at once: a dozen buffers of float64 in the second-level cache."""

SLOT = 32
"""Bytes for the text of one number: 8 for all up to the point and the zeros after it, then digits;
the longest text, -2.2250738585072014e-308 with its lead, has 25."""

_LOW, _HIGH = 1e-5, 1e4
_EXPONENT = np.uint64(0x7FF0_0000_0000_0000)
_UPPER_24 = np.uint64(0xFFFF_FFFF_E000_0000)
_DOUBT = 1e-5
_FIRST_FRACTION = 10_000  # prefixes: 0 to 9999 before the point, then 0., 0.0, ... 0.0000
_MARKS_OF_A_FLOAT = np.frombuffer(b".en", np.uint8)
_PREFIXES = _FIRST_FRACTION + 5


class Texts(NamedTuple):
    """Pieces of text in one buffer: text i is `data[starts[i]:ends[i]]`, in rising order."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]


@dataclass(frozen=True)
class _Tables:
    """What depends on the decade of |x|, found by 2 * its binary exponent + (|x| >= bound)."""

    bound: NDArray[np.float64]
    """By binary exponent alone: the power of ten among numbers of that exponent, or infinity."""
    power: NDArray[np.float64]
    """10**q: digits after the point."""
    pad: NDArray[np.uint64]
    """10**(width - q) where digits precede the point: the digits after it, flush left."""
    prefix: NDArray[np.int64]
    """What to add to the integer part to get the number of the prefix."""


@dataclass(frozen=True)
class _Kind:
    """A floating-point type: the digits it may need, and those that it always keeps."""

    dtype: str
    digits: int
    safe_digits: int
    half_ulp: float
    """Half the distance between neighbours in [1, 2)."""
    last_digits: int

    @property
    def groups(self) -> int:
        """Digits come in groups of four and a last one."""
        return self.digits // 4


_KINDS = {
    8: _Kind("f8", 17, 15, 2.0**-53, 9),
    4: _Kind("f4", 9, 6, 2.0**-24, 0),
}


@cache
def _tables(kind: _Kind) -> _Tables:
    exponents = np.arange(2048) - 1023
    decades = range(-5, 5)
    bound = np.full(2048, np.inf)
    decade = np.zeros((2048, 2), np.int64)  # zero, whose exponent is 0, is like 1 to 10
    for e in range(-17, 14):
        low, high = 2.0**e, 2.0 ** (e + 1)
        tens = [float(np.dtype(kind.dtype).type(f"1e{d}")) for d in decades]
        below = max((d for d, ten in zip(decades, tens, strict=True) if ten <= low), default=-5)
        decade[e + 1023] = below
        for d, ten in zip(decades, tens, strict=True):
            if low < ten < high:
                bound[e + 1023], decade[e + 1023, 1] = ten, d
    del exponents
    d = np.clip(decade.ravel(), -5, 3)
    q = kind.digits - 1 - d
    return _Tables(
        bound=bound,
        power=np.array([float(10 ** (int(k) - kind.last_digits)) for k in q]),
        pad=np.array([10 ** max(0, kind.digits - int(k)) for k in q], np.uint64),
        prefix=np.where(d >= 0, 0, _FIRST_FRACTION - 1 - d),
    )


@cache
def _four_digits() -> tuple[NDArray[np.uint32], tuple[NDArray[np.uint8], ...]]:
    """The text of 0000 to 9999; and for a group that begins at digit 0, 4, 8, 12 of the whole, how
    many digits there are up to its last that is not zero (0 if all are)."""
    texts = [b"%04d" % i for i in range(10_000)]
    used = np.array([len(text.rstrip(b"0")) for text in texts])
    last = tuple(np.where(used > 0, used + 4 * k, 0).astype(np.uint8) for k in range(4))
    return np.frombuffer(b"".join(texts), np.uint32), last


@cache
def _prefixes(lead: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """All that precedes the digits, flush right in 8 bytes, and where it begins; by sign, number."""
    points = [f"{i}." for i in range(_FIRST_FRACTION)] + [f"0.{'0' * z}" for z in range(5)]
    texts = [lead + sign + point.encode() for sign in (b"", b"-") for point in points]
    starts = np.array([8 - len(text) for text in texts], np.uint8)
    return np.frombuffer(b"".join(text.rjust(8) for text in texts), np.uint64), starts


class _Buffers(local):
    """One thread's buffers for a tile."""

    def __init__(self) -> None:
        self.floats = np.empty((7, TILE))
        self.integers = np.empty((4, TILE), np.uint64)
        self.bytes = np.empty((2, TILE), np.uint8)
        self.groups = np.empty(TILE, np.uint32)


_BUFFERS = _Buffers()


def shortest(x: Floats, lead: bytes = b",", reserve: int = 0) -> Texts:
    """The shortest text of each number of the 1-D array `x`, each led by the one byte `lead`.

    `x` is float32 or float64 (float16 is written as the float32 of the same value). The first
    `reserve` bytes of the buffer are left for the caller.
    """
    if x.dtype.itemsize == 2:
        x = x.astype(np.float32)
    kind = _KINDS[x.dtype.itemsize]
    before = -(-reserve // SLOT)
    slots = np.empty((before + len(x), SLOT // 8), np.uint64)
    starts = np.empty(len(x), np.int32)
    ends = np.empty(len(x), np.int32)
    others = [np.empty(0, np.intp)]
    for i in range(0, len(x), TILE):
        part = slice(i, i + TILE)
        left = _tile(x[part], kind, lead, slots[before:][part], starts[part], ends[part])
        others.append(left + i)
    _by_arrow(x, np.concatenate(others), lead, slots[before:], starts, ends)
    offsets = np.arange(before * SLOT, len(slots) * SLOT, SLOT, dtype=np.int32)
    starts += offsets
    ends += offsets
    return Texts(slots.view(np.uint8).reshape(-1), starts, ends)


def formatted(x: Floats, spec: str, lead: bytes = b",", reserve: int = 0) -> Texts:
    """Each number of the 1-D array `x` as Python's `format(number, spec)` gives it; as `shortest`.

    Raises UsageError if `spec` is no format of a float.
    """
    try:
        format(1.0, spec)
    except ValueError as e:
        raise UsageError(f"not a float format: {spec!r} ({e}); try .6g or .3f") from None
    texts = [lead + format(number, spec).encode() for number in x.tolist()]
    offsets = np.cumsum([reserve, *map(len, texts)], dtype=np.int32)
    data = np.frombuffer(bytes(reserve) + b"".join(texts), np.uint8).copy()
    return Texts(data, offsets[:-1], offsets[1:])


def _tile(
    x: Floats,
    kind: _Kind,
    lead: bytes,
    slots: NDArray[np.uint64],
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
) -> None:
    """Write the texts of at most TILE numbers, the offsets counted within each slot."""
    n = len(x)
    a, power, half, fraction, *spare = _BUFFERS.floats[:, :n]
    number, decade, j, k = _BUFFERS.integers[:, :n]
    flag, length = _BUFFERS.bytes[:, :n]
    table = _tables(kind)

    np.copyto(a, x)
    np.abs(a, out=a)
    rest = ~((a < _HIGH) & ((a >= _LOW) | (a == 0)))
    a[rest] = 1.0

    np.right_shift(a.view(np.uint64), np.uint64(52), out=decade)
    bound = np.take(table.bound, decade.view(np.int64), out=power, mode="clip")
    np.greater_equal(a, bound, out=flag.view(bool))
    np.add(decade, decade, out=decade)
    np.add(decade, flag, out=decade)
    np.take(table.power, decade.view(np.int64), out=power, mode="clip")

    np.bitwise_and(a.view(np.uint64), _EXPONENT, out=half.view(np.uint64))
    np.multiply(half, kind.half_ulp * 10.0**kind.last_digits, out=half)
    np.multiply(half, power, out=half)

    whole = np.floor(a, out=spare[0])
    np.subtract(a, whole, out=fraction)
    np.take(table.prefix, decade.view(np.int64), out=j.view(np.int64), mode="clip")
    np.copyto(k.view(np.int64), whole, casting="unsafe")
    np.add(j, k, out=j)
    np.copyto(k, np.signbit(x, out=flag.view(bool)))
    np.multiply(k, np.uint64(_PREFIXES), out=k)
    np.add(j, k, out=j)
    prefixes, prefix_starts = _prefixes(lead)
    slots[:, 0] = np.take(prefixes, j.view(np.int64), out=k, mode="clip")
    starts[:] = np.take(prefix_starts, j.view(np.int64), out=length, mode="clip")

    doubt = _round(fraction, power, half, kind, number, [a, *spare], j, flag.view(bool))
    np.less(doubt, _DOUBT, out=flag.view(bool))
    rest |= flag.view(bool)
    np.take(table.pad, decade.view(np.int64), out=j, mode="clip")
    np.multiply(number, j, out=number)
    _digits(number, kind, slots, length, (j, k), flag)
    np.add(length, 8, out=ends, casting="unsafe")
    return np.flatnonzero(rest)


def _round(fraction, power, half, kind, number, spare, k, close):
    """number = fraction * power, rounded to as few digits as stay within `half` of it."""
    last, best, t, doubt = spare
    if kind.dtype == "f8":
        np.bitwise_and(fraction.view(np.uint64), _UPPER_24, out=t.view(np.uint64))
        np.subtract(fraction, t, out=fraction)
        np.multiply(t, power, out=t)
        np.multiply(fraction, power, out=fraction)
        first = np.floor(t, out=power)
        np.copyto(number.view(np.int64), first, casting="unsafe")
        np.multiply(number, np.uint64(10**9), out=number)
        np.subtract(t, first, out=last)
        np.add(last, fraction, out=last)
        np.multiply(last, 1e9, out=last)
    else:
        np.multiply(fraction, power, out=last)
        number[:] = 0

    np.rint(last, out=best)
    doubt[:] = 1
    for dropped in range(1, kind.digits - kind.safe_digits + 1):
        step = 10.0**dropped
        np.multiply(last, 1 / step, out=t)
        np.rint(t, out=t)
        np.multiply(t, step, out=t)
        np.subtract(last, t, out=fraction)
        np.abs(fraction, out=fraction)
        np.subtract(half, fraction, out=fraction)
        np.greater(fraction, 0, out=close)
        np.copyto(best, t, where=close)
        np.abs(fraction, out=fraction)
        np.minimum(doubt, fraction, out=doubt)
    np.copyto(k.view(np.int64), best, casting="unsafe")
    np.add(number, k, out=number)
    return doubt


def _digits(number, kind, slots, length, spare, flag):
    """The digits of `number`, with zeros in front, as text; `length`, without zeros at the end."""
    q, t = spare
    texts, used = _four_digits()
    columns = slots.view(np.uint32)
    np.floor_divide(number, np.uint64(10), out=q)
    np.multiply(q, np.uint64(10), out=t)
    np.subtract(number, t, out=t)
    slots[:, kind.groups // 2 + 1] = t
    np.copyto(length, t, casting="unsafe")
    np.minimum(length, 1, out=length)
    np.multiply(length, kind.digits, out=length)
    slots[:, kind.groups // 2 + 1] += np.uint64(48)
    np.maximum(length, 1, out=length)
    group = _BUFFERS.groups[: len(number)]
    for g in reversed(range(kind.groups)):
        np.floor_divide(q, np.uint64(10_000), out=number)
        np.multiply(number, np.uint64(10_000), out=t)
        np.subtract(q, t, out=t)
        columns[:, 2 + g] = np.take(texts, t.view(np.int64), out=group, mode="clip")
        np.take(used[g], t.view(np.int64), out=flag, mode="clip")
        np.maximum(length, flag, out=length)
        q, number = number, q


def _by_arrow(x, others, lead, slots, starts, ends):
    """The texts of the numbers x[others], with Arrow's cast."""
    if not len(others):
        return
    import pyarrow as pa

    values = x[others]
    floats = pa.from_numpy_dtype(values.dtype)
    # Not pa.array: it imports pandas, if there is one, for a third of a second.
    array = pa.Array.from_buffers(floats, len(values), [None, pa.py_buffer(values)])
    cast = array.cast(pa.string())
    offsets = np.frombuffer(cast.buffers()[1], np.int32)[: len(values) + 1]
    data = np.frombuffer(cast.buffers()[2], np.uint8)
    columns = np.arange(SLOT - 1)
    text = np.empty((len(values), SLOT), np.uint8)
    text[:, 0] = ord(lead)
    text[:, 1:] = data[np.minimum(offsets[:-1, None] + columns, len(data) - 1)]
    lengths = 1 + np.diff(offsets)
    text *= np.arange(SLOT) < lengths[:, None]
    integral = np.flatnonzero(~np.isin(text, _MARKS_OF_A_FLOAT).any(axis=1))
    text[integral, lengths[integral]] = ord(".")
    text[integral, lengths[integral] + 1] = ord("0")
    lengths[integral] += 2
    slots[others] = text.view(np.uint64)
    starts[others] = 0
    ends[others] = lengths

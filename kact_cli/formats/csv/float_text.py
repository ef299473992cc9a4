"""The shortest text of floating-point numbers, for whole arrays at once.

`shortest` gives what Python's `repr` and `str(numpy.float32)` give for the digits: of all decimals
that read back as the same number, the one with the fewest digits, and of those the nearest. A
number always looks like a float (`1.0`, never `1`), so that a column is still one of floats when
the text is read again. Below 1e-6 and from 1e10 on it is scientific: `1e-7`, `1.5e+10`.

How: let `fraction` be the part of |x| after the point, and q such that the number has as many
significant digits as any number of its dtype can need (17 for float64). A decimal reads back as x
if it is within half the distance to the next number; so V = fraction * 10**q is computed, with an
error of a millionth, and rounded to as few digits as stay within that distance times 10**q.
Where that is nearer than the error, which one number in a hundred thousand is, and for what is
not 0 or within 1e-5 <= |x| < 1e4, Arrow's cast decides, which takes three times as long.

Every operation works on a tile that stays in cache and writes to a buffer that is used again:
memory that is newly allocated costs ten times as much as the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import local
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from kact_cli.errors import UsageError
from kact_cli.formats.csv import float_tables
from kact_cli.formats.csv.float_tables import FLOAT16, HIGH, LOW, PREFIXES, FloatType
from kact_cli.tables.arrays import arrow_array

Floats = NDArray[Any]
F8 = NDArray[np.float64]
U8 = NDArray[np.uint64]

TILE = 1 << 15
"""Numbers worked on at once. Half as many are as fast in one thread; with two, each operation
should be long beside the handing over of the interpreter's lock."""

SLOT = 32
"""Bytes for one text: 8 for all up to the point and the zeros after it, then the digits. The
longest, -2.2250738585072014e-308 and its lead, has 25."""

_DOUBT = 1e-5
_UPPER_24_BITS = np.uint64(0xFFFF_FFFF_E000_0000)
_MANTISSA = np.uint64(0x000F_FFFF_FFFF_FFFF)


class Texts(NamedTuple):
    """Pieces of text in one buffer: text i is `data[starts[i]:ends[i]]`, in rising order."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]


class _Buffers(local):
    """One thread's buffers for a tile."""

    def __init__(self) -> None:
        self.floats = np.empty((7, TILE))
        self.integers = np.empty((4, TILE), np.uint64)
        self.bytes = np.empty((2, TILE), np.uint8)
        self.group = np.empty(TILE, np.uint32)


_BUFFERS = _Buffers()


def shortest(x: Floats, lead: bytes = b",", reserve: int = 0) -> Texts:
    """The shortest text of each number of the 1-D array `x`, each led by the one byte `lead`.

    `x` is float64, float32 or float16, of which the numbers left to Arrow are written as the
    float32 that they equal. The first `reserve` bytes of the buffer are left for the caller.
    """
    before = -(-reserve // SLOT)
    slots = np.empty((before + len(x), SLOT // 8), np.uint64)
    texts = slots[before:]
    starts = np.empty(len(x), np.int32)
    ends = np.empty(len(x), np.int32)
    others = [np.empty(0, np.intp)]
    for i in range(0, len(x), TILE):
        tile = slice(i, i + TILE)
        left = _write_tile(x[tile], lead, texts[tile], starts[tile], ends[tile])
        others.append(left + i)
    rest = np.concatenate(others)
    for i in range(0, len(rest), TILE):
        _write_by_arrow(x, rest[i : i + TILE], lead, texts, starts, ends)
    offsets = np.arange(before * SLOT, len(slots) * SLOT, SLOT, dtype=np.int32)
    starts += offsets
    ends += offsets
    return Texts(slots.view(np.uint8).reshape(-1), starts, ends)


def formatted(x: Floats, spec: str, lead: bytes = b",", reserve: int = 0) -> Texts:
    """Each number of the 1-D array `x` as Python's `format(number, spec)` gives it; as `shortest`.

    Raises UsageError if `spec` is no format of a float.
    """
    check_format(spec)
    texts = [lead + format(number, spec).encode() for number in x.tolist()]
    offsets = np.cumsum([reserve, *map(len, texts)], dtype=np.int32)
    data = np.frombuffer(bytes(reserve) + b"".join(texts), np.uint8).copy()
    return Texts(data, offsets[:-1], offsets[1:])


def check_format(spec: str) -> None:
    """Raise UsageError if `spec` is no format of a float."""
    try:
        format(1.0, spec)
    except ValueError:
        raise UsageError(f"not a float format: {spec!r}; try .6g or .3f") from None


def _write_tile(
    x: Floats, lead: bytes, slots: U8, starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> NDArray[np.intp]:
    """Write the texts of at most TILE numbers, offsets counted from each slot's first byte.

    Gives the indices of the numbers whose text is not to be relied on.
    """
    n = len(x)
    signed, a, power, half, *spare = _BUFFERS.floats[:, :n]
    number, decade, j, k = _BUFFERS.integers[:, :n]
    flag, length = _BUFFERS.bytes[:, :n]
    kind = float_tables.KINDS[x.dtype.itemsize]
    table = float_tables.tables(kind)

    with np.errstate(invalid="ignore"):  # a signaling NaN that is widened
        np.copyto(signed, x)
    np.abs(signed, out=a)
    others = ~((a < HIGH) & ((a >= LOW) | (a == 0)))
    if kind is FLOAT16:
        # The neighbour below a power of two is nearer than that above. In the other dtypes these
        # powers, being exact in few digits, come out right all the same.
        others |= ((a.view(np.uint64) & _MANTISSA) == 0) & (a > 0) & (a < 1)
    a[others] = 1

    np.right_shift(a.view(np.uint64), np.uint64(52), out=decade)
    bound = np.take(table.bound, decade.view(np.intp), out=power, mode="clip")
    np.copyto(j, np.greater_equal(a, bound, out=flag.view(bool)))
    decade += decade
    decade += j
    index = decade.view(np.intp)
    np.take(table.power, index, out=power, mode="clip")
    np.take(table.half, index, out=half, mode="clip")

    whole = np.floor(a, out=spare[0])
    a -= whole
    np.copyto(j.view(np.int64), whole, casting="unsafe")
    j += np.take(table.prefix, index, out=k.view(np.int64), mode="clip").view(np.uint64)
    np.right_shift(signed.view(np.int64), 63, out=k.view(np.int64))
    k &= np.uint64(PREFIXES)
    j += k
    prefixes, begins = float_tables.prefixes(lead)
    slots[:, 0] = np.take(prefixes, j.view(np.intp), out=k, mode="clip")
    starts[:] = np.take(begins, j.view(np.intp), out=length, mode="clip")

    doubt = _round(a, power, half, kind, number, [signed, *spare], j)
    others |= np.less(doubt, _DOUBT, out=flag.view(bool))
    number *= np.take(table.pad, index, out=j, mode="clip")
    _write_digits(number, kind, slots, length, (j, k), flag)
    np.add(length, 8, out=ends, casting="unsafe")
    return np.flatnonzero(others)


def _round(
    fraction: F8,
    power: F8,
    half: F8,
    kind: FloatType,
    number: U8,
    spare: Sequence[F8],
    k: U8,
) -> F8:
    """Set `number` to V, rounded to as few digits as stay nearer to it than `half`.

    V is fraction * power for float32, whose error is 2**-23 at most, V being below 10**9.
    float64 takes two steps: `power` gives the first eight digits, from products of 24 and 28 bits
    that are exact, and what is left is below 1, of which 10**9 makes the last nine.
    Gives how near each decision was.
    """
    last, best, t, doubt = spare
    if kind.low_digits:
        np.bitwise_and(fraction.view(np.uint64), _UPPER_24_BITS, out=t.view(np.uint64))
        fraction -= t
        t *= power
        fraction *= power
        first = np.floor(t, out=power)
        np.copyto(number.view(np.int64), first, casting="unsafe")
        number *= np.uint64(10**kind.low_digits)
        np.subtract(t, first, out=last)
        last += fraction
        last *= 10.0**kind.low_digits
    else:
        np.multiply(fraction, power, out=last)
        number.fill(0)

    np.rint(last, out=best)
    doubt.fill(1)
    margin = fraction
    for digits in range(1, kind.droppable + 1):
        np.multiply(last, 10.0**-digits, out=t)
        np.rint(t, out=t)
        t *= 10.0**digits
        np.subtract(last, t, out=margin)
        np.abs(margin, out=margin)
        np.subtract(margin, half, out=margin)
        _choose(best, t, margin, k)
        np.abs(margin, out=margin)
        np.minimum(doubt, margin, out=doubt)
    np.copyto(k.view(np.int64), best, casting="unsafe")
    number += k
    return doubt


def _choose(best: F8, other: F8, sign: F8, spare: U8) -> None:
    """Set `best` to `other` where `sign` is negative; overwrites `other`.

    By bits: for `copyto(where=)`, which branches, there is nothing to foresee.
    """
    bits, others = best.view(np.uint64), other.view(np.uint64)
    np.right_shift(sign.view(np.int64), 63, out=spare.view(np.int64))
    others ^= bits
    others &= spare
    bits ^= others


def _write_digits(
    number: U8,
    kind: FloatType,
    slots: U8,
    length: NDArray[np.uint8],
    spare: tuple[U8, U8],
    flag: NDArray[np.uint8],
) -> None:
    """Write the digits of `number`, zeros in front, after the first eight bytes of each slot, and
    set `length` to how many there are without the zeros at the end; but to one at least."""
    rest, t = spare
    texts = float_tables.four_digits()
    columns = slots.view(np.uint32)
    group = _BUFFERS.group[: len(number)]

    np.floor_divide(number, np.uint64(10), out=rest)
    np.multiply(rest, np.uint64(10), out=t)
    np.subtract(number, t, out=t)
    np.copyto(length, t, casting="unsafe")
    np.minimum(length, 1, out=length)
    length *= np.uint8(kind.digits)
    np.maximum(length, 1, out=length)
    t += np.uint64(ord("0"))
    slots[:, 1 + kind.digits // 8] = t
    for position in reversed(range(0, kind.digits - 1, 4)):
        np.floor_divide(rest, np.uint64(10_000), out=number)
        np.multiply(number, np.uint64(10_000), out=t)
        rest -= t
        four = rest.view(np.intp)
        columns[:, 2 + position // 4] = np.take(texts, four, out=group, mode="clip")
        used = float_tables.used_digits(position)
        np.maximum(length, np.take(used, four, out=flag, mode="clip"), out=length)
        rest, number = number, rest


def _write_by_arrow(
    x: Floats,
    others: NDArray[np.intp],
    lead: bytes,
    slots: U8,
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
) -> None:
    """Write the texts of the numbers x[others] with Arrow's cast."""
    import pyarrow as pa

    values = x[others].astype(np.promote_types(x.dtype, np.float32), copy=False)
    cast = arrow_array(values).cast(pa.string())
    offsets = np.frombuffer(cast.buffers()[1], np.int32)[: len(values) + 1]
    data = np.frombuffer(bytes(cast.buffers()[2]) + bytes(SLOT), np.uint8)
    lengths = np.diff(offsets) + 1

    text = np.empty((len(values), SLOT), np.uint8)
    text[:, 0] = ord(lead)
    text[:, 1:] = sliding_window_view(data, SLOT - 1)[offsets[:-1]]
    text *= np.arange(SLOT) < lengths[:, None]
    looks_like_a_float = (text == ord(".")) | (text == ord("e")) | (text == ord("n"))
    integral = np.flatnonzero(~looks_like_a_float.any(axis=1))
    text[integral, lengths[integral]] = ord(".")
    text[integral, lengths[integral] + 1] = ord("0")
    slots[others] = text.view(np.uint64)
    starts[others] = 0
    lengths[integral] += 2
    ends[others] = lengths

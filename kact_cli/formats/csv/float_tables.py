"""Tables for `float_text`: powers of ten by the size of a number, and texts ready to be copied."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 1e-5, 1e4
"""The numbers that the tables are for: zero, and LOW <= |x| < HIGH."""

_DECADES = range(-5, 4)
_GROUPS = np.arange(10_000)
_ZEROS_AFTER_POINT = range(5)
PREFIXES = len(_GROUPS) + len(_ZEROS_AFTER_POINT)
"""What may precede the digits after the point: 0. to 9999., and 0. to 0.0000 of small numbers."""


@dataclass(frozen=True)
class FloatType:
    """A floating-point type, and how its numbers are cut into digits."""

    dtype: np.dtype[Any]
    digits: int
    """Significant digits that tell any number from its neighbours."""
    droppable: int
    """Of these, how many may turn out not to be needed; the others are correct always."""
    low_digits: int
    """How many of the last digits are computed apart from the first, for lack of bits."""


FLOAT64 = FloatType(np.dtype(np.float64), digits=17, droppable=2, low_digits=9)
FLOAT32 = FloatType(np.dtype(np.float32), digits=9, droppable=3, low_digits=0)
FLOAT16 = FloatType(np.dtype(np.float16), digits=9, droppable=6, low_digits=0)
KINDS = {kind.dtype.itemsize: kind for kind in (FLOAT64, FLOAT32, FLOAT16)}


@dataclass(frozen=True)
class Tables:
    """What depends on the decade of |x|; `bound` is indexed by the 11 bits of the exponent of
    float64, the others by twice that, plus one if |x| >= bound."""

    bound: NDArray[np.float64]
    """The power of ten among the numbers of that exponent, or infinity."""
    power: NDArray[np.float64]
    """10**(q - low digits), q being the digits after the point."""
    half: NDArray[np.float64]
    """Half the distance to the next number of the dtype, times 10**q."""
    pad: NDArray[np.uint64]
    """10 to the number of digits before the point: what puts the q digits flush left."""
    prefix: NDArray[np.int64]
    """What to add to the integer part for the prefix's number."""


@cache
def tables(kind: FloatType) -> Tables:
    """The tables for a dtype. Zero, which has the exponent 0, is in the decade of 1."""
    bound = np.full(2048, np.inf)
    decade = np.zeros((2048, 2), np.int64)
    tens = {d: float(kind.dtype.type(f"1e{d}")) for d in _DECADES}
    exponents = range(-17, 14)
    for e in exponents:
        decade[e + 1023] = max((d for d in tens if tens[d] <= 2.0**e), default=-5)
        for d, ten in tens.items():
            if 2.0**e < ten < 2.0 ** (e + 1):
                bound[e + 1023], decade[e + 1023, 1] = ten, d
    decades = decade.reshape(-1)
    info = np.finfo(kind.dtype)
    ulp = np.zeros((2048, 2))
    for e in exponents:
        ulp[e + 1023] = max(2.0**e * float(info.eps), float(info.smallest_subnormal))
    after_point = kind.digits - 1 - decades
    return Tables(
        bound=bound,
        power=_powers_of_ten(after_point - kind.low_digits),
        half=ulp.reshape(-1) / 2 * _powers_of_ten(after_point),
        pad=np.array([10 ** max(0, d + 1) for d in decades.tolist()], np.uint64),
        prefix=np.where(decades < 0, len(_GROUPS) - 1 - decades, 0),
    )


def _powers_of_ten(exponents: NDArray[np.int64]) -> NDArray[np.float64]:
    """Exact: they are at most 10**22."""
    return np.array([float(10**e) for e in exponents.tolist()])


@cache
def four_digits() -> NDArray[np.uint32]:
    """The text of 0000 to 9999, four bytes each."""
    return _digit_bytes().view(np.uint32).reshape(-1)


def _digit_bytes() -> NDArray[np.uint8]:
    digits = _GROUPS[:, None] // [1000, 100, 10, 1] % 10
    return (digits + ord("0")).astype(np.uint8)


@cache
def used_digits(position: int) -> NDArray[np.uint8]:
    """For 0000 to 9999 that stand at `position` in a number: its digits up to the last in the four
    that is not zero, or 0."""
    zeros = sum((_GROUPS % ten == 0).astype(np.int64) for ten in (10, 100, 1000, 10_000))
    return np.where(_GROUPS > 0, position + 4 - zeros, 0).astype(np.uint8)


@cache
def prefixes(lead: bytes) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """The prefixes after `lead`, first without then with a minus, flush right in eight bytes, and
    where in these they begin."""
    texts = np.full((2, PREFIXES, 8), ord("."), np.uint8)
    begins = np.empty((2, PREFIXES), np.int64)
    texts[:, : len(_GROUPS), 3:7] = _digit_bytes()
    begins[:, : len(_GROUPS)] = 7 - np.searchsorted([10, 100, 1000], _GROUPS, side="right") - 1
    for zeros in _ZEROS_AFTER_POINT:
        text = b"0." + b"0" * zeros
        texts[:, len(_GROUPS) + zeros, 8 - len(text) :] = np.frombuffer(text, np.uint8)
        begins[:, len(_GROUPS) + zeros] = 8 - len(text)
    for sign, before in enumerate((lead, lead + b"-")):
        for back, byte in enumerate(reversed(before), start=1):
            texts[sign, np.arange(PREFIXES), begins[sign] - back] = byte
        begins[sign] -= len(before)
    return texts.view(np.uint64).reshape(-1), begins.reshape(-1).astype(np.uint8)

"""bfloat16 in and out of float32 and float64: the upper half of a float32's bits.

NumPy has no such dtype; kact keeps the values as `types.BFLOAT16`, two bytes each. The format: one
sign bit, eight of exponent, seven of mantissa, in everything else as IEEE-754 binary32
(https://cloud.google.com/tpu/docs/bfloat16).
"""

from __future__ import annotations

import numpy as np

from kact_cli.types import BFLOAT16, Array

MINUS_INF, NAN, _QUIET = 0xFF80, 0x7FC0, 0x40
"""Bits of a bfloat16: those of -inf, those of a NaN, and the one that makes a NaN quiet."""
_LEAST = 2.0**-126
"""The smallest normal number: what is below has fewer digits."""


def widen(x: Array, out: Array) -> None:
    """Convert bfloat16 to float32 exactly; both are contiguous and of one shape."""
    bits = out.view(np.uint32)
    np.copyto(bits, x.view(np.uint16))
    bits <<= 16


def narrow(x: Array, tmp: Array, out: Array) -> None:
    """Round float32 or float64 to bfloat16, ties to even; overwrites x and tmp.

    All three are contiguous, of one shape. Adding half of what is cut off, and one less where the
    last bit that stays is even, carries into the exponent where it has to. In float64, adding and
    taking away 1.5 * 2**45 times x's own power of two leaves eight digits first, fewer below
    2**-126, which float32 then holds.
    """
    if x.dtype == np.float64:
        negative = np.signbit(x)
        np.copyto(tmp, x)
        powers = tmp.view(np.uint64)
        powers &= np.uint64(0x7FF0000000000000)
        np.clip(tmp, _LEAST, 2.0**200, out=tmp)
        tmp *= 1.5 * 2**45
        x += tmp
        x -= tmp
        x[negative & (x == 0)] = -0.0  # which adding has made 0.0
        tmp = tmp.reshape(-1).view(np.float32)[: x.size].reshape(x.shape)
        np.copyto(tmp, x, casting="same_kind")
        x, tmp = tmp, x
    bits, result = x.view(np.uint32), out.view(np.uint16)
    nan = np.isnan(x.max(initial=0))  # NaN is passed on, whatever it is compared with
    if nan:
        holes = np.isnan(x)
        bits[holes] >>= np.uint32(16)
        payloads = bits[holes].astype(np.uint16)
        payloads[payloads & 0x7F == 0] |= _QUIET  # or it would be an infinity
        bits[holes] = 0
    odd = tmp.reshape(-1).view(np.uint32)[: x.size].reshape(x.shape)
    np.right_shift(bits, 16, out=odd)
    odd &= 1
    odd += 0x7FFF
    bits += odd
    bits >>= 16
    np.copyto(result, bits, casting="unsafe")
    if nan:
        result[holes] = payloads


def as_floats(x: Array) -> Array:
    """An array of bfloat16 as float32; any other as it is."""
    if x.dtype != BFLOAT16:
        return x
    out = np.empty(x.shape, np.float32)
    widen(np.ascontiguousarray(x), out)
    return out


def as_bfloat16(x: Array) -> Array:
    """An array of numbers rounded to bfloat16; one of bfloat16 as it is."""
    if x.dtype == BFLOAT16:
        return x
    wide = np.array(x, np.float32 if x.dtype.itemsize <= 4 and x.dtype.kind == "f" else np.float64)
    out = np.empty(x.shape, BFLOAT16)
    narrow(wide, np.empty_like(wide), out)
    return out

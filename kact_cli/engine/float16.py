"""Float16 in and out of float32, exactly and many times faster than NumPy's casts.

NumPy converts float16 one element at a time, and takes some 70 ns for a float32 whose float16 is
subnormal. Whatever is elementwise is a look-up (see `lookup`); only results that depend on more
than one element need `widen` and `narrow`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kact_cli.types import every_value

Float16 = NDArray[np.float16]
Float32 = NDArray[np.float32]

# Bits of float16, and of the float32 65536, which stands for inf.
_INF, MINUS_INF, _TOO_LARGE = 0x7C00, 0xFC00, 0x47800000


def widen(x: Float16, out: Float32) -> None:
    """Convert float16 to float32; both are contiguous, of one shape, in native byte order.

    Its bits, moved to where a float32 has them, are x times 2**-112, if x is finite.
    """
    if x.view(np.int16).max(initial=0) >= _INF or x.view(np.uint16).max(initial=0) >= MINUS_INF:
        _every_float16().take(x.view(np.uint16), out=out, mode="wrap")
        return
    bits = out.view(np.int32)
    np.copyto(bits, x.view(np.int16))
    bits <<= 13
    bits &= ~0x70001FFF  # what the sign was extended to
    out *= 2.0**112


def narrow(x: Float32, tmp: Float32, out: Float16) -> None:
    """Round float32 to float16, ties to even, as a cast does; overwrites x and tmp.

    All three are contiguous, of one shape, in native byte order. Adding and taking away 1.5 * 2**13
    times x's own power of two leaves x with the 11 digits of a float16, fewer below 2**-14, where
    that power stays; dividing by 2**112 then gives x the exponent of a float16 in a float32's bits.
    """
    bits, scale = x.view(np.int32), tmp.view(np.int32)
    signs = None
    if bits.min(initial=0) < 0 or bits.max(initial=0) >= _TOO_LARGE:
        np.right_shift(bits, 16, out=scale)
        signs = out.view(np.uint16)
        np.copyto(signs, scale, casting="unsafe")
        signs &= 0x8000
        np.clip(x, -65536, 65536, out=x)  # 65536 stands for inf
    np.bitwise_and(bits, 0x7F800000, out=scale)
    np.clip(tmp, 2.0**-14, np.inf, out=tmp)
    tmp *= 1.5 * 2**13
    x += tmp
    x -= tmp
    x *= 2.0**-112
    bits >>= 13
    if signs is None:
        np.copyto(out.view(np.uint16), bits, casting="unsafe")
        return
    magnitudes = tmp.reshape(-1).view(np.uint16)[: out.size].reshape(out.shape)
    np.copyto(magnitudes, bits, casting="unsafe")
    magnitudes &= 0x7FFF
    signs |= magnitudes


@cache
def _every_float16() -> NDArray[Any]:
    values = every_value(np.dtype(np.float16)).astype(np.float32)
    values.flags.writeable = False
    return values

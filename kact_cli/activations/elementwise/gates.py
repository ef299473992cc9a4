"""Gates: x times something between 0 and 1 that depends on x.

As in Keras, -inf times that 0 is NaN.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from kact_cli.activations.arithmetic.floating import product_rest, sum_rest
from kact_cli.activations.math import Math, Tile, blocks
from kact_cli.activations.registry import Doc, activation

GROUP = "Gates"

# From here on tanh(softplus(x)) is 1
_LARGE = 40

# 2 * sqrt(2 / pi), and that times 0.044715; and the first digits of them and the others
_LINEAR = "1.5957691216057307117597842397375274739034345246597386306637"
_CUBIC = "0.0713548162726002487763387522798635409955920747701602128701275"
_LINEAR_UPPER, _LINEAR_LOWER = 0x19884533D / 2**32, 6.129509145186187e-11
_CUBIC_UPPER, _CUBIC_LOWER = 0x1244 / 2**16, 4.718616350248776e-06


@activation(in_float64=lambda values: bool(values["approximate"]))
def gelu(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    approximate: Annotated[bool, Doc("Take the form with tanh.", elsewhere="true in JAX")] = False,
) -> None:
    """Gaussian error linear unit.

    x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) if approximate,
    x / 2 * (1 + erf(x / sqrt(2))) otherwise

    No digits are lost where tanh and erf are near -1. tf_keras.activations.gelu,
    keras.activations.gelu; Hendrycks et al. 2016, https://arxiv.org/abs/1606.08415.
    """
    if approximate:
        _gelu_by_tanh(x, tmp, m)
    else:
        m.gelu(x, tmp)
        np.copyto(x, tmp)


@activation(aliases=("swish",), in_float64=lambda values: values["alpha"] != 1)
def silu(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    alpha: Annotated[float, Doc("Factor of x within the sigmoid, as ONNX has it.")] = 1.0,
) -> None:
    """Sigmoid linear unit, or swish.

    x / (1 + exp(-alpha * x))

    With alpha=1.702 it is known as quick_gelu. tf_keras.activations.swish, keras.activations.silu;
    Ramachandran et al. 2017, https://arxiv.org/abs/1710.05941.
    """
    if alpha == 1:
        np.copyto(tmp, x)
        _times_sigmoid(x, tmp, None, m)
        return
    np.multiply(x, alpha, out=tmp)
    rest = None
    if m.careful and x.dtype == np.float64:
        rest = product_rest(x, np.array(float(alpha)), tmp)
    _times_sigmoid(x, tmp, rest, m)


@activation(in_float64=lambda _: True)
def mish(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Mish.

    x * tanh(log(1 + exp(x)))

    Computed as x / (1 + 2 / (2 * e + e**2)), e = exp(x). tf_keras.activations.mish,
    keras.activations.mish; Misra 2019, https://arxiv.org/abs/1908.08681.
    """
    for part, e in blocks(x, tmp):
        far = _farther(part, -1)
        rest = part[far]
        np.minimum(part, _LARGE, out=e)
        m.exp(e, e)
        square = e * e
        e += e
        below = e + square
        lost = sum_rest(e, square, below) if m.exact and m.careful else None
        inverse = np.divide(2, below, out=e)
        if lost is None:
            inverse += 1
            part /= inverse
        else:
            # What rounding loses of `inverse`, and relatively of what x is divided by
            lost *= inverse
            lost += product_rest(inverse, below, np.array(2.0))
            lost *= inverse / 2
            np.add(inverse, 1, out=below)
            lost -= sum_rest(inverse, np.array(1.0), below)
            lost /= below
            part /= below
            lost *= part
            np.copyto(lost, 0, where=~np.isfinite(lost))
            part += lost
        if rest.size:
            _times_sigmoid(rest, rest.copy(), None, m)  # which is the same there
            part[far] = rest


@activation(aliases=("hard_swish",))
def hard_silu(x: Tile, tmp: Tile, m: Math, /) -> None:
    """Sigmoid linear unit with a sigmoid of straight lines, or hard swish.

    x * min(max(x + 3, 0), 6) / 6

    keras.activations.hard_silu; Howard et al. 2019, https://arxiv.org/abs/1905.02244.
    """
    np.add(x, 3, out=tmp)
    np.clip(tmp, 0, 6, out=tmp)
    tmp /= 6
    x *= tmp


def _farther(x: Tile, sign: int) -> Tile:
    """Which of sign * x are so large that their exp is no number, or -x's no normal one."""
    if x.dtype.kind != "f" or (x.max(initial=0) if sign > 0 else -x.min(initial=0)) <= _most(x):
        return np.empty(0, np.intp)
    return np.flatnonzero(sign * x > _most(x))


def _most(x: Tile) -> float:
    """Of the large numbers whose exp is one, one whose exp needs hardly any rounding."""
    return 78.0 if x.itemsize == 4 else 636.0


def _times_sigmoid(x: Tile, y: Tile, rest: Tile | None, m: Math) -> None:
    """Overwrite x with x / (1 + exp(-(y + rest))), and y and rest."""
    np.negative(y, out=y)
    far = _farther(y, 1)
    # exp overflows before the result underflows: two factors instead
    factor = y[far]
    if factor.size:
        np.subtract(_most(y), factor, out=factor)
        m.exp(factor, factor)
        y[far] = _most(y)
    if rest is None:
        m.exp(y, y)
    else:
        np.negative(rest, out=rest)
        m.exp_of_sum(y, rest, y)
    y += 1
    x /= y
    if factor.size:
        x[far] *= factor


def _gelu_by_tanh(x: Tile, tmp: Tile, m: Math) -> None:
    """x / (1 + exp(-y)), y = 2 * sqrt(2 / pi) * (x + 0.044715 * x**3)."""
    linear, cubic = m.number(_LINEAR), m.number(_CUBIC)
    if not m.careful or x.dtype != np.float64:
        np.multiply(x, x, out=tmp)
        tmp *= cubic
        tmp += linear
        tmp *= x
        _times_sigmoid(x, tmp, None, m)
        return
    for part, y in blocks(x, tmp):
        _times_sigmoid(part, y, _argument(part, y), m)


def _argument(x: Tile, y: Tile) -> Tile:
    """Write y to its argument, and return what it lacks.

    For the nearest a whose digits end with those of 1/256, a**3 and its products with constants of
    few digits are exact. The rest is so small that its errors are none of y's.
    """
    x = np.clip(x, -_LARGE, _LARGE)
    a = x * 256
    np.rint(a, out=a)
    a /= 256
    h = x - a
    square = a * a
    upper = square * _CUBIC_UPPER
    upper += _LINEAR_UPPER
    upper *= a
    # linear * h + cubic * (x**3 - a**3)
    x *= a
    x *= 3
    x += h * h
    x *= _CUBIC_UPPER + _CUBIC_LOWER
    x += _LINEAR_UPPER + _LINEAR_LOWER
    x *= h
    square *= _CUBIC_LOWER
    square += _LINEAR_LOWER
    square *= a
    x += square
    np.add(upper, x, out=y)
    upper -= y
    upper += x
    lacks: Tile = upper
    return lacks

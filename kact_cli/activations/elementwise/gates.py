"""Gates: x times something between 0 and 1 that depends on x.

As in Keras, -inf times that 0 is NaN.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from kact_cli.activations.arithmetic.floating import product_rest, square_rest, sum_rest
from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Doc, activation

GROUP = "Gates"

# From here on tanh(softplus(x)) is 1
_LARGE = 40

# 2 * sqrt(2 / pi), and that times 0.044715; and what rounding them to float64 loses
_LINEAR = "1.5957691216057307117597842397375274739034345246597386306637"
_CUBIC = "0.0713548162726002487763387522798635409955920747701602128701275"
_LINEAR_REST, _CUBIC_REST = -9.96930880911092e-17, -6.175149918155315e-19


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

    Computed as x * n / (n + 2), n = e * (e + 2), e = exp(x). tf_keras.activations.mish,
    keras.activations.mish; Misra 2019, https://arxiv.org/abs/1908.08681.
    """
    far = _farther(x, -1)
    rest = x[far]
    np.minimum(x, _LARGE, out=tmp)
    m.exp(tmp, tmp)
    more = tmp + 2
    n = tmp * more
    below = n + 2
    lost = None
    if m.careful and x.dtype == np.float64:
        # What rounding loses of n and of n + 2, relatively
        lost = product_rest(tmp, more, n) + tmp * sum_rest(tmp, np.array(2.0), more)
        lost = lost / n - (lost + sum_rest(n, np.array(2.0), below)) / below
    n /= below
    x *= n
    if lost is not None:
        lost *= x
        np.copyto(lost, 0, where=~np.isfinite(lost))
        x += lost
    if rest.size:
        _times_sigmoid(rest, rest.copy(), None, m)  # which is the same there
        x[far] = rest


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
    return 87.0 if x.itemsize == 4 else 708.0


def _exp_of_most(x: Tile) -> float:
    return 6.076030225056872e37 if x.itemsize == 4 else 3.023383144276055e307


def _times_sigmoid(x: Tile, y: Tile, rest: Tile | None, m: Math) -> None:
    """Overwrite x with x / (1 + exp(-(y + rest))), and y and rest."""
    np.negative(y, out=y)
    far = _farther(y, 1)
    # exp overflows before the result underflows: two factors instead
    factor = y[far]
    if factor.size:
        np.subtract(_most(y), factor, out=factor)
        m.exp(factor, factor)
        y[far] = 0
    if rest is None:
        m.exp(y, y)
    else:
        np.negative(rest, out=rest)
        m.exp_of_sum(y, rest, y)
    y += 1
    y[far] = _exp_of_most(y)
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
    near = np.clip(x, -_LARGE, _LARGE)
    square = near * near
    term = cubic * square
    lost = product_rest(square, np.array(cubic), term)
    lost += _CUBIC_REST * square + cubic * square_rest(near, square)
    factor = linear + term
    lost += sum_rest(np.array(linear), term, factor) + _LINEAR_REST
    np.multiply(near, factor, out=tmp)
    rest = product_rest(near, factor, tmp)
    rest += near * lost
    _times_sigmoid(x, tmp, rest, m)

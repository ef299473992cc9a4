"""The formula that an activation declares, evaluated in as many decimal digits as it takes.

So what `kact list` prints is tested, and each kernel against something that it does not share a
line with. Elementwise formulas are `A if B, C if D, E otherwise`, of Python's operators and of the
functions below; constants that they name stand in the notes, as `scale = 1.0507...`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from functools import cache
from types import CodeType
from typing import Any

from kact_cli.activations import ACTIVATIONS

DIGITS = (60, 140, 420)
"""How many digits are tried in turn: the result has to have forty of them, or to be no float64."""


def _tanh(x: Decimal) -> Decimal:
    # So large that the result is less than 1, and x minus that not x - 1
    e = max((-2 * abs(x)).exp(), Decimal(10) ** (20 - _digits()))
    return ((1 - e) / (1 + e)).copy_sign(x)


def _erf(x: Decimal) -> Decimal:
    """Abramowitz and Stegun 7.1.6, whose terms have one sign, and 7.1.14 to some fifty digits."""
    if abs(x) > 28:
        return Decimal(1).copy_sign(x)
    if abs(x) > 5:
        with localcontext(prec=60):
            below = abs(x)
            for n in range(200, 0, -1):
                below = abs(x) + Decimal(n) / 2 / below
        return (1 - (-x * x).exp() / below / _pi().sqrt()).copy_sign(x)
    term = total = 2 * x * (-x * x).exp() / _pi().sqrt()
    n = 1
    while abs(term) > abs(total) * Decimal(10) ** (-_digits() - 2):
        term *= 2 * x * x / (2 * n + 1)
        total += term
        n += 1
    return total


def _digits() -> int:
    from decimal import getcontext

    return getcontext().prec


def _pi() -> Decimal:
    return _pi_of(_digits())


@cache
def _pi_of(digits: int) -> Decimal:
    """Machin's formula."""

    def arctan_of_one_over(n: int) -> Decimal:
        power = total = Decimal(1) / n
        k, sign = 1, 1
        while power > Decimal(10) ** (-digits - 5):
            power /= n * n
            k, sign = k + 2, -sign
            total += sign * power / k
        return total

    with localcontext(Context(prec=digits + 10)):
        return 4 * (4 * arctan_of_one_over(5) - arctan_of_one_over(239))


FUNCTIONS: dict[str, Callable[..., Decimal]] = {
    "exp": Decimal.exp,
    "log": Decimal.ln,
    "sqrt": Decimal.sqrt,
    "tanh": _tanh,
    "erf": _erf,
    "abs": abs,
    "min": min,
    "max": max,
}


@cache
def compiled(name: str) -> tuple[CodeType, dict[str, str]]:
    """The formula as a Python expression, and the constants that its notes declare."""
    activation = ACTIVATIONS[name]
    *cases, last = (f"({case.removesuffix(',')})" for case in activation.cases)
    text = "".join(case.replace(" if ", ") if (") + " else " for case in cases)
    text += last.replace(" otherwise", "")
    code = compile(re.sub(r"\b\d+(\.\d+)?\b", r"D('\g<0>')", text), activation.formula, "eval")
    return code, dict(re.findall(r"(\w+) = (\d+\.\d{8,})", activation.notes))


def decimal_value(name: str, x: float, **given: Any) -> Decimal:
    """The exact value of an activation, to forty digits."""
    code, constants = compiled(name)
    values = {p.name: given.get(p.name, p.default) for p in ACTIVATIONS[name].parameters}
    for digits in DIGITS:
        with localcontext(Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])):
            known: dict[str, Any] = {k: Decimal(v) for k, v in constants.items()}
            for parameter, value in values.items():
                known[parameter] = (
                    value if isinstance(value, bool) else Decimal("inf" if value is None else value)
                )
            known.update(FUNCTIONS, D=Decimal, x=Decimal(x), pi=_pi())
            found: Decimal = eval(code, known)
        # The terms of a formula are of the size of 1, or of x
        if found and found.adjusted() > 40 - digits:
            break
    return found

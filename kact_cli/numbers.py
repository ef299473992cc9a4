"""Numbers as they are written in chains and options."""

from __future__ import annotations

import math
import re

# Patterns, compiled when they are first used and not at every start
_NUMBER = r"(?a)[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?|nan)"
_INTEGER = r"(?a)[+-]?\d+"
# The lengths are limited: an exponent of nine digits is an integer of gigabytes
_PART = r"(\d{1,24}\.?\d{0,24}|\.\d{1,24})(e[+-]?\d{1,3})?"
_FRACTION = rf"(?a)[+-]?{_PART}/{_PART}"
_EXACT = 2**64
"""Whole numbers up to this size stay integers: they are the bounds of an integer tensor."""


def parse_number(text: str) -> int | float | None:
    """The number that `text` spells, or None: `-0.5`, `1e-3`, `inf`, `nan`, `1/6`, `1/0.7`.

    Whole numbers up to 2**64 are integers. A fraction is that of the decimals as they are written,
    rounded once; None where it is beyond float64, or over 0.
    """
    word = text.lower()
    if re.fullmatch(_FRACTION, word):
        from fractions import Fraction  # with decimal: few chains have one

        above, _, below = word.partition("/")
        try:
            return float(Fraction(above) / Fraction(below))
        except (ZeroDivisionError, OverflowError):
            return None
    if not re.fullmatch(_NUMBER, word):
        return None
    if re.fullmatch(_INTEGER, word) and len(word) < 25 and abs(int(word)) <= _EXACT:
        return int(word)
    number = float(word)
    # One NaN object for all, so that a chain with it equals itself (containers compare by identity)
    return math.nan if math.isnan(number) else number

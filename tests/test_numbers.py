"""Numbers as they are written: what each is, and what is none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.numbers import parse_number

NUMBERS: dict[str, float] = {
    "3": 3,
    "-.5": -0.5,
    "+1E-3": 0.001,
    "18446744073709551616": 2**64,
    "-Infinity": -math.inf,
    "1e999": math.inf,
    "1/6": 1 / 6,
    "-6/3": -2.0,
    "1/0.7": 10 / 7,
    "1.5/3e2": 0.005,
    "1e999/1e998": 10.0,
    "1/1e999": 0.0,
}


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number(text: str) -> None:
    found = parse_number(text)
    assert found == NUMBERS[text]
    assert type(found) is type(NUMBERS[text])


NONE = "x|1_0|0x10|\u0663|1/0|0/0.0|inf/2|1/nan|1e300/1e-300|1e9999/1|1/2/3|1/-2|1/|/2|1 /2|none|"


@pytest.mark.parametrize("text", NONE.split("|"))
def test_no_number(text: str) -> None:
    assert parse_number(text) is None


# In tenths: rounding the numerator and the denominator first often gives another number
@given(st.integers(-999, 999), st.integers(1, 999))
def test_a_fraction_is_rounded_once(above: int, below: int) -> None:
    assert parse_number(f"{above / 10}/{below / 10}") == above / below

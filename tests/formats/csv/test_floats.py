"""The shortest text that reads back the same: what `repr` gives, for any bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.errors import UsageError
from kact_cli.formats.csv.floats import formatted, shortest

DTYPES = [np.float64, np.float32]
BITS = {np.float64: np.uint64, np.float32: np.uint32}


def texts(x, lead=b","):
    result = shortest(x, lead)
    data = result.data.tobytes()
    pieces = [data[s:e] for s, e in zip(result.starts, result.ends, strict=True)]
    assert all(piece[:1] == lead for piece in pieces)
    return [piece[1:].decode() for piece in pieces]


def digits(text):
    """The significant digits and the power of ten of the first, whatever the notation."""
    mantissa, _, exponent = text.lower().lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    significant = (whole + fraction).lstrip("0")
    zeros = len(whole + fraction) - len(significant)
    return significant.rstrip("0"), int(exponent or 0) + len(whole) - zeros if significant else 0


def check(x):
    for number, text in zip(x, texts(x), strict=True):
        if np.isnan(number):
            assert text == "nan"
            continue
        back = x.dtype.type(text)
        assert back == number, (text, number)
        assert np.signbit(back) == np.signbit(number), (text, number)
        assert set(text) & set(".en"), f"{text} looks like an integer"
        if np.isfinite(number):
            known = repr(float(number)) if x.dtype == np.float64 else str(number)
            assert digits(text) == digits(known), (text, known)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_any_bits(dtype, data):
    bits = data.draw(st.lists(st.integers(0, 2 ** (8 * dtype().itemsize) - 1), min_size=1))
    check(np.array(bits, BITS[dtype]).view(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_random_bits(dtype):
    rng = np.random.default_rng(1)
    bits = rng.integers(0, np.iinfo(BITS[dtype]).max, 20_000, BITS[dtype], endpoint=True)
    check(bits.view(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_usual_magnitudes(dtype):
    rng = np.random.default_rng(2)
    x = 10 ** rng.uniform(-5, 4, 50_000) * rng.choice([-1, 1], 50_000)
    check(x.astype(dtype))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_millions(dtype):
    rng = np.random.default_rng(3)
    for _ in range(10):
        x = 10 ** rng.uniform(-5.1, 4.1, 1 << 18) * rng.choice([-1, 1], 1 << 18)
        check(x.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("places", range(7))
def test_numbers_with_few_digits(dtype, places):
    x = np.arange(-30_000, 30_000, 7) / 10**places
    check(x.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_and_their_neighbours(dtype):
    # At a power of two the neighbour below is nearer than the one above; powers of ten are where
    # a decade ends.
    info = np.finfo(dtype)
    twos = [2.0**e for e in range(info.minexp, info.maxexp)]
    tens = [dtype(f"1e{e}") for e in range(-37, 38)]
    powers = np.array([*twos, *tens], dtype)
    x = np.concatenate(
        [powers, np.nextafter(powers, dtype(0)), np.nextafter(powers, dtype(np.inf))]
    )
    check(np.concatenate([x, -x]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_special(dtype):
    info = np.finfo(dtype)
    x = [0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, info.max, info.tiny, info.smallest_subnormal]
    check(np.array(x, dtype))
    assert texts(np.array(x[:6], dtype)) == ["0.0", "-0.0", "nan", "nan", "inf", "-inf"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_notation(dtype):
    x = np.array([1, -1, 0.5, 1e-5, 1e-7, 12345, 1e16, 1e20, 0.001], dtype)
    expected = "1.0 -1.0 0.5 0.00001 1e-7 12345.0 1e+16 1e+20 0.001"
    assert texts(x) == expected.split()


def test_every_float16():
    x = np.arange(1 << 16).astype(np.uint16).view(np.float16)
    for number, text in zip(x, texts(x), strict=True):
        assert np.isnan(number) if text == "nan" else np.float16(text) == number
        assert digits(text) == digits(str(number)), (text, number)


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_the_lead_is_any_byte(n):
    x = np.random.default_rng(n).standard_normal(n)
    x[::3] = np.nan
    assert [float(text) for text in texts(x, b"\t")] == pytest.approx(
        x.tolist(), abs=0, nan_ok=True
    )


@pytest.mark.parametrize("reserve", [0, 1, 31, 32, 33, 1000])
def test_reserved_bytes_come_before_every_text(reserve):
    x = np.array([1.5, 1e300])
    for result in (shortest(x, reserve=reserve), formatted(x, ".3g", reserve=reserve)):
        assert min(result.starts) >= reserve
        assert len(result.data) >= max(result.ends)


def test_formatted():
    x = np.array([1 / 3, np.nan, -1e10], np.float32)
    result = formatted(x, ".3g")
    assert result.data.tobytes() == b",0.333,nan,-1e+10"
    assert result.starts.tolist() == [0, 6, 10]


@pytest.mark.parametrize("spec", ["z9q", "d", "%.3f", "s", ",.2f", "_.2f", "x>20", "n>9"])
def test_what_is_no_float_format_is_a_usage_error(spec):
    with pytest.raises(UsageError, match="float format"):
        formatted(np.array([1.0]), spec)

"""How a quantisation is spelled, and how it is not."""

from __future__ import annotations

import numpy as np
import pytest

from kact_cli.errors import UsageError
from kact_cli.formats.quantization import parse_quantization
from kact_cli.types import Quantization


def given(text: str) -> Quantization:
    return parse_quantization(text, "--quantize-in")


REFUSED = [
    ("0.1", "takes scale,zero_point"),
    ("x,3", "a scale is a number or a .npy"),
    ("0,3", "scale 0 is not above 0"),
    ("1/0,3", "a scale is a number or a .npy, not '1/0'"),
    ("1,1/2", "zero point 0.5 is no whole number"),
    ("-1,3", "scale -1 is not above 0"),
    ("inf,3", "not above 0 and finite"),
    ("0.1,1_0", "a zero point is a number or a .npy, not '1_0'"),
    ("0.1,\u0663", "a zero point is a number or a .npy"),
    ("1e-50,3", "scale 1e-50 is not above 0 and finite in float32"),
    ("0.1,1.5", "zero point 1.5 is no whole number"),
    ("0.1,128,int8", "zero point 128 is no int8, from -128 to 127"),
    ("0.1,-1,uint8", "zero point -1 is no uint8"),
    ("0.1,3,int32", "'int32' is neither axis=N nor one of int8"),
    ("0.1,3,axis=1", "axis=1 is for a scale for each index"),
]


SPELLED = [
    ("1/256,-128", Quantization((1 / 256,), (-128,))),
    ("2/255,0", Quantization((float(np.float32(2 / 255)),), (0,))),
    ("0.1/0.8,6/2,uint8", Quantization((0.125,), (3,), np.dtype("u1"))),
]


@pytest.mark.parametrize(("text", "means"), SPELLED)
def test_numbers_may_be_fractions(text: str, means: Quantization) -> None:
    assert given(text) == means


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_bad_spellings(text: str, words: str) -> None:
    with pytest.raises(UsageError, match="--quantize-in") as refusal:
        given(text)
    assert words in str(refusal.value)

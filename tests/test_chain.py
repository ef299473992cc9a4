"""The grammar of chains: what parses, what does not, and where the caret points."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli import apply
from kact_cli.activations import ACTIVATIONS, Parameter, Value
from kact_cli.chain import Chain, Step, format_value, parse_value
from kact_cli.errors import ChainSyntaxError


@pytest.mark.parametrize(
    ("call", "colon"),
    [
        ("relu", "relu"),
        ("relu()", "RELU"),
        (
            "relu(alpha=0.1,max_value=6),softmax(axis=0)",
            "relu:alpha=0.1:max_value=6,softmax:axis=0",
        ),
        ("relu(0.1, 6)", "relu:0.1:6"),
        (
            " relu ( negative_slope = 0.1 ) , Soft-Max ".replace("Soft-Max", "softmax"),
            "relu:alpha=.1,softmax:-1",
        ),
        ("relu(MAX-VALUE=6)", "relu:Max_Value=6e0"),
        ("softmax(axis=none)", "softmax:axis=NONE"),
        ("relu(max_value=none,threshold=-1e-3)", "relu:threshold=-0.001"),
        ("elu(inf)", "elu:+Infinity"),
        ("gelu(approximate=True)", "gelu:approximate=true"),
        ("gelu(1)", "GELU:TRUE"),
        ("gelu(approximate=false)", "gelu"),
        ("hard_sigmoid(alpha=1/6)", "hard-sigmoid:0.16666666666666666"),
        ("rescaling(-1/2, 6/3)", "rescaling:-.5:2"),
        ("rescaling(1/0.7, -1e-3/.1)", "rescaling:10/7:-0.01"),
        ("swish(1.702)", "silu:alpha=1.702"),
        ("leaky_relu(alpha=0.3)", "leaky_relu:negative_slope=0.3"),
        ("relu\n(\talpha=1)", "relu:1"),
    ],
)
def test_both_spellings_are_the_same_chain(call: str, colon: str) -> None:
    assert Chain.parse(call) == Chain.parse(colon)
    assert str(Chain.parse(call)) == str(Chain.parse(colon))


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("softmax((0,2))", (0, 2)),
        ("softmax(axis=( 0 , -1 ))", (0, -1)),
        ("softmax((1,))", (1,)),
        ("softmax((1))", 1),
        ("softmax(-3)", -3),
        ("softmax(none)", None),
        ("softmax", -1),
    ],
)
def test_axes(text: str, axis: Value) -> None:
    assert Chain.parse(text).steps[0].axis == axis


def values(parameter: Parameter) -> st.SearchStrategy[Value]:
    integers = st.integers(-(2**64), 2**64)
    if parameter.is_axis:
        small = st.integers(-9, 9)
        return st.one_of(small, st.none(), st.lists(small, min_size=1, max_size=4).map(tuple))
    if parameter.is_flag:
        return st.booleans()
    numbers = st.one_of(integers, st.floats(allow_nan=False), st.just(math.nan), st.just(-0.0))
    return st.one_of(numbers, st.none()) if parameter.optional else numbers


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    steps = []
    for name in draw(st.lists(st.sampled_from(list(ACTIVATIONS)), min_size=1, max_size=5)):
        given_ = {
            p.name: draw(values(p)) for p in ACTIVATIONS[name].parameters if draw(st.booleans())
        }
        steps.append(Step.make(name, given_))
    return Chain(tuple(steps))


@given(chains())
def test_round_trip(chain: Chain) -> None:
    again = Chain.parse(str(chain))
    assert again == chain
    assert str(again) == str(chain)
    for a, b in zip(chain.steps, again.steps, strict=True):
        for (_, x), (_, y) in zip(a.values, b.values, strict=True):
            if isinstance(x, float) and x == 0:
                assert isinstance(y, int | float)
                assert math.copysign(1, x) == math.copysign(1, y)


@given(st.sampled_from([p for a in ACTIVATIONS.values() for p in a.parameters]), st.data())
def test_values_round_trip(parameter: Parameter, data: st.DataObject) -> None:
    value = data.draw(values(parameter))
    again = parse_value(parameter, format_value(value))
    assert again == value or (again is math.nan and value != value)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 0, "missing"),
        ("   ", 3, "missing"),
        (",relu", 0, "missing"),
        ("relu,", 5, "missing"),
        ("relu,,elu", 5, "missing"),
        ("rellu", 0, "'relu'"),
        ("elu, rellu", 5, "'relu'"),
        ("zzz", 0, "kact list"),
        ("relu elu", 5, "expected ','"),
        ("relu|elu", 0, "steps are joined by commas: relu,elu"),
        ("elu,relu->hard-tanh;elu(2)", 4, "joined by commas: relu,hard-tanh,elu"),
        ("relu|zzz", 0, "unknown"),
        ("relu(", 5, "missing"),
        ("relu(1", 6, "never closed"),
        ("relu(1,)", 7, "missing"),
        ("relu(,1)", 5, "missing"),
        ("relu(alpha=)", 11, "missing"),
        ("relu:", 5, "missing"),
        ("relu:alpha=", 11, "missing"),
        ("relu(alpha=x)", 11, "takes a number"),
        ("relu(alpha=none)", 11, "takes a number"),
        ("relu(alpha=1/0)", 11, "takes a number"),
        ("relu(alpha=1/x)", 11, "takes a number"),
        ("relu(alpha=true)", 11, "takes a number"),
        ("gelu(approximate=2)", 17, "true or false"),
        ("gelu(none)", 5, "true or false"),
        ("leaky_relu(alpha=1,negative_slope=2)", 19, "twice"),
        ("glu", 0, "halves its axis"),
        ("prelu", 0, "weights"),
        ("relu(alfa=1)", 5, "'alpha'"),
        ("relu(alpha=1,alpha=2)", 13, "twice"),
        ("relu(alpha=1,negative_slope=2)", 13, "twice"),
        ("relu(1,alpha=2)", 7, "twice"),
        ("relu(alpha=1,2)", 13, "without a name"),
        ("relu(1,2,3,4)", 11, "too many"),
        ("tanh(1)", 5, "no parameters"),
        ("tanh:1", 5, "no parameters"),
        ("relu((1,2))", 5, "tuple"),
        ("softmax:(0,1)", 8, "tuple"),
        ("softmax((0,1)", 13, "never closed"),
        ("softmax((0,1", 12, "never closed"),
        ("softmax((0,x))", 8, "integer"),
        ("softmax(1.5)", 8, "integer"),
        ("softmax(())", 8, "integer"),
        ("relu(1):2", 7, "expected ','"),
        ("relu)", 4, "expected ','"),
        ("=1", 0, "unknown"),
        ("relu=1", 4, "expected ','"),
        ("relu(alpha==1)", 11, "missing"),
        ("relu(alpha=1=2)", 12, "expected"),
        ("relu(alpha=0x10)", 11, "takes a number"),
        ("relu(alpha=1_000)", 11, "takes a number"),
        ("relu(alpha=ınf)", 11, "takes a number"),
        ("relu(alpha=٣)", 11, "takes a number"),
        ("__import__('os')", 0, "unknown"),
    ],
)
def test_caret(text: str, column: int, message: str) -> None:
    with pytest.raises(ChainSyntaxError) as caught:
        Chain.parse(text)
    said, shown, caret = str(caught.value).split("\n")
    assert message in said
    assert shown == f"  {text}"
    assert caret.rstrip("~") == " " * (2 + column) + "^"


@pytest.mark.parametrize(
    "text",
    ["re\x1b[31mlu", "relu(alpha=\x07)", "relu(\x00=1)", "relu,\x9b", "relu\u202e", "x\x85y"],
)
def test_control_characters_are_not_sent_to_the_terminal(text: str) -> None:
    with pytest.raises(ChainSyntaxError) as caught:
        Chain.parse(text)
    lines = str(caught.value).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_ten_thousand_steps() -> None:
    chain = Chain.parse(",".join(["tanh", "relu(0.1)"] * 5000))
    assert len(chain.steps) == 10_000
    assert Chain.parse(str(chain)) == chain
    assert apply(chain, [1.0, -1.0]).shape == (2,)
    with pytest.raises(ChainSyntaxError):
        Chain.parse("relu(" * 10_000)
    with pytest.raises(ChainSyntaxError):
        Chain.parse("x" * 100_000)
    with pytest.raises(ChainSyntaxError):
        Chain.parse("softmax((" + "0," * 50_000 + "))")
    assert Chain.parse("relu(" + "9" * 5000 + ")").steps[0].arguments["alpha"] == math.inf


WORDS = [
    *ACTIVATIONS,
    "alpha",
    "max_value",
    "axis",
    "(",
    ")",
    ",",
    ":",
    "=",
    "1",
    "-0.5",
    "none",
    "inf",
    "nan",
    "1e999",
    " ",
    "\n",
    "x",
    "((",
    "-",
    "'",
    "\\",
    "\x00",
    "é",
    "ı",
    "²",
]


@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=14).map("".join)))
def test_any_text_parses_or_is_a_syntax_error(text: str) -> None:
    try:
        chain = Chain.parse(text)
    except ChainSyntaxError as e:
        message = str(e)
    else:
        assert Chain.parse(str(chain)) == chain
        return
    assert len(message.split("\n")) == 3

"""A chain of activations, and the grammar it is written in.

    chain = step , { "," , step } ;                   step  = name , [ call | colon ] ;
    call  = "(" , [ arg , { "," , arg } ] , ")" ;     colon = ":" , arg , { ":" , arg } ;
    arg   = [ ident , "=" ] , value ;                 number = decimal , [ "/" , decimal ] ;
    value = number | "none" | "true" | "false" | tuple ;

`relu(alpha=0.1,max_value=6),softmax(axis=0)` and `relu:alpha=0.1:max_value=6,softmax:axis=0` are
the same chain. Spaces are free; names fold case and `-` to `_`; a tuple of integers, `(0,2)`, is a
value for `axis` in the call form. `parse(str(chain)) == chain`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from kact_cli.activations import Activation, Parameter, Value, find
from kact_cli.activations.elsewhere import OTHERS, PARAMETERS, REFUSED, SPELLINGS
from kact_cli.activations.registry import known_names, spelled
from kact_cli.errors import ChainSyntaxError, UsageError
from kact_cli.messages import nearest
from kact_cli.numbers import parse_number

# Patterns, compiled when they are first used and not at every start
_INTEGER = r"(?a)[+-]?\d+"
_TOKEN = r"[(),:=]|[^\s(),:=]+"
_SIGN = r"\W*[^\w-]\W*"
"""What may stand between names instead of a comma: `|`, `->`, `;`."""
_FLAGS = {"true": True, "false": False, "1": True, "0": False}


def parse_value(parameter: Parameter, text: str) -> Value:
    """The value that `text` means for `parameter`.

    Numbers as `parse_number` reads them, `none` where the parameter can be absent, `true`
    and `false` (also `1` and `0`) for a flag, and for an axis an integer, several (`0,2` or
    `(0,2)`) or `none` for all of them.

    Raises UsageError naming the parameter and what it takes.
    """
    word = text.strip().lower()
    if parameter.is_axis:
        if word == "none":
            return None
        inner = word[1:-1] if word.startswith("(") and word.endswith(")") else word
        parts = [p.strip() for p in inner.removesuffix(",").split(",")]
        if not all(re.fullmatch(_INTEGER, p) for p in parts) or len(word) > 1000:
            raise UsageError(f"{parameter.name} takes an integer, a tuple or none, not '{text}'")
        axes = tuple(int(p) for p in parts)
        return axes if len(axes) > 1 or "," in inner else axes[0]
    if word == "none" and parameter.optional:
        return None
    if parameter.is_flag:
        if word not in _FLAGS:
            raise UsageError(f"{parameter.name} takes true or false, not '{text}'")
        return _FLAGS[word]
    number = parse_number(word)
    if number is None:
        or_none = " or none" if parameter.optional else ""
        raise UsageError(f"{parameter.name} takes a number{or_none}, not '{text}'")
    return number


def format_value(value: Value) -> str:
    """The text that `parse_value` reads back as `value`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "(" + ",".join(map(str, value)) + ("," if len(value) == 1 else "") + ")"
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    negative_zero = value == 0 and math.copysign(1, value) < 0
    return str(int(value)) if whole and not negative_zero else repr(value)


def declared(name: str) -> Activation:
    """The activation of that name; UsageError that says what was meant, if there is none."""
    found = find(name)
    if found is None:
        raise UsageError(f"unknown activation '{name}'{meant(name)}")
    return found


class Step(NamedTuple):
    """One activation with the value of every parameter it has, in the order of declaration."""

    name: str
    values: tuple[tuple[str, Value], ...]

    @classmethod
    def make(cls, name: str, given: Mapping[str, Value] | None = None) -> Step:
        """The step of the activation `name`, defaults filled in; `given` is by parameter name."""
        activation = declared(name)
        given = dict(given or {})
        values = tuple((p.name, given.pop(p.name, p.default)) for p in activation.parameters)
        if given:
            raise UsageError(f"{name} has no parameter {', '.join(given)}")
        return cls(activation.name, values)

    @property
    def activation(self) -> Activation:
        return declared(self.name)

    @property
    def axis_name(self) -> str | None:
        """The name of the parameter that holds the axis, or None: the step is elementwise."""
        parameter = self.activation.axis
        return parameter.name if parameter else None

    @property
    def axis(self) -> Value:
        """The axis that the step works along; only for a step that has one."""
        return dict(self.values)[self.axis_name or ""]

    @property
    def arguments(self) -> dict[str, Value]:
        """The kernel's keyword arguments: every parameter save the axis, which is layout."""
        return {name: value for name, value in self.values if name != self.axis_name}

    def __str__(self) -> str:
        texts = {name: format_value(value) for name, value in self.values}
        defaults = {p.name: format_value(p.default) for p in self.activation.parameters}
        given = [f"{name}={text}" for name, text in texts.items() if text != defaults[name]]
        return f"{self.name}({','.join(given)})" if given else self.name


def resolve_axes(step: Step, shape: Sequence[int], what: str = "") -> frozenset[int]:
    """The axes, counted from 0, that `step` works along in a tensor of `shape`.

    `what` names the tensor in errors, where its shape says little.
    Raises UsageError where an axis does not exist or is given twice.
    """
    axis, rank = step.axis, len(shape)
    if axis is None:
        return frozenset(range(rank))
    axes = axis if isinstance(axis, tuple) else (axis,)
    resolved = []
    for a in axes:
        assert isinstance(a, int)
        if not -rank <= a < rank:
            has = f"has axes {-rank} to {rank - 1}" if rank else "is a single value without axes"
            what = what or f"a tensor of shape {tuple(shape)}"
            raise UsageError(f"{step.name}: axis {a} is out of range: {what} {has}")
        resolved.append(a % rank)
    if len(set(resolved)) != len(resolved):
        raise UsageError(f"{step.name}: axis {axis} names the same axis twice")
    return frozenset(resolved)


@dataclass(frozen=True)
class Chain:
    """Activations applied one after another, left to right.

    >>> str(Chain.parse("ReLU(0, 6), softmax:axis=0"))
    'relu(max_value=6),softmax(axis=0)'
    """

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> Chain:
        """The chain that `text` spells; ChainSyntaxError shows the column where it goes wrong."""
        return cls(tuple(_Parser(text).chain()))

    def check_elementwise(self, so: str) -> None:
        """Raise UsageError for a chain that works along an axis; `so` says what follows."""
        for step in self.steps:
            if step.axis_name:
                raise UsageError(
                    f"{step.name} works along an axis: what it makes of a value depends on the "
                    f"others, so {so}"
                )

    def __str__(self) -> str:
        return ",".join(map(str, self.steps))


def meant(word: str) -> str:
    """What was meant by a `word` that names no activation, to end a message with."""
    name = spelled(word)
    if name in SPELLINGS:
        return f"; {word} is {SPELLINGS[name]}"
    if name in REFUSED:
        return f": {REFUSED[name]}"
    close = "" if name in OTHERS else nearest(name, known_names())
    return close or "; kact list names them all"


class _Parser:
    """Recursive descent over the tokens of a chain; each token knows its column."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [(m.group(), m.start()) for m in re.finditer(_TOKEN, text)]
        self.at = 0

    @property
    def token(self) -> str:
        """The token under the cursor; empty at the end."""
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        at = self.at if at is None else at
        token, column = self.tokens[at] if at < len(self.tokens) else ("", len(self.text))
        # A line of the terminal: what would move the cursor must not, and the caret must stay put
        shown = "".join(c if c.isprintable() else "·" for c in self.text)
        message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
        caret = " " * column + "^" + "~" * (len(token) - 1)
        raise ChainSyntaxError(f"{message}\n  {shown}\n  {caret}")

    def accept(self, token: str) -> bool:
        if self.token == token:
            self.at += 1
            return True
        return False

    def chain(self) -> Iterator[Step]:
        while True:
            yield self.step()
            if not self.token:
                return
            if not self.accept(","):
                self.fail(f"expected ',' or the end of the chain, not '{self.token}'")

    def step(self) -> Step:
        word = self.token
        if word in ("", ","):
            self.fail("an activation's name is missing here")
        activation = find(word)
        if activation is None:
            names = re.split(_SIGN, word)
            if len(names) > 1 and all(map(find, names)):
                self.fail(f"steps are joined by commas: {','.join(names)}")
            self.fail(f"unknown activation '{word}'{meant(word)}")
        self.at += 1
        given: dict[str, Value] = {}
        named = False
        if self.accept("("):
            while not self.accept(")"):
                named = self.argument(activation, given, named, call=True)
                if self.token != ")" and not self.accept(","):
                    self.fail("expected ',' or ')'" if self.token else "the '(' is never closed")
                elif self.token == ")" and self.tokens[self.at - 1][0] == ",":
                    self.fail("a parameter is missing here")
        else:
            while self.accept(":"):
                named = self.argument(activation, given, named, call=False)
        return Step.make(activation.name, given)

    def argument(
        self, activation: Activation, given: dict[str, Value], named: bool, *, call: bool
    ) -> bool:
        """Read one argument into `given`; returns whether a named one has been seen."""
        has = ", ".join(p.name for p in activation.parameters) or "no parameters"
        at, word = self.at, self.token
        if self.at + 1 < len(self.tokens) and self.tokens[self.at + 1][0] == "=":
            parameter = activation.parameter(spelled(word))
            if parameter is None:
                close = nearest(word, [n for p in activation.parameters for n in p.names])
                close = PARAMETERS.get(spelled(word), close)
                self.fail(f"{activation.name} has no parameter '{word}'{close} (it has {has})")
            self.at += 2
            named = True
        elif named:
            self.fail(f"a value without a name after one with a name ({activation.name} has {has})")
        elif len(given) >= len(activation.parameters):
            self.fail(f"too many values for {activation.name} (it has {has})")
        else:
            parameter = activation.parameters[len(given)]
        if parameter.name in given:
            self.fail(f"{parameter.name} is given twice", at)
        at = self.at
        text = self.value(tuples=call and parameter.is_axis)
        try:
            given[parameter.name] = parse_value(parameter, text)
        except UsageError as e:
            self.fail(str(e), at)
        return named

    def value(self, *, tuples: bool) -> str:
        """The text of one value: a word, or a parenthesised tuple of them."""
        if tuples and self.token == "(":
            parts: list[str] = []
            while self.token and self.token != ")":
                parts.append(self.token)
                self.at += 1
            if not self.accept(")"):
                self.fail("the '(' is never closed")
            return "".join([*parts, ")"])
        word = self.token
        if word in ("", ",", ":", ")", "(", "="):
            self.fail("a value is missing here" if word != "(" else "only an axis can be a tuple")
        self.at += 1
        return word

"""`kact plot`: what is drawn is the curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kact_cli import apply
from kact_cli.chain import Chain
from kact_cli.cli.screen.canvas import MARKS, Frame, picture
from kact_cli.reports.curve import Curve
from tests.tools.run import Kact


def curve(spec: str, first: float = -5, last: float = 5, **more: bool) -> Curve:
    return Curve.of(Chain.parse(spec), first, last, 2001, **more)


def lines(*curves: Curve, width: int = 80, height: int = 20, ascii_only: bool = True) -> list[str]:
    cells = picture(curves, width, height, ascii_only=ascii_only)
    return ["".join(cell.text for cell in line) for line in cells]


@pytest.mark.parametrize("width", [20, 80, 140])
@pytest.mark.parametrize("spec", ["tanh", "relu", "exponential", "relu(max_value=1)", "elu,tanh"])
def test_each_mark_is_on_the_curve(spec: str, width: int) -> None:
    drawn, height = curve(spec), 20
    frame = Frame.around([drawn])
    found = lines(drawn, width=width, height=height)
    columns = width - 10
    values = apply(spec, np.linspace(-5, 5, columns))
    step = (frame.top - frame.bottom) / (height - 1)
    for column in range(columns - 1):
        rows = [row for row in range(height) if found[row][10 + column] == MARKS[0]]
        assert rows
        low, high = sorted((values[column], values[column + 1]))
        assert frame.top - rows[0] * step == pytest.approx(high, abs=0.6 * step + 1e-9)
        assert frame.top - rows[-1] * step == pytest.approx(low, abs=0.6 * step + 1e-9)


def test_braille_is_the_same_curve() -> None:
    """The dots of the fine picture lie in the characters of the coarse one, or next to them."""
    fine, coarse = lines(curve("tanh"), ascii_only=False), lines(curve("tanh"))
    for a, b in zip(fine[:20], coarse[:20], strict=True):
        for column, character in enumerate(a):
            if "\u2800" < character <= "\u28ff":
                near = [line[max(0, column - 1) : column + 2] for line in coarse]
                assert any(MARKS[0] in n for n in near), (a, b)


def test_several_curves_have_marks_of_their_own() -> None:
    found = "".join(lines(curve("elu"), curve("selu"), curve("relu")))
    assert all(mark in found for mark in MARKS[:3])


def test_derivatives() -> None:
    x = curve("tanh").x
    assert curve("tanh", derivative=True).y == pytest.approx(1 - np.tanh(x) ** 2, abs=1e-9)
    slopes = curve("relu:alpha=0.25", derivative=True).y
    assert slopes[:999] == pytest.approx(0.25)
    assert slopes[1002:] == pytest.approx(1)


@pytest.mark.parametrize("spec", ["softsign,relu:max_value=0", "exponential,exponential", "relu"])
def test_flat_and_endless_curves_are_drawn(spec: str) -> None:
    assert len(lines(curve(spec, -1000, 1000))) == 22
    assert len(lines(curve(spec, -2, -1))) == 22


def test_command(kact: Kact) -> None:
    done = kact("plot", "elu", "relu:alpha=0.1", PYTHONIOENCODING="utf-8", COLUMNS="80")
    shown = done.stdout.decode()
    assert "\x1b" not in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "* elu" in shown
    assert "+" not in shown
    kact("plot", "tanh", "--derivative", PYTHONIOENCODING="ascii").stdout.decode("ascii")
    narrow = kact("plot", "tanh", PYTHONIOENCODING="utf-8", COLUMNS="30").stdout.decode()
    assert all(len(line) <= 30 for line in narrow.splitlines())


@pytest.mark.parametrize("width", [50, 80])
@pytest.mark.parametrize(
    ("first", "last", "labels"),
    [
        (-2000, 2000, ["3.02e+307", "-2e+03"]),
        (-7e307, 7e307, ["7e+307", "-7e+307"]),
        (1, 1.0001, ["1.0001", "1.00005"]),
        (1e-30, 3e-30, ["3e-30", "1e-30"]),
    ],
)
def test_labels_have_room(width: int, first: float, last: float, labels: list[str]) -> None:
    drawn = curve("exponential" if last == 2000 else "linear", first, last)
    found = lines(drawn, width=width)
    assert all(len(line) == width for line in found[:-1])
    assert len(found[-1]) == width
    assert all(label in " ".join(found).split() for label in labels)
    assert "inf" not in "".join(found)


def test_eight_curves_are_told_apart_without_colour(kact: Kact) -> None:
    specs = ["elu", "selu", "relu", "gelu", "silu", "mish", "softplus", "leaky_relu", "tanh"]
    shown = kact("plot", *specs, PYTHONIOENCODING="utf-8", COLUMNS="50").stdout.decode()
    legend = [line.split() for line in shown.splitlines()[-len(specs) :]]
    assert [words[1] for words in legend] == specs
    assert len({words[0] for words in legend}) == len(specs)
    assert legend[1][2:] == ["-1.746", "to", "5.254"]  # the values at -5 and 5


def test_what_has_no_curve(refused: Kact) -> None:
    assert b"axis" in refused("plot", "elu,softmax", code=2).stderr
    refused("plot", "--from", "3", "--to", "3", "tanh", code=2)
    refused("plot", "--to", "inf", "tanh", code=2)
    refused("plot", "tanh", "--output", "tanh.jpeg", code=2)


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_pictures(kact: Kact, refused: Kact, tmp_path: Path, suffix: str, magic: bytes) -> None:
    for name in ("a", "b"):
        kact("plot", "elu", "tanh", "-o", tmp_path / f"{name}.{suffix}")
    first, second = (tmp_path / f"{name}.{suffix}" for name in ("a", "b"))
    assert first.read_bytes().startswith(magic)
    assert first.read_bytes() == second.read_bytes()
    refused("plot", "elu", "-o", first, code=2)
    kact("plot", "elu", "-o", first, "--overwrite")

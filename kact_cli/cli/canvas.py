"""Curves drawn in characters: an axis of numbers on the left and below, the curves between.

One curve is drawn in braille, 2 by 4 dots a character, where the terminal can show it; several in
marks of their own, so that they can be told apart without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kact_cli.reports.curve import Curve
from kact_cli.types import Array

MARKS = "*o+x#@%&"
COLOURS = ("cyan", "magenta", "green", "red", "blue", "yellow")
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_LEFT = 9  # the numbers on the left, and a space


@dataclass(frozen=True)
class Cell:
    """A character of the picture, and the curve that it is part of; None: of the axes."""

    text: str
    curve: int | None = None


@dataclass(frozen=True)
class Frame:
    """What the picture shows: from `left` to `right`, from `bottom` to `top`."""

    left: float
    right: float
    bottom: float
    top: float

    @classmethod
    def around(cls, curves: Sequence[Curve]) -> Frame:
        """Everything finite; a constant gets some room above and below."""
        finite = [c.y[np.isfinite(c.y)] for c in curves]
        values = np.concatenate(finite) if finite else np.zeros(0)
        bottom, top = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        if not top - bottom > 1e-12 * max(abs(top), abs(bottom)):
            room = 0.5 * max(1.0, abs(top))
            bottom, top = bottom - room, top + room
        return cls(float(curves[0].x[0]), float(curves[0].x[-1]), bottom, top)


def picture(
    curves: Sequence[Curve], width: int, height: int, *, ascii_only: bool
) -> list[list[Cell]]:
    """The lines of the picture, `width` characters wide, the axes' numbers included."""
    frame, columns = Frame.around(curves), max(10, width - _LEFT - 1)
    fine = len(curves) == 1 and not ascii_only
    across, down = (2, 4) if fine else (1, 1)
    grid = _axes(frame, columns, height, ascii_only)
    dots = [_dots(curve, frame, columns * across, height * down) for curve in curves]
    for row in range(height):
        for column in range(columns):
            place = np.s_[row * down : (row + 1) * down, column * across : (column + 1) * across]
            here = [number for number, found in enumerate(dots) if found[place].any()]
            if here:
                # Curves that lie on one another take turns
                number = here[column % len(here)]
                mark = _braille(dots[number][place]) if fine else MARKS[number % len(MARKS)]
                grid[row][column] = Cell(mark, number)
    side = "|" if ascii_only else "│"
    lines = []
    for row, cells in enumerate(grid):
        labels = {
            0: frame.top,
            height // 2: _at(frame, height // 2, height),
            height - 1: frame.bottom,
        }
        label = _label(labels[row]) if row in labels else ""
        lines.append([Cell(f"{label:>{_LEFT - 1}} {side}"), *cells])
    lines.append([Cell(_below(frame, columns, ascii_only))])
    lines.append([Cell(_numbers_below(frame, columns))])
    return lines


def _at(frame: Frame, row: int, height: int) -> float:
    """The y in the middle of a row of characters."""
    return frame.top - (frame.top - frame.bottom) * row / (height - 1)


def _label(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 1e-12 else "0"


def _dots(curve: Curve, frame: Frame, columns: int, rows: int) -> Array:
    """Which dots the curve passes through: in a column, from where it enters to where it leaves."""
    dots = np.zeros((rows, columns), bool)
    positions = np.linspace(0, len(curve.y) - 1, columns).round().astype(int)
    edges = np.append(positions, len(curve.y) - 1)
    scale = (rows - 1) / (frame.top - frame.bottom)
    for column in range(columns):
        part = curve.y[edges[column] : edges[column + 1] + 1]
        part = part[np.isfinite(part)]
        if len(part):
            least, most = float(part.min()), float(part.max())
            first, last = (round((frame.top - y) * scale) for y in (most, least))
            dots[first : last + 1, column] = True
    return dots


def _braille(box: Array) -> str:
    code = sum(_DOTS[i][j] for i in range(4) for j in range(2) if box[i, j])
    return chr(_BRAILLE + code)


def _axes(frame: Frame, columns: int, height: int, ascii_only: bool) -> list[list[Cell]]:
    """An empty picture but for the lines x = 0 and y = 0, where they are within it."""
    across, down = ("-", "|") if ascii_only else ("┄", "┆")
    grid = [[Cell(" ")] * columns for _ in range(height)]
    if frame.left < 0 < frame.right:
        column = round((columns - 1) * -frame.left / (frame.right - frame.left))
        for row in grid:
            row[column] = Cell(down)
    if frame.bottom < 0 < frame.top:
        row_number = round((height - 1) * frame.top / (frame.top - frame.bottom))
        grid[row_number] = [Cell(across)] * columns
    return grid


def _below(frame: Frame, columns: int, ascii_only: bool) -> str:
    corner, line = ("+", "-") if ascii_only else ("└", "─")
    return " " * _LEFT + corner + line * columns


def _numbers_below(frame: Frame, columns: int) -> str:
    """The numbers under the axis: its ends and its middle."""
    left, right = _label(frame.left), _label(frame.right)
    middle = _label((frame.left + frame.right) / 2)
    half = (columns - len(middle)) // 2
    text = left.ljust(half) + middle
    return " " * (_LEFT + 1) + text.ljust(columns - len(right)) + right

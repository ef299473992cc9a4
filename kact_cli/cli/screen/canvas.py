"""Curves drawn in characters: an axis of numbers on the left and below, the curves between.

One curve is drawn in braille, 2 by 4 dots a character, where the terminal can show it; several in
marks of their own, so that they can be told apart without colour.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kact_cli.reports.curve import Curve
from kact_cli.types import Array

MARKS = "*o+x#@%&" + string.ascii_lowercase.replace("o", "").replace("x", "")
COLOURS = ("cyan", "magenta", "green", "red")
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_LEFT = 9  # the numbers on the left, and a space, unless they are longer
_RUN = 3  # characters that a curve has to itself where others lie on it


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

    def at(self, row: int, height: int) -> float:
        """The y in the middle of a row of characters; the height itself may be too large."""
        share = row / (height - 1)
        return self.top * (1 - share) + self.bottom * share


def picture(
    curves: Sequence[Curve], width: int, height: int, *, ascii_only: bool
) -> list[list[Cell]]:
    """The lines of the picture, `width` characters wide, the axes' numbers included."""
    frame = Frame.around(curves)
    labels = _labels([frame.top, frame.at(height // 2, height), frame.bottom])
    labelled = dict(zip((0, height // 2, height - 1), labels, strict=True))
    left = max([_LEFT, *(len(label) + 1 for label in labels)])
    columns = max(10, width - left - 1)
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
                number = here[column // _RUN % len(here)]
                mark = _braille(dots[number][place]) if fine else MARKS[number % len(MARKS)]
                grid[row][column] = Cell(mark, number)
    side = "|" if ascii_only else "│"
    lines = []
    for row, cells in enumerate(grid):
        lines.append([Cell(f"{labelled.get(row, ''):>{left - 1}} {side}"), *cells])
    corner, line = ("+", "-") if ascii_only else ("└", "─")
    lines.append([Cell(" " * left + corner + line * columns)])
    lines.append([Cell(" " * (left + 1) + _numbers_below(frame, columns))])
    return lines


def _labels(values: Sequence[float]) -> list[str]:
    """Numbers as short as can be, and no two alike that are not; what is next to nothing is 0."""
    nothing = 1e-12 * max(map(abs, values))
    values = [0.0 if abs(v) <= nothing else v for v in values]
    for digits in range(3, 17):
        labels = [f"{v:.{digits}g}" for v in values]
        if len(set(labels)) == len(set(values)):
            break
    return labels


def _dots(curve: Curve, frame: Frame, columns: int, rows: int) -> Array:
    """Which dots the curve passes through: in a column, from where it enters to where it leaves."""
    dots = np.zeros((rows, columns), bool)
    positions = np.linspace(0, len(curve.y) - 1, columns).round().astype(int)
    edges = np.append(positions, len(curve.y) - 1)
    height = frame.top / 2 - frame.bottom / 2  # the whole of it may be too large for a number
    for column in range(columns):
        part = curve.y[edges[column] : edges[column + 1] + 1]
        part = part[np.isfinite(part)]
        if len(part):
            least, most = float(part.min()), float(part.max())
            above = ((frame.top / 2 - y / 2) / height for y in (most, least))
            first, last = (round(share * (rows - 1)) for share in above)
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
        column = round((columns - 1) * (-frame.left / (frame.right - frame.left)))
        for row in grid:
            row[column] = Cell(down)
    if frame.bottom < 0 < frame.top:
        row_number = round((height - 1) * (frame.top / 2 / (frame.top / 2 - frame.bottom / 2)))
        grid[row_number] = [Cell(across)] * columns
    return grid


def _numbers_below(frame: Frame, columns: int) -> str:
    """The numbers under the axis: its ends and, where there is room, its middle."""
    left, middle, right = _labels([frame.left, frame.left / 2 + frame.right / 2, frame.right])
    half = (columns - len(middle)) // 2
    if len(left) < half and half + len(middle) + len(right) < columns:
        left = left.ljust(half) + middle
    return left + " " * max(1, columns - len(left) - len(right)) + right

"""`kact plot SPEC...`: the curves of chains, in the terminal or as PNG or SVG."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kact_cli.chain import Chain
from kact_cli.cli.classes import COMPUTE, FILES, Command, option
from kact_cli.cli.screen.figure import write_picture
from kact_cli.cli.screen.show import cells, colourful, number, padded, short, unicode
from kact_cli.cli.types import ChainType, PathType
from kact_cli.errors import UsageError

if TYPE_CHECKING:
    from kact_cli.reports.curve import Curve

POINTS = 2001
HEIGHT = 21
"""The most lines that curves take; an odd number has one in the middle, whose label is exact."""
WIDTH = 100


@click.command(
    cls=Command,
    examples=[
        "kact plot elu selu relu:alpha=0.1",
        "kact plot --derivative --from -4 --to 4 softplus",
    ],
)
@click.argument("specs", type=ChainType(), nargs=-1, required=True, metavar="SPEC...")
@option(
    COMPUTE,
    "--from",
    "first",
    type=float,
    default=-5.0,
    metavar="A",
    help="Leftmost x.  [default: -5]",
)
@option(
    COMPUTE,
    "--to",
    "last",
    type=float,
    default=5.0,
    metavar="B",
    help="Rightmost x.  [default: 5]",
)
@option(COMPUTE, "--derivative", is_flag=True, help="Draw the derivative (central difference).")
@option(
    FILES,
    "--output",
    "-o",
    type=PathType(),
    metavar="FILE",
    help="Write a .png or .svg; needs pip install 'kact-cli[plot]'.",
)
@option(FILES, "--overwrite", is_flag=True, help="Replace FILE if it exists.")
def command(
    specs: Sequence[Chain],
    first: float,
    last: float,
    derivative: bool,
    output: str | None,
    overwrite: bool,
) -> None:
    """Draw the curve of one chain or several.

    A SPEC is what `kact chain` takes: `elu`, `relu(alpha=0.1)`, `softplus,tanh`. Several are drawn
    over one another, each in its own mark, with its values at both ends. A chain with softmax has
    no curve.
    """
    if not (first < last and math.isfinite(last - first)):
        raise UsageError(
            f"--from {first:g} must be less than --to {last:g}, and the distance finite"
        )
    from kact_cli.reports.curve import Curve

    curves = [Curve.of(chain, first, last, POINTS, derivative=derivative) for chain in specs]
    if output is None:
        _draw(curves)
    else:
        _write(curves, output, overwrite)


def _draw(curves: Sequence[Curve]) -> None:
    from kact_cli.cli.screen.canvas import COLOURS, MARKS, picture

    size = shutil.get_terminal_size()
    colours = colourful()
    plain = not unicode()
    height = max(6, min(HEIGHT, size.lines - len(curves) - 4)) - 1 | 1
    for line in picture(curves, min(size.columns, WIDTH), height, ascii_only=plain):
        text = ""
        for cell in line:
            fg = COLOURS[cell.curve % len(COLOURS)] if colours and cell.curve is not None else None
            text += click.style(cell.text, fg=fg) if fg else cell.text
        click.echo(text.rstrip(), color=colours)
    names = [short(curve.name, max(12, size.columns // 2)) for curve in curves]
    widest = max(map(cells, names))
    for n, curve in enumerate(curves):
        mark = MARKS[n % len(MARKS)] if plain or len(curves) > 1 else "⠶"
        fg = COLOURS[n % len(COLOURS)] if colours else None
        ends = f"{number(float(curve.y[0]), 4)} to {number(float(curve.y[-1]), 4)}"
        named = f"{padded(names[n], widest)}  {ends}"
        click.echo(f"  {click.style(mark, fg=fg) if fg else mark} {named}", color=colours)


def _write(curves: Sequence[Curve], output: str, overwrite: bool) -> None:
    def draw(axes: Any) -> None:
        for curve in curves:
            axes.plot(curve.x, curve.y, label=curve.name)
        axes.set_xlim(curves[0].x[0], curves[0].x[-1])
        axes.grid(alpha=0.3)
        axes.legend()

    write_picture(output, overwrite, draw)

"""`kact compare A B`: how far two files' numbers are apart."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from kact_cli.cli.classes import COMPUTE, FILES, RUNNING, Command, option
from kact_cli.cli.options import make_options, reading_options
from kact_cli.cli.screen.show import as_json, wrapped
from kact_cli.cli.types import PathType
from kact_cli.errors import ExitCode, UsageError
from kact_cli.files.descriptors import STANDARD
from kact_cli.formats.npy import NpyTensor
from kact_cli.reports.compare import compare
from kact_cli.reports.errors import Tolerance
from kact_cli.reports.numbers import Numbers, OpenArchive, open_numbers
from kact_cli.reports.ulp import common_dtype
from kact_cli.types import dtype_name


@click.command(
    cls=Command,
    failure=ExitCode.TROUBLE,
    examples=[
        "kact compare --max-ulp 4 device.npy expected.npy",
        "kact compare --input logits.npy --top 3 device.npy expected.npy",
    ],
)
@click.argument("a", type=PathType())
@click.argument("b", type=PathType())
@option(COMPUTE, "--max-ulp", type=click.IntRange(0), metavar="N", help="Pass errors up to N ULP.")
@option(
    COMPUTE,
    "--rtol",
    type=click.FloatRange(0),
    metavar="R",
    help="Pass errors up to A + R * |b|; A is --atol, or 0.",
)
@option(
    COMPUTE,
    "--atol",
    type=click.FloatRange(0),
    metavar="A",
    help="Pass errors up to A + R * |b|; R is --rtol, or 0.",
)
@option(
    COMPUTE,
    "--p99-ulp",
    type=click.IntRange(0),
    metavar="N",
    help="Pass if 99 % of the pairs are within N ULP.",
)
@option(
    COMPUTE,
    "--top",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Show the N worst pairs; with --rtol or --atol, of those beyond it.",
)
@option(COMPUTE, "--json", "as_json_", is_flag=True, help="Print JSON.")
@option(RUNNING, "--quiet", "-q", is_flag=True, help="Print nothing; the exit code says it.")
@option(
    FILES,
    "--input",
    "-i",
    "inputs",
    type=PathType(),
    metavar="X",
    help="What A and B were computed from: shows errors by its ranges.",
)
@option(
    FILES,
    "--output",
    "-o",
    type=PathType(),
    metavar="FILE",
    help="Draw errors over --input as .png or .svg; needs pip install 'kact-cli[plot]'.",
)
@option(FILES, "--overwrite", is_flag=True, help="Replace FILE if it exists.")
@reading_options
def command(
    a: str,
    b: str,
    max_ulp: int | None,
    rtol: float | None,
    atol: float | None,
    p99_ulp: int | None,
    top: int | None,
    as_json_: bool,
    quiet: bool,
    inputs: str | None,
    output: str | None,
    overwrite: bool,
    **chosen: Any,
) -> int:
    """Compare two files' numbers: errors in ULP and absolute.

    ULP are steps between neighbouring floats; B is what is expected, and A what was got.

    Exit code 0 if every pair passes; 1 if one does not, or if shapes, columns or rows differ; 2 if
    the files cannot be compared, as of cmp, diff and grep.

    A pair passes if it is equal (0.0 and -0.0 are, as are two NaN and two nulls), or within
    --max-ulp, or within --atol + --rtol * |b|.
    --p99-ulp is a limit for all pairs together, beside these or, alone, instead of them.

    Two .npy are compared element by element, whatever their orders; tables row by row in the order
    of their rows, and column by column, by name, every column of numbers unless --columns says
    which; a .npy and a table by the columns' positions. Where dtypes differ, ULP are those of the
    narrower float; of integers, they are steps of 1.

    Percentiles are exact up to 65,535 ULP, and above to a thousandth. --input shows errors by sign
    and power of two of what both were computed from; neighbours with the same largest error are one
    line, and --json has them all.
    """
    if [a, b, inputs].count(STANDARD) > 1:
        raise UsageError("two of the files are standard input; only one can be")
    if output is not None:
        from kact_cli.cli.screen.figure import check_picture

        check_picture(output)
        if inputs is None:
            raise UsageError("--output draws errors over the input: give --input")
    if quiet and as_json_:
        raise UsageError("--quiet prints nothing and --json does: give one of them")
    options = make_options(quiet=quiet, **chosen)
    tolerance = Tolerance(max_ulp, rtol, atol, p99_ulp)
    paths = [a, b, *([inputs] if inputs is not None else [])]
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open_numbers(path, options)) for path in paths]
        known = files[2] if inputs is not None else None
        found = compare(files[0], files[1], tolerance, options, inputs=known, top=top or 0)
        dtypes = _dtypes(files[0], files[1])
        noun = "tensor" if isinstance(files[0], OpenArchive) else "column"
        names = [file.source.name for file in files]
    from kact_cli.cli.screen import comparison

    if as_json_:
        click.echo(as_json(comparison.plain(found, names, dtypes)))
    elif not quiet:
        single = found.errors.get("")
        lines = comparison.one(single) if single else comparison.many(found, noun)
        style = "bold green" if found.passed else "bold red"
        for line in (*dtypes, *lines, *wrapped(comparison.verdict(found), style=style)):
            click.echo(line)
    if output is not None:
        comparison.draw(found, tolerance, output, overwrite)
    return ExitCode.DONE if found.passed else ExitCode.DIFFERENT


def _dtypes(a: Numbers, b: Numbers) -> list[str]:
    """A word on dtypes, where they differ."""
    if not isinstance(a, NpyTensor) or not isinstance(b, NpyTensor):
        return []
    dtypes = [n.header.dtype for n in (a, b)]
    mine, its = map(dtype_name, dtypes)
    if mine == its:
        return []
    common = common_dtype(*dtypes)
    return [f"{mine} and {its}, compared as {dtype_name(common) if common else 'integers'}"]

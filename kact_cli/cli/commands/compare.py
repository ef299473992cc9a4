"""`kact compare A B`: how far two files' numbers are apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from kact_cli.cli.help import COMPUTE, Command, option
from kact_cli.cli.options import make_options, reading_options
from kact_cli.cli.show import as_json, columns, number, short
from kact_cli.cli.types import PathType
from kact_cli.errors import ExitCode, UsageError
from kact_cli.files.descriptors import STANDARD
from kact_cli.formats.npy import NpyTensor
from kact_cli.reports.compare import Comparison, compare
from kact_cli.reports.ulp import Errors, Tolerance, Worst, common_dtype
from kact_cli.reports.values import Numbers, OpenArchive, open_numbers
from kact_cli.types import dtype_name

NAME_WIDTH = 24


@click.command(
    cls=Command,
    examples=[
        "kact compare logits.npy logits.npy",
        "kact compare --max-ulp 4 --atol 1e-7 --json logits.npy logits.npy",
    ],
)
@click.argument("a", type=PathType())
@click.argument("b", type=PathType())
@option(COMPUTE, "--max-ulp", type=click.IntRange(0), metavar="N", help="Pass up to N ULP.")
@option(COMPUTE, "--rtol", type=click.FloatRange(0), metavar="R", help="Pass up to atol + R * |b|.")
@option(COMPUTE, "--atol", type=click.FloatRange(0), metavar="A", help="Pass up to A + rtol * |b|.")
@option(COMPUTE, "--json", "as_json_", is_flag=True, help="Print JSON.")
@reading_options
def command(
    a: str,
    b: str,
    max_ulp: int | None,
    rtol: float | None,
    atol: float | None,
    as_json_: bool,
    **chosen: Any,
) -> int:
    """Compare two files' numbers: errors in ULP and absolute.

    Exit code 0 if every pair passes, 1 if one does not, or if shapes, columns or rows differ. A
    pair passes if it is equal (0.0 and -0.0 are, as are two NaN and two nulls), or within
    --max-ulp, or within --atol + --rtol * |b|.

    Two .npy are compared element by element, whatever their orders; tables column by column, by
    name, every column of numbers unless --columns says which; a .npy and a table by the columns'
    positions. Where dtypes differ, ULP are those of the narrower float.
    """
    if a == b == STANDARD:
        raise UsageError("A and B are both standard input; one of them has to be a file")
    options, tolerance = make_options(**chosen), Tolerance(max_ulp, rtol, atol)
    with open_numbers(a, options) as left, open_numbers(b, options) as right:
        found = compare(left, right, tolerance, options)
        dtypes = _dtypes(left, right)
        noun = "tensor" if isinstance(left, OpenArchive) else "column"
        names = [left.source.name, right.source.name]
    if as_json_:
        click.echo(as_json(_as_json(found, names, dtypes)))
    else:
        lines = _one(found.errors[""]) if "" in found.errors else _many(found, noun)
        for line in (*dtypes, *lines, _verdict(found, tolerance)):
            click.echo(line)
    return ExitCode.DATA if found.beyond else ExitCode.DONE


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


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" + (f" ({100 * part / whole:.3g} %)" if part else "")


def _place(at: tuple[int, ...]) -> str:
    return f"[{', '.join(f'{i:,}' for i in at)}]"


def _worst(worst: Worst | None) -> str:
    if worst is None:
        return "none"
    error = number(worst.error)
    return f"{error} at {_place(worst.at)}: {worst.a!r} and {worst.b!r}" if worst.error else error


def _one(e: Errors) -> Iterator[str]:
    rows = [
        ("different", _share(e.differ, e.pairs)),
        ("largest error, ULP", _worst(e.ulp)),
        ("mean error, ULP", number(e.mean_ulp) or "none"),
        ("largest error, absolute", _worst(e.absolute)),
        ("mean error, absolute", number(e.mean_absolute) or "none"),
    ]
    for title, count, first in (("NaN", e.nan, e.first_nan), ("null", e.null, e.first_null)):
        at = f", first at {_place(first)}" if first else ""
        if title == "NaN" or count:
            rows.append((f"{title} in only one file", f"{count:,}{at}"))
    if e.zero_signs:
        rows.append(("0.0 against -0.0", f"{e.zero_signs:,}"))
    yield from columns(rows)


def _many(found: Comparison, noun: str) -> Iterator[str]:
    titles = [noun, "different", "max ULP", "mean ULP", "max abs", "at", "NaN", "null"]
    rows = [titles]
    for name, e in found.errors.items():
        worst = e.ulp or e.absolute
        at = _place(worst.at) if worst and worst.error else ""
        ulp, absolute = (w.error if w else None for w in (e.ulp, e.absolute))
        numbers = [number(ulp, 4), number(e.mean_ulp, 3), number(absolute, 3), at]
        numbers += [f"{e.nan:,}", f"{e.null:,}"]
        rows.append([short(name, NAME_WIDTH), f"{e.differ:,} of {e.pairs:,}", *numbers])
    yield from columns(rows, right=range(1, len(titles)))
    if found.skipped:
        yield f"not compared (not numeric): {short(', '.join(found.skipped), 200)}"


def _verdict(found: Comparison, tolerance: Tolerance) -> str:
    given = {k.replace("_", "-"): v for k, v in asdict(tolerance).items() if v is not None}
    limits = " or ".join(f"--{k} {v:g}" for k, v in given.items())
    if not found.beyond:
        return f"equal within {limits}" if limits else "equal"
    values = "1 value differs" if found.beyond == 1 else f"{found.beyond:,} values differ"
    if limits:
        return f"{values} by more than {limits}"
    return f"{values} (no tolerance given; --max-ulp 4 passes last digits)"


def _as_json(found: Comparison, names: list[str], notes: list[str]) -> dict[str, Any]:
    def plain(e: Errors) -> dict[str, Any]:
        return {
            **asdict(e),
            "mean_ulp": e.mean_ulp,
            "mean_absolute": e.mean_absolute,
        }

    whole = {"a": names[0], "b": names[1], "notes": notes, "passed": not found.beyond}
    if "" in found.errors:
        return {**whole, **plain(found.errors[""])}
    skipped = list(found.skipped)
    return {**whole, "columns": {n: plain(e) for n, e in found.errors.items()}, "skipped": skipped}

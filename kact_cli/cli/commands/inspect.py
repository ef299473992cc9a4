"""`kact inspect INPUT`: what a file is, and with `--stats` what its numbers are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

from kact_cli.cli.classes import COMPUTE, Command, option
from kact_cli.cli.options import make_options, reading_options
from kact_cli.cli.screen.show import as_json, bars, columns, middle_cut, number, short, wrapped
from kact_cli.cli.types import PathType
from kact_cli.errors import UsageError
from kact_cli.formats.detect import check_typed
from kact_cli.messages import counted, human
from kact_cli.reports.inspect import WHOLE, describe, summarize
from kact_cli.reports.numbers import open_numbers
from kact_cli.reports.summary import Summary

NAME_WIDTH = 60


@click.command(
    cls=Command,
    examples=["kact inspect logits.npy", "kact inspect --stats --json table.parquet"],
)
@click.argument("input", default="-", metavar="[INPUT]", type=PathType())
@option(COMPUTE, "--stats", is_flag=True, help="Read the numbers too: extremes, mean, histogram.")
@option(COMPUTE, "--json", "as_json_", is_flag=True, help="Print JSON.")
@reading_options
def command(input: str, stats: bool, as_json_: bool, **chosen: Any) -> None:
    """Show what a file is: format, shape, types, layout.

    Only the header, the footer or the first records are read. With --stats the numbers are read
    too, once, in memory that does not grow: minimum, mean, standard deviation, maximum, NaN,
    infinities and a histogram, of the whole tensor or of each numeric column of a table (all of
    them, unless --columns says which).
    """
    options = make_options(**chosen)
    for flag, *_ in options.typed:
        if flag in ("--columns", "--exclude") and not stats:
            raise UsageError(f"{flag} says whose numbers are read; give --stats, or leave it out")
    with open_numbers(input, options) as numbers:
        check_typed(options, [numbers.format])
        found = describe(numbers)
        summaries = summarize(numbers, options) if stats else {}
    if as_json_:
        _attach(found, summaries)
        click.echo(as_json(found))
        return
    for line in (*_facts(found), *_columns(found), *_numbers(found, summaries)):
        click.echo(line)


def _facts(found: Mapping[str, Any]) -> Iterator[str]:
    size = "a pipe" if found["bytes"] is None else human(found["bytes"])
    yield from wrapped(f"{found['name']}: {found['format']}, {size}")
    for line in _layout(found):
        yield from wrapped(line, indent=2)


def _layout(found: Mapping[str, Any]) -> Iterator[str]:
    known = {k: v for k, v in found.items() if k not in ("name", "format", "bytes", "columns")}
    if "order" in known:
        shape = tuple(known["shape"])
        yield f"{known['dtype']}, shape {shape}, {known['order']} order"
        yield f"{known['elements']:,} elements, byte order {known['byte_order']}"
        return
    if "row_groups" in known:
        least, most = known["rows_per_group"] or (0, 0)
        each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        groups = counted(known["row_groups"], "row group")
        yield f"{counted(known['rows'], 'row')} in {groups} of {each}"
        yield f"version {known['version']}, written by {short(known['created_by'], 60)}"
    if "delimiter" in known:
        header = "with" if known["header"] else "without"
        mark = ", byte order mark" if known["byte_order_mark"] else ""
        packed = f", {known['compression']}" if known["compression"] else ""
        yield (
            f"delimiter {known['delimiter']!r}, {header} a header, "
            f"lines end in {known['line_ending']}{mark}{packed}"
        )
    for key, value in known.get("metadata", {}).items():
        yield f"{short(key, NAME_WIDTH)}: {short(value, 60)}"
    if "record_batches" in known:
        yield f"{counted(known['record_batches'], 'record batch', 'record batches')}"


def _columns(found: Mapping[str, Any]) -> Iterator[str]:
    if not found["columns"]:
        return
    if any("shape" in column for column in found["columns"]):
        yield from _members(found)
        return
    layout = any("codec" in column for column in found["columns"])
    titles = ["column", "type"] + (["nulls", "bytes", "codec", "encodings"] if layout else [])
    rows = [titles]
    for column in found["columns"]:
        row = [middle_cut(column["name"], NAME_WIDTH), short(column["type"], NAME_WIDTH)]
        if layout:
            nulls = column.get("nulls")
            row.append("?" if nulls is None else f"{nulls:,}")
            row += [human(column.get("bytes", 0)), ", ".join(column.get("codec", []))]
            row.append(short(", ".join(column.get("encodings", [])), NAME_WIDTH))
        rows.append(row)
    yield ""
    yield from columns(rows, right=(2, 3) if layout else (), titled=True)


def _members(found: Mapping[str, Any]) -> Iterator[str]:
    rows = [["tensor", "dtype", "shape", "bytes", "compression"]]
    for member in found["columns"]:
        shape = "" if member["shape"] is None else str(tuple(member["shape"]))
        row = [middle_cut(member["name"], NAME_WIDTH), short(member["type"], NAME_WIDTH), shape]
        rows.append([*row, human(member["bytes"]), member["compression"]])
    yield ""
    yield from columns(rows, right=(3,), titled=True)


def _numbers(found: Mapping[str, Any], summaries: Mapping[int | str, Summary]) -> Iterator[str]:
    if not summaries:
        return
    titles = ["numbers", "count", "null", "NaN", "inf", "min", "mean", "std", "max"]
    rows, shapes = [titles], []
    for key, s in summaries.items():
        name = key if isinstance(key, str) else found["columns"][key]["name"]
        infinite = s.positive_inf + s.negative_inf
        row = [
            middle_cut(name, NAME_WIDTH),
            *(f"{n:,}" for n in (s.count, s.nulls, s.nan, infinite)),
        ]
        rows.append(row + [number(x, 4) for x in (s.least, s.mean, s.std, s.most)])
        if s.histogram:
            end = s.histogram.start + s.histogram.width * len(s.histogram.counts)
            shapes.append(
                [row[0], number(s.histogram.start), bars(s.histogram.counts), number(end)]
            )
    yield ""
    yield from columns(rows, right=range(1, len(titles)), titled=True)
    if shapes:
        yield ""
        yield from columns(shapes, right=(1,), whole=(2,))


def _attach(found: dict[str, Any], summaries: Mapping[int | str, Summary]) -> None:
    """Put the summaries where they belong: at the file's, or at their columns."""
    for key, summary in summaries.items():
        stats = asdict(summary)
        del stats["squares"], stats["low"]
        stats["std"] = summary.std
        if summary.histogram:
            histogram = summary.histogram
            stats["histogram"] = {
                "start": histogram.start,
                "width": histogram.width,
                "counts": histogram.counts,
            }
        place = found if key == WHOLE else found["columns"][key] if isinstance(key, int) else {}
        place["stats"] = stats
        if isinstance(key, str) and key != WHOLE:
            found.setdefault("fields", {})[key] = place

"""`kact explain SPEC [INPUT]`: what a chain would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from kact_cli.chain import Chain
from kact_cli.cli.classes import COMPUTE, Command, option
from kact_cli.cli.options import make_options, plan_options
from kact_cli.cli.screen.show import as_json, columns, wrapped
from kact_cli.cli.types import ChainType, PathType
from kact_cli.messages import counted, display, human, listed
from kact_cli.reports.explain import explain

TIMES = {1: "in one pass", 2: "read twice", 3: "read three times"}


@click.command(
    cls=Command,
    examples=[
        "kact explain relu:alpha=0.1,softmax",
        "kact explain softmax:axis=0 logits.npy",
    ],
)
@click.argument("spec", type=ChainType())
@click.argument("input", required=False, type=PathType())
@option(COMPUTE, "--json", "as_json_", is_flag=True, help="Print JSON.")
@plan_options
def command(spec: Chain, input: str | None, as_json_: bool, **chosen: Any) -> None:
    """Show what a chain would do: steps, passes, memory.

    Without INPUT, the steps with every parameter; with it, also columns, dtypes, passes, chunks,
    what is read and written, peak memory and temporary disk. Nothing is written, and of INPUT no
    more than its header and first rows is read. How long it takes depends on the disk: the progress
    of the work tells.
    """
    found = explain(spec, input, make_options(**chosen))
    for line in [as_json(found)] if as_json_ else _lines(found):
        click.echo(line)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    if "input" not in found:
        for number, step in enumerate(found["steps"], 1):
            yield from wrapped(f"{number}  {step['step']}", style="bold")
            yield from wrapped(step["formula"], indent=3)
        return
    name = display(f"{found['input']}: {found['format']}")
    if "columns" in found:
        yield from _table(name, found)
        return
    if "members" in found:
        computed = f"{len(found['tensors'])} of {counted(found['members'], 'member')} computed"
        yield from wrapped(f"{name}, {computed}", style="bold")
    for tensor in found["tensors"]:
        if "member" in tensor:
            name = display(f"{tensor['member']}: {tensor['compression']}")
        yield from _tensor(name, tensor)


def _tensor(name: str, t: Mapping[str, Any]) -> Iterator[str]:
    shape = str(tuple(t["shape"]))
    described = f"{t['dtype']}, shape {shape}, {t['order']} order, {human(t['bytes'])}"
    yield from wrapped(f"{name}, {described}", style="bold")
    steps = []
    for number, step in enumerate(t["steps"], 1):
        along = ""
        if "reads" in step:
            along = f"{step['values_at_a_time']:,} values at a time, {TIMES[step['reads']]}"
        steps.append([str(number), step["step"], f"{step['from']} to {step['to']}", along])
    yield from columns([["", "step", "dtype", ""], *steps], titled=True)
    facts = []
    if "dequantised" in t:
        facts.append(("dequantised from", t["dequantised"]))
    facts.append(("computed in", f"{t['computed_in']}, rounded once to {t['result']}"))
    if "quantised" in t:
        facts.append(("quantised to", t["quantised"]))
    for number, stage in enumerate(t["stages"], 1):
        title = f"stage {number}" if len(t["stages"]) > 1 else "work"
        passes = counted(stage["passes"], "pass", "passes")
        chunks = f"{counted(stage['chunks'], 'chunk')} of {human(stage['chunk_bytes'])}"
        facts.append((title, f"{passes} over the tensor, in {chunks}"))
    facts += [("input read", human(t["read_bytes"])), ("output", human(t["output_bytes"]))]
    yield from columns([*facts, *_needs(t)])


def _needs(t: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "workers", str(t["workers"])
    yield "peak memory", f"about {human(t['memory'])}"
    disk = t["temporary_disk"]
    needed = "the size of the input" if disk is None else human(disk)
    if t.get("temporary_disk_of_a_pipe"):
        needed += f"; from or to a pipe {human(t['temporary_disk_of_a_pipe'])} more"
    yield "temporary disk", needed


def _table(name: str, t: Mapping[str, Any]) -> Iterator[str]:
    rows = "rows as they come" if t["rows"] is None else counted(t["rows"], "row")
    yield from wrapped(f"{name}, {rows}, {counted(len(t['columns']), 'column')}", style="bold")
    shown = [["column", "type", "what happens"]]
    for column in t["columns"]:
        shown.append([display(column["name"]), column["type"], _fate(column)])
    yield from columns(shown, titled=True)
    if t["null"]:
        yield from wrapped(f"null is {listed(t['null'])}")
    steps = []
    for number, step in enumerate(t["steps"], 1):
        steps.append((str(number), step["step"], "down all rows" * step["down_all_rows"]))
    yield from columns([("", "step", ""), *steps], titled=True)
    chunks = "" if t["chunks"] is None else f", in {counted(t['chunks'], 'chunk')}"
    work = f"{counted(t['passes'], 'pass', 'passes')} over the rows{chunks}"
    yield from columns([("work", work), *_needs(t)])


def _fate(column: Mapping[str, Any]) -> str:
    if "result" not in column:
        return "unchanged"
    together = column["tensor_of_columns"]
    others = f" with {counted(together - 1, 'other')}" if together > 1 else ""
    becomes = "" if column["result"] == column["type"] else f", becomes {column['result']}"
    added = f", added as {display(column['added_as'])}" if "added_as" in column else ""
    return f"computed in {column['computed_in']}{others}{becomes}{added}"

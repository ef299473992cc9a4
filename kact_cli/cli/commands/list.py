"""`kact list [NAME]`: the activations, straight from their declarations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest
from typing import Any

import click
from click.formatting import wrap_text

from kact_cli.activations import ACTIVATIONS, Activation, Parameter, Value, plugins
from kact_cli.chain import declared, format_value
from kact_cli.cli.classes import COMPUTE, Command, option, shown
from kact_cli.cli.screen.show import colourful, width
from kact_cli.errors import PluginError


@click.command(
    cls=Command,
    examples=[
        "kact list",
        "kact list relu --json",
    ],
)
@click.argument("name", required=False)
@option(COMPUTE, "--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List the activations, their formulas and parameters.

    With NAME, that one in full, and which library has other defaults. Activations of other packages
    come last, with the package's name.
    """
    if name is not None:
        found = declared(name)
        click.echo(json.dumps(_as_json(found), indent=2) if as_json else "\n".join(_in_full(found)))
        return
    others = list(plugins())
    everything = [*ACTIVATIONS.values()]
    if as_json:
        click.echo(json.dumps([_as_json(a) for a in everything], indent=2))
    else:
        click.echo("\n".join(_table(everything)))
    for broken in others:
        if isinstance(broken, PluginError):
            click.echo(f"kact: {broken}", err=True)


def _table(everything: Sequence[Activation]) -> Iterator[str]:
    names = max(len(a.name) for a in everything)
    for number, (group, members) in enumerate(groupby(everything, lambda a: a.group)):
        yield from [""] if number else []
        yield click.style(group, bold=True) if colourful() else group
        for activation in members:
            known = [*_signature(activation), *_origin(activation)]
            lines = [*shown(activation), *([f"  {', '.join(known)}"] if known else [])]
            for name, line in zip_longest([activation.name], lines, fillvalue=""):
                indent = line[: len(line) - len(line.lstrip())]
                first = f"  {name:{names}}  {indent}"
                rest = " " * (len(first) + (0 if indent else 2))
                yield from wrap_text(line.strip(), width(), first, rest).split("\n")


def _in_full(activation: Activation) -> Iterator[str]:
    yield from _folded(f"{activation.name}({', '.join(_signature(activation))})", "", "    ")
    yield from ("", *_folded(activation.summary), "")
    for line in shown(activation):
        yield from _folded(line, "    ", "      ")
    yield ""
    for parameter in activation.parameters:
        yield from _folded(f"{parameter.name}{_more(parameter)}", "  ", "    ")
    yield from [""] if activation.parameters else []
    origin = _origin(activation)
    yield from [f"Also {', '.join(origin)}.", ""] if origin else []
    yield from _folded(activation.notes) if activation.notes else []


def _folded(text: str, first: str = "", rest: str = "") -> list[str]:
    """A text, its paragraphs too, in lines that a terminal has room for and that read easily."""
    return wrap_text(text, min(80, width()), first, rest, True).split("\n")


def _more(parameter: Parameter) -> str:
    others = f" (also {', '.join(parameter.aliases)})" if parameter.aliases else ""
    elsewhere = f" Default: {format_value(parameter.default)}; {parameter.elsewhere}."
    return f"{others}: {parameter.help}{elsewhere if parameter.elsewhere else ''}"


def _signature(activation: Activation) -> list[str]:
    return [f"{p.name}={format_value(p.default)}" for p in activation.parameters]


def _origin(activation: Activation) -> list[str]:
    """Other names, and whose it is if it is not kact's."""
    of = [f"of {activation.package}"] if activation.package else []
    return [*(f"called {alias}" for alias in activation.aliases), *of]


def _as_json(activation: Activation) -> dict[str, Any]:
    return {
        "name": activation.name,
        "aliases": list(activation.aliases),
        "group": activation.group,
        "package": activation.package or "kact-cli",
        "summary": activation.summary,
        "formula": activation.formula,
        "parameters": [
            {
                "name": p.name,
                "aliases": list(p.aliases),
                "default": _plain(p.default),
                "elsewhere": p.elsewhere,
                "help": p.help,
                "optional": p.optional,
                "axis": p.is_axis,
                "flag": p.is_flag,
            }
            for p in activation.parameters
        ],
        "notes": activation.notes,
    }


def _plain(value: Value) -> Any:
    """`value` as JSON has it: infinities and NaN are strings there."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

"""`kact list [NAME]`: the activations, straight from their declarations."""

from __future__ import annotations

import json
import math
from typing import Any

import click

from kact_cli.activations import ACTIVATIONS, Activation, Value
from kact_cli.chain import format_value, meant
from kact_cli.cli.help import COMPUTE, Command, option
from kact_cli.errors import UsageError


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

    With NAME, that one in full.
    """
    if name is None:
        if as_json:
            click.echo(json.dumps([_as_json(a) for a in ACTIVATIONS.values()], indent=2))
            return
        width = max(map(len, ACTIVATIONS))
        for activation in ACTIVATIONS.values():
            click.echo(f"{activation.name:{width}}  {activation.formula}")
            parameters = ", ".join(_signature(activation))
            if parameters:
                click.echo(f"{'':{width}}    {parameters}")
        return
    found = ACTIVATIONS.get(name.lower().replace("-", "_"))
    if found is None:
        known = meant(name)
        raise UsageError(f"unknown activation '{name}'{known}")
    if as_json:
        click.echo(json.dumps(_as_json(found), indent=2))
        return
    click.echo(f"{found.name}({', '.join(_signature(found))})\n\n{found.summary}\n")
    click.echo(f"    {found.formula}\n")
    for parameter in found.parameters:
        others = f" (also {', '.join(parameter.aliases)})" if parameter.aliases else ""
        click.echo(f"  {parameter.name}{others}: {parameter.help}")
    if found.notes:
        click.echo(("\n" if found.parameters else "") + found.notes)


def _signature(activation: Activation) -> list[str]:
    return [f"{p.name}={format_value(p.default)}" for p in activation.parameters]


def _as_json(activation: Activation) -> dict[str, Any]:
    return {
        "name": activation.name,
        "summary": activation.summary,
        "formula": activation.formula,
        "parameters": [
            {
                "name": p.name,
                "aliases": list(p.aliases),
                "default": _plain(p.default),
                "help": p.help,
                "optional": p.optional,
                "axis": p.is_axis,
            }
            for p in activation.parameters
        ],
        "notes": activation.notes,
    }


def _plain(value: Value) -> Any:
    """`value` as JSON has it: infinities and NaN are strings there."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

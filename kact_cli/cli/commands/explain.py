"""`kact explain SPEC [INPUT]`: what a chain would do, without doing it."""

from __future__ import annotations

from typing import Any

import click

from kact_cli.chain import Chain
from kact_cli.cli.help import Command
from kact_cli.cli.options import make_options, plan_options
from kact_cli.cli.types import ChainType, PathType
from kact_cli.messages import display
from kact_cli.reports.explain import explain


@click.command(
    cls=Command,
    examples=[
        "kact explain relu:alpha=0.1,softmax",
        "kact explain softmax:axis=0 logits.npy",
    ],
)
@click.argument("spec", type=ChainType())
@click.argument("input", required=False, type=PathType())
@plan_options
def command(spec: Chain, input: str | None, **chosen: Any) -> None:
    """Show what a chain would do: steps, passes, memory.

    Without INPUT, the steps with every parameter; with it, also columns, dtypes, passes, chunks,
    peak memory and temporary disk. Nothing is written, and of INPUT no more than its header and
    first rows is read.
    """
    for line in explain(spec, input, make_options(**chosen)):
        click.echo(display(line))

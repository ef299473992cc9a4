"""`kact apply NAME`: one activation, with a subcommand generated from its declaration."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any

import click

from kact_cli.activations import ACTIVATIONS, Activation, find, plugins
from kact_cli.chain import Chain, Step, meant
from kact_cli.cli.classes import Command, Group, shown
from kact_cli.cli.options import (
    make_options,
    parameter_option,
    transform_options,
)
from kact_cli.cli.output import REPORT, STREAMS, input_output, preview_option
from kact_cli.cli.run import looks_like_chain, run, too_many_files


class ActivationGroup(Group):
    """One subcommand for each activation; names fold case and `-` to `_`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        for _ in plugins():  # which joins the table
            pass
        return list(ACTIVATIONS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.list_commands(ctx)
        for group, members in groupby(ACTIVATIONS.values(), lambda a: a.group):
            with formatter.section(group):
                formatter.write_dl([(", ".join(a.names), a.summary.rstrip(".")) for a in members])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        activation = find(cmd_name)
        return _command(activation) if activation else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            if looks_like_chain(args[0]):
                ctx.fail(f"apply takes a name, and chain a chain: kact chain '{args[0]}' ...")
            ctx.fail(f"unknown activation '{args[0]}'{meant(args[0])}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=ActivationGroup,
    closing=STREAMS,
    options_metavar="NAME",
    subcommand_metavar="[OPTIONS] [INPUT] [OUTPUT]",
    examples=[
        "kact apply softmax logits.npy probabilities.npy",
        "kact apply relu --alpha 0.1 --columns 'logit_*' table.parquet out.parquet",
    ],
)
def command() -> None:
    """Apply one activation.

    NAME is one of those below. Its parameters are its own options: `kact apply relu --help` shows
    relu's.
    """


def _examples(activation: Activation) -> list[str]:
    given = ""
    if activation.parameters:
        first = activation.parameters[0]
        value = "" if first.is_flag else f" {0 if first.is_axis else 0.5}"
        given = f" --{first.name.replace('_', '-')}{value}"
    return [
        f"kact apply {activation.name}{given} logits.npy out.npy",
        f"kact apply {activation.name} -c 'logit_*' table.parquet out.parquet",
    ]


def _help(activation: Activation) -> str:
    elsewhere = [f"{p.name}: {p.elsewhere}." for p in activation.parameters if p.elsewhere]
    formula = "\n  ".join(shown(activation))
    notes = "\n\n".join(filter(None, [activation.notes, *elsewhere]))
    return f"{activation.summary}\n\n\b\n  {formula}\n\n{notes}".rstrip()


def _too_many(name: str, given: Sequence[str]) -> str:
    """What is said to more than an INPUT and an OUTPUT."""
    if looks_like_chain(given[0]):
        files = " ".join(given[1:])
        return f"several activations are a chain: kact chain '{name},{given[0]}' {files}"
    return too_many_files(name, given)


def _command(activation: Activation) -> click.Command:
    names = [p.name for p in activation.parameters]

    @input_output
    @transform_options
    @preview_option
    @REPORT
    def callback(
        input: str, output: str, preview: str | None, report: str | None, **chosen: Any
    ) -> None:
        step = Step.make(activation.name, {name: chosen.pop(name) for name in names})
        run(Chain((step,)), input, output, make_options(**chosen), preview, report)

    made = click.command(
        activation.name,
        cls=Command,
        too_many=partial(_too_many, activation.name),
        examples=_examples(activation),
        short_help=activation.summary,
        help=_help(activation),
        closing=STREAMS,
    )(callback)
    made.params[:0] = [parameter_option(p) for p in activation.parameters]
    return made

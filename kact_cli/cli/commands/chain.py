"""`kact chain SPEC`: several activations, left to right."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import click

from kact_cli.chain import Chain
from kact_cli.cli.classes import Command
from kact_cli.cli.options import make_options, transform_options
from kact_cli.cli.output import REPORT, STREAMS, input_output, preview_option
from kact_cli.cli.run import commas, looks_like_chain, run, too_many_files
from kact_cli.cli.types import ChainType
from kact_cli.errors import UsageError
from kact_cli.files.descriptors import STANDARD


def _too_many(given: Sequence[str]) -> str:
    """What is said to more than a SPEC, an INPUT and an OUTPUT."""
    steps = list(itertools.takewhile(looks_like_chain, given))
    if len(steps) > 1:
        return commas("chain", steps, given[len(steps) :])
    return too_many_files(f"'{given[0]}'", given[1:])


@click.command(
    cls=Command,
    closing=STREAMS,
    too_many=_too_many,
    examples=[
        "kact chain elu:alpha=0.3,softmax:axis=0 logits.npy out.npy",
        'kact chain "relu(max_value=6),softmax" -c "logit_*" table.parquet out.parquet',
    ],
)
@click.argument("spec", type=ChainType())
@input_output
@transform_options
@preview_option
@REPORT
def command(
    spec: Chain, input: str, output: str, preview: str | None, report: str | None, **chosen: Any
) -> None:
    """Apply several activations, left to right.

    SPEC is `relu(alpha=0.1,max_value=6),softmax(axis=0)` or, needing no quotes in a shell,
    `relu:alpha=0.1:max_value=6,softmax:axis=0`. Spaces are free; `kact list` names the activations
    and their parameters.
    """
    if looks_like_chain(input):
        raise UsageError(_too_many([str(spec), input, *([] if output == STANDARD else [output])]))
    run(spec, input, output, make_options(**chosen), preview, report)

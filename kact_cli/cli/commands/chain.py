"""`kact chain SPEC`: several activations, left to right."""

from __future__ import annotations

from typing import Any

import click

from kact_cli.chain import Chain
from kact_cli.cli.help import Command
from kact_cli.cli.options import input_output, make_options, preview_option, transform_options
from kact_cli.cli.run import run
from kact_cli.cli.types import ChainType


@click.command(
    cls=Command,
    examples=[
        "kact chain elu:alpha=0.3,softmax:axis=0 logits.npy out.npy",
        'kact chain "relu(max_value=6),softmax" -c "logit_*" table.parquet out.parquet',
    ],
)
@click.argument("spec", type=ChainType())
@input_output
@transform_options
@preview_option
def command(spec: Chain, input: str, output: str, preview: str | None, **chosen: Any) -> None:
    """Apply several activations, left to right.

    SPEC is `relu(alpha=0.1,max_value=6),softmax(axis=0)` or, needing no quotes in a shell,
    `relu:alpha=0.1:max_value=6,softmax:axis=0`. Spaces are free; `kact list` names the activations
    and their parameters.
    """
    run(spec, input, output, make_options(**chosen), preview)

"""The options of what is quantised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from kact_cli.cli.classes import COMPUTE, option
from kact_cli.cli.output import F, decorated
from kact_cli.errors import UsageError
from kact_cli.formats.declared import TENSORS

if TYPE_CHECKING:
    from kact_cli.types import Quantization

HALF_AWAY = "half-away"
RULE = "S = (B - A) / (M - L) and Z = L - round(A / S)"
"""The scale and zero point for numbers from A to B in integers from L to M."""


def _parsed(_: click.Context, param: click.Parameter, value: str | None) -> Quantization | None:
    if value is None:
        return None
    from kact_cli.formats.quantization import parse_quantization

    return parse_quantization(value, param.opts[0])


def quantize_options(*, end: str | None) -> tuple[Callable[..., Any], ...]:
    """--quantize-in, --quantize-out and --rounding, of files where `end` says which."""
    where: Any = None if end is None else (end, TENSORS)
    return (
        option(
            COMPUTE,
            "--quantize-in",
            concerns=where,
            metavar="S,Z[,DTYPE]",
            callback=_parsed,
            help="The integers of INPUT are (q - Z) * S: a scale and a zero point, or a .npy of "
            "each along the last axis (or axis=N).",
        ),
        option(
            COMPUTE,
            "--quantize-out",
            concerns=where,
            metavar="S,Z[,DTYPE]",
            callback=_parsed,
            help="Write integers round(y / S) + Z, saturated: int8, uint8, int16 or uint16. For y "
            f"from A to B in integers from L to M: {RULE}.  [default dtype: that of INPUT]",
        ),
        option(
            COMPUTE,
            "--rounding",
            type=click.Choice(("half-even", HALF_AWAY)),
            metavar="HOW",
            help="Where y / S is half-way: half-even as ONNX, half-away as TFLite.  "
            "[default: half-even]",
        ),
    )


def quantization_options(command: F) -> F:
    """The same for a command that makes a file of nothing."""
    return decorated(command, quantize_options(end=None))


def with_rounding(chosen: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a command, with --rounding made a part of --quantize-out."""
    rounding = chosen.pop("rounding", None)
    out = chosen.get("quantize_out")
    if rounding is not None and out is None:
        raise UsageError("--rounding is for --quantize-out, and there is none")
    if rounding == HALF_AWAY and out is not None:
        chosen["quantize_out"] = replace(out, half_away=True)
    return chosen

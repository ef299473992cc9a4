"""`kact lut SPEC`: the look-up table of a quantised chain."""

from __future__ import annotations

from typing import Any

import click

from kact_cli.chain import Chain
from kact_cli.cli.classes import FILES, Command, option
from kact_cli.cli.options import make_options
from kact_cli.cli.output import target_options
from kact_cli.cli.quantize import quantization_options
from kact_cli.cli.run import check_no_terminal
from kact_cli.cli.types import ChainType, PathType
from kact_cli.errors import UsageError
from kact_cli.files.descriptors import STANDARD
from kact_cli.golden.lut import FORMS, Lut, form_of, write


@click.command(
    cls=Command,
    examples=[
        "kact lut tanh --quantize-in 0.03,0 --quantize-out 1/128,0 tanh.h",
        "kact lut sigmoid --quantize-in 0.05,3 --quantize-out 1/256,-128 --to csv",
    ],
)
@click.argument("spec", type=ChainType())
@click.argument("output", default=STANDARD, metavar="[OUTPUT]", type=PathType())
@quantization_options
@option(
    FILES,
    "--to",
    "form",
    type=click.Choice(tuple(FORMS)),
    metavar="FORM",
    help=f"{', '.join(FORMS)}, if the suffix of OUTPUT does not say it.",
)
@option(
    FILES,
    "--name",
    metavar="NAME",
    help="Name of the array in C.  [default: that of OUTPUT and _lut: tanh.h has tanh_lut]",
)
@target_options
def command(spec: Chain, output: str, form: str | None, name: str | None, **chosen: Any) -> None:
    """Write the look-up table of a quantised chain.

    The table has an entry for each integer of the input's dtype (int8 unless --quantize-in says
    else): 256, or 65,536 of 16 bits. It is what `kact chain SPEC` gives with the same options.
    SPEC is a chain without softmax.

    OUTPUT is a .npy, a C header (.h, .c: `static const int8_t`), a memory for Verilog's $readmemh
    (.hex, .mem) or a .csv. Entry i is for the input whose bits are i: of int8, those of 0 to 127
    come first, then those of -128 to -1. A .csv has the inputs beside the results, rising.
    """
    options = make_options(**chosen)
    if options.quantize_in is None or options.quantize_out is None:
        raise UsageError(
            "a table needs --quantize-in and --quantize-out; how to choose them is in man kact, "
            "under QUANTISED TENSORS"
        )
    form = form or (None if output == STANDARD else form_of(output))
    if form is None:
        raise UsageError(f"no OUTPUT: name a file, or say --to and one of {', '.join(FORMS)}")
    if form == "npy":
        check_no_terminal(output)
    if name is not None and form != "c":
        raise UsageError(f"--name is for an array in C, and has no effect on {form}")
    lut = Lut.of(spec, options.quantize_in, options.quantize_out)
    write(lut, output, options, form=form, name=name)

"""`kact values DTYPE`: inputs that leave nothing out, for testing an implementation."""

from __future__ import annotations

from typing import Any

import click

from kact_cli.chain import Chain
from kact_cli.cli.classes import COMPUTE, PART, Command, option
from kact_cli.cli.options import make_options
from kact_cli.cli.output import writing_options
from kact_cli.cli.run import check_no_terminal, watched
from kact_cli.cli.types import ChainType, DtypeType, PathType
from kact_cli.files.descriptors import STANDARD

DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "uint16")


@click.command(
    cls=Command,
    examples=[
        "kact values bfloat16 --specials every.npy",
        "kact values float32 --chain relu:max_value=6,tanh sample.safetensors",
    ],
)
@click.argument("dtype", type=DtypeType(DTYPES), metavar="DTYPE")
@click.argument("output", default=STANDARD, metavar="[OUTPUT]", type=PathType())
@option(COMPUTE, "--all", "every", is_flag=True, help="Every bit pattern, in the order of bits.")
@option(
    COMPUTE,
    "--specials",
    is_flag=True,
    help="NaN, infinities, both zeros and subnormals first.",
)
@option(
    COMPUTE,
    "--chain",
    type=ChainType(),
    metavar="SPEC",
    help="Add where SPEC bends, saturates, or is hard to round.",
)
@option(COMPUTE, "--seed", type=click.IntRange(0), metavar="N",
        help="What the sample is drawn from.  [default: 0]")  # fmt: skip
@option(PART, "--from", "first", type=float, metavar="A", help="Smallest value.")
@option(PART, "--to", "last", type=float, metavar="B", help="Largest value.")
@option(
    PART,
    "--count",
    type=click.IntRange(1, 2**24),
    metavar="N",
    help="Values of a sample [default: 100000], or evenly spaced from A to B.",
)
@writing_options
def command(
    dtype: str,
    output: str,
    every: bool,
    specials: bool,
    chain: Chain | None,
    seed: int | None,
    first: float | None,
    last: float | None,
    count: int | None,
    **chosen: Any,
) -> None:
    """Write test inputs: every value of a dtype, or a sample.

    DTYPE is float16, bfloat16, float32, float64, int8, uint8, int16 or uint16. Of 8 and 16 bits
    every finite value is written, in rising order; of float32 and float64 a sample with every
    exponent and both signs, or with --all the 2**32 values of float32. OUTPUT is a .npy, or a
    .safetensors, whose metadata say how the values were chosen.

    The same command writes the same bytes on any machine: what is drawn comes from --seed, in the
    metadata of a .safetensors too. --chain adds to a sample the values around each threshold of a
    chain (where a parameter applies, where the result becomes 0, subnormal or infinite) and the
    float32 whose exact results lie nearest to the middle of two.
    """
    check_no_terminal(output)
    from kact_cli.golden.vectors import Vectors, write
    from kact_cli.types import dtype_named

    options = make_options(**chosen)
    vectors = Vectors(dtype_named(dtype), every, specials, first, last, count, chain, seed)
    watched(options, lambda: write(vectors, output, options), output)

"""The options that commands share, each declared once, and the types of their values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kact_cli.activations import Parameter, Value
from kact_cli.chain import Chain, format_value, parse_value
from kact_cli.cli.console import Console
from kact_cli.errors import UsageError
from kact_cli.formats import FORMATS
from kact_cli.stream import Options

if TYPE_CHECKING:
    import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.I)
_DTYPES = ("float16", "float32", "float64")


class SizeType(click.ParamType[int]):
    """A number of bytes: `1048576`, `256KiB` (1024), `8MB` (1000)."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"'{value}' is not a size such as 256KiB or 8MB", param, ctx)
        power = " kmgt".index(match[2].lower() or " ")
        size = float(match[1]) * (1024 if match[3] else 1000) ** power
        if not 1 <= size <= 2**40:
            self.fail(f"'{value}' is not between 1 byte and 1 TiB", param, ctx)
        return int(size)


class ChainType(click.ParamType[Chain]):
    """A chain in either spelling of the grammar."""

    name = "spec"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Chain:
        return value if isinstance(value, Chain) else Chain.parse(value)


class ValueType(click.ParamType[Value]):
    """The value of one parameter of an activation."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        self.name = "axis" if parameter.is_axis else "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Value:
        try:
            return parse_value(self.parameter, str(value))
        except UsageError as e:
            self.fail(str(e), param, ctx)


def parameter_option(parameter: Parameter) -> click.Option:
    """The option of an activation's parameter: its Keras name with dashes, and its aliases."""
    flags = [f"--{name.replace('_', '-')}" for name in parameter.names]
    return click.Option(
        [*flags, parameter.name],
        type=ValueType(parameter),
        default=format_value(parameter.default),
        show_default=True,
        help=parameter.help,
    )


def input_output(command: F) -> F:
    """INPUT and OUTPUT, both standard streams by default."""
    command = click.argument("output", default="-", metavar="[OUTPUT]")(command)
    return click.argument("input", default="-", metavar="[INPUT]")(command)


def _dtype(ctx: click.Context, param: click.Parameter, value: str | None) -> np.dtype[Any] | None:
    import numpy as np

    return None if value is None else np.dtype(value)


_NAMES = [f.name for f in FORMATS]

_PLAN = (
    click.option(
        "--from",
        "source_format",
        type=click.Choice(_NAMES),
        envvar="KACT_FROM",
        help="Format of INPUT, where its first bytes do not tell.",
    ),
    click.option(
        "--columns",
        "-c",
        multiple=True,
        metavar="LIST",
        envvar="KACT_COLUMNS",
        help="Columns of a table that are the tensor: names and globs, comma-separated."
        "  [default: floats and lists of them]",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="LIST",
        envvar="KACT_EXCLUDE",
        help="Columns that are not.",
    ),
    click.option(
        "--delimiter",
        envvar="KACT_DELIMITER",
        callback=lambda _c, _p, value: "\t" if value in ("\\t", "tab") else value,
        help="Between the cells of a CSV.  [default: found]",
    ),
    click.option(
        "--header/--no-header",
        default=None,
        help="Whether the first record of a CSV names its columns.  [default: found]",
    ),
    click.option(
        "--dtype",
        type=click.Choice(_DTYPES),
        envvar="KACT_DTYPE",
        callback=_dtype,
        help="Dtype of the result.  [default: the input's]",
    ),
    click.option(
        "--compute-dtype",
        type=click.Choice(_DTYPES[1:]),
        callback=_dtype,
        envvar="KACT_COMPUTE_DTYPE",
        help="Dtype to compute in, rounded once at the end.",
    ),
    click.option(
        "--chunk-size",
        "chunk_bytes",
        type=SizeType(),
        envvar="KACT_CHUNK_SIZE",
        help="What is read, computed and written in one go.  [default: 1MiB]",
    ),
    click.option(
        "--jobs",
        "-j",
        type=click.IntRange(1, 1024),
        envvar="KACT_JOBS",
        help="Worker processes.  [default: threads, one for each core]",
    ),
)
"""What decides how the work is done; `explain` takes these too."""

_TRANSFORM = (
    click.option(
        "--to",
        "target_format",
        type=click.Choice(_NAMES),
        envvar="KACT_TO",
        help="Format of OUTPUT, where its suffix does not tell.",
    ),
    click.option(
        "--float-format",
        envvar="KACT_FLOAT_FORMAT",
        help="Floats in a CSV, as Python's format: .6g  [default: shortest exact]",
    ),
    click.option(
        "--overwrite",
        is_flag=True,
        envvar="KACT_OVERWRITE",
        help="Replace OUTPUT if it exists; it may be INPUT itself.",
    ),
    click.option(
        "--fsync",
        is_flag=True,
        envvar="KACT_FSYNC",
        help="Have the disk confirm the output before it is put in place.",
    ),
    click.option(
        "--quiet", "-q", is_flag=True, envvar="KACT_QUIET", help="Say nothing but errors."
    ),
    click.option(
        "--verbose",
        "-v",
        is_flag=True,
        envvar="KACT_VERBOSE",
        help="Say what was decided, and how fast it went.",
    ),
)


def plan_options(command: F) -> F:
    """The options that decide what is done; they arrive as keyword arguments."""
    for decorate in reversed(_PLAN):
        command = decorate(command)
    return command


def transform_options(command: F) -> F:
    """Every option of the commands that transform a tensor; they arrive as keyword arguments."""
    for decorate in reversed(_TRANSFORM):
        command = decorate(command)
    return plan_options(command)


def make_options(*, quiet: bool, verbose: bool, **chosen: Any) -> Options:
    """The library's options, from the keyword arguments that `transform_options` gives."""
    columns, exclude = chosen.pop("columns", ()), chosen.pop("exclude", ())
    console = Console(quiet=quiet, verbose=verbose)
    return Options(columns=tuple(columns), exclude=tuple(exclude), **chosen, observer=console)

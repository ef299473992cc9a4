"""The options that commands share, each declared once, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kact_cli.activations import Parameter
from kact_cli.chain import format_value
from kact_cli.cli.classes import COMPUTE, FILES, PART, RUNNING, Option, Where, option
from kact_cli.cli.output import WRITE, decorated
from kact_cli.cli.progress import Progress
from kact_cli.cli.quantize import quantize_options, with_rounding
from kact_cli.cli.types import ColumnsType, DtypeType, SizeType, ValueType
from kact_cli.formats.declared import CSV, FORMATS, IN_UNITS, NAMED, TABLES, TENSORS
from kact_cli.messages import human
from kact_cli.options import Options

if TYPE_CHECKING:
    import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
_DTYPES = ("bfloat16", "float16", "float32", "float64")
_FORMATS = [f.name for f in FORMATS]
_UNITS = "; ".join(f"{f.unit.name} of {f.name}, {human(f.unit.limit)}" for f in FORMATS if f.unit)
_CSV: Where = ("input or output", (CSV.name,))


def parameter_option(parameter: Parameter) -> click.Option:
    """The option of an activation's parameter: its Keras name with dashes, and its aliases."""
    flags = [name.replace("_", "-") for name in parameter.names]
    if parameter.is_flag:
        return Option(
            [*(f"--{flag}/--no-{flag}" for flag in flags), parameter.name],
            heading=COMPUTE,
            default=parameter.default,
            help=parameter.help,
        )
    return Option(
        [*(f"--{flag}" for flag in flags), parameter.name],
        heading=COMPUTE,
        type=ValueType(parameter),
        default=format_value(parameter.default),
        show_default=True,
        help=parameter.help,
    )


def _dtype(ctx: click.Context, param: click.Parameter, value: str | None) -> np.dtype[Any] | None:
    from kact_cli.types import dtype_named

    return None if value is None else dtype_named(value)


_READ = (
    option(
        FILES,
        "--from",
        "source_format",
        type=click.Choice(_FORMATS),
        metavar="FORMAT",
        envvar="KACT_FROM",
        help=f"Input format, if it is not detected: {', '.join(_FORMATS)}.",
    ),
    option(
        FILES,
        "--dtype-in",
        "source_dtype",
        concerns=("input", TENSORS),
        type=DtypeType(_DTYPES[:1]),
        metavar="DTYPE",
        envvar="KACT_DTYPE_IN",
        callback=_dtype,
        help="Take the uint16 of a tensor for the bits of this dtype: bfloat16.",
    ),
    option(
        FILES,
        "--delimiter",
        concerns=_CSV,
        metavar="CHAR",
        envvar="KACT_DELIMITER",
        callback=lambda _c, _p, value: "\t" if value in ("\\t", "tab") else value,
        help="Character between CSV cells.  [default: detected]",
    ),
    option(
        FILES,
        "--header/--no-header",
        concerns=_CSV,
        default=None,
        help="Whether the first record of a CSV names its columns.  [default: detected]",
    ),
    option(
        FILES,
        "--null",
        "nulls",
        concerns=("input", ("csv",)),
        multiple=True,
        metavar="TEXT",
        help="Text of the CSV cells that are null, beside NA and empty ones; may be repeated.",
    ),
    option(
        FILES,
        "--decimal",
        concerns=_CSV,
        type=click.Choice((".", ",")),
        default=".",
        metavar="MARK",
        envvar="KACT_DECIMAL",
        help="Decimal mark of the numbers in a CSV, read and written: . or ,  [default: .]",
    ),
    option(
        RUNNING,
        "--max-unit",
        concerns=("input", IN_UNITS),
        type=SizeType(),
        envvar="KACT_MAX_UNIT",
        help="Refuse an input that needs more memory for one record, page or the like.  "
        f"[default: {_UNITS}]",
    ),
)


def _select(default: str, excluded: str = "leave unchanged") -> tuple[Callable[[F], F], ...]:
    return (
        option(
            PART,
            "--columns",
            "-c",
            concerns=("input", NAMED),
            type=ColumnsType(),
            multiple=True,
            metavar="LIST",
            envvar="KACT_COLUMNS",
            help="Take these columns of a table, or members of an archive, and no others: names, "
            f"globs, commas.  [default: {default}]",
        ),
        option(
            PART,
            "--exclude",
            concerns=("input", NAMED),
            type=ColumnsType(),
            multiple=True,
            metavar="LIST",
            envvar="KACT_EXCLUDE",
            help=f"Columns to {excluded}.",
        ),
    )


_PLAN = (
    option(
        COMPUTE,
        "--dtype",
        type=DtypeType(_DTYPES),
        metavar="DTYPE",
        envvar="KACT_DTYPE",
        callback=_dtype,
        help=f"Dtype of the result: {', '.join(_DTYPES)}.  [default: the input's]",
    ),
    option(
        COMPUTE,
        "--compute-dtype",
        type=DtypeType(_DTYPES[2:]),
        metavar="DTYPE",
        callback=_dtype,
        envvar="KACT_COMPUTE_DTYPE",
        help=f"Dtype to compute in, {' or '.join(_DTYPES[2:])}, rounded once at the end.",
    ),
    option(
        COMPUTE,
        "--exact",
        is_flag=True,
        envvar="KACT_EXACT",
        help="Round once, correctly, to the same bytes on every machine; slower.",
    ),
    *quantize_options(end="input"),
    *_select("floats and lists of them"),
    option(
        PART,
        "--suffix",
        concerns=("output", TABLES),
        lacking="columns",
        metavar="TEXT",
        envvar="KACT_SUFFIX",
        help="Keep the columns, and add the results after the last one, named NAME and then TEXT.",
    ),
    *_READ,
    option(
        RUNNING,
        "--chunk-size",
        "chunk_bytes",
        concerns=("input", TENSORS),
        type=SizeType(),
        envvar="KACT_CHUNK_SIZE",
        help="Size of the pieces that a .npy is processed in.  [default: 2MiB]",
    ),
)
"""What decides how the work is done, beside the jobs; `explain` takes these too."""


def _jobs(default: str) -> Callable[[F], F]:
    return option(
        RUNNING,
        "--jobs",
        "-j",
        type=click.IntRange(1, 1024),
        metavar="N",
        envvar="KACT_JOBS",
        help=f"Worker processes.  [default: {default}]",
    )


_THREADS = _jobs("threads, one for each core")

_WARNINGS = (
    option(
        RUNNING, "--strict", is_flag=True, envvar="KACT_STRICT", help="Treat warnings as errors."
    ),
    option(
        RUNNING, "--quiet", "-q", is_flag=True, envvar="KACT_QUIET", help="Say nothing but errors."
    ),
)


def _to(help: str) -> Callable[[F], F]:
    return option(
        FILES,
        "--to",
        "target_format",
        type=click.Choice(_FORMATS),
        metavar="FORMAT",
        envvar="KACT_TO",
        help=help,
    )


_TRANSFORM = (
    option(
        FILES,
        "--float-format",
        concerns=("output", (CSV.name,)),
        metavar="SPEC",
        envvar="KACT_FLOAT_FORMAT",
        help="How floats are written in a CSV, as in Python's format(): .6g  [default: shortest "
        "exact]",
    ),
    *WRITE,
    *_WARNINGS,
    option(
        RUNNING,
        "--verbose",
        "-v",
        is_flag=True,
        envvar="KACT_VERBOSE",
        help="Say what was decided, and how fast it went.",
    ),
)


def transform_options(command: F) -> F:
    """Every option of the commands that transform a tensor; they arrive as keyword arguments."""
    to = _to("Output format, if the suffix of OUTPUT does not say it.")
    return decorated(command, (*_PLAN, _THREADS, to, *_TRANSFORM))


def batch_options(command: F) -> F:
    """The same, where many files are done by processes anyway."""
    to = _to("Format and suffix of the outputs.  [default: those of each INPUT]")
    return decorated(command, (*_PLAN, _jobs("one for each core"), to, *_TRANSFORM))


def plan_options(command: F) -> F:
    """The options that decide what is done; they arrive as keyword arguments."""
    return decorated(command, (*_PLAN, _THREADS, *_WARNINGS))


def reading_options(command: F) -> F:
    """The options of the commands that only read: how, and which columns."""
    return decorated(command, (*_select("all that hold numbers", "leave out"), *_READ))


def make_options(
    *,
    quiet: bool = False,
    verbose: bool = False,
    progress: bool | None = None,
    strict: bool = False,
    **chosen: Any,
) -> Options:
    """The library's options, from the keyword arguments of any of these sets."""
    columns, exclude = chosen.pop("columns", ()), chosen.pop("exclude", ())
    observer = Progress(quiet=quiet, verbose=verbose, progress=progress, strict=strict)
    ctx = click.get_current_context()
    given = [p.typed(ctx) for p in ctx.command.params if isinstance(p, Option)]
    return Options(
        columns=tuple(columns),
        exclude=tuple(exclude),
        **with_rounding(chosen),
        observer=observer,
        typed=tuple(concern for concern in given if concern is not None),
    )

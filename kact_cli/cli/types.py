"""The types of the values that options and arguments take."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click

from kact_cli.activations import Parameter, Value
from kact_cli.chain import Chain, parse_value
from kact_cli.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_DTYPES = {
    **dict.fromkeys(("fp16", "half", "f2", "f16", "e", "halffloat"), "float16"),
    **dict.fromkeys(("fp32", "single", "float", "f4", "f32", "f"), "float32"),
    **dict.fromkeys(("fp64", "double", "f8", "f64", "d"), "float64"),
    **dict.fromkeys(("bf16", "bf2", "brain", "v2"), "bfloat16"),
}
"""What dtypes are called elsewhere."""
_SIZE = r"(?i)(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?"


class SizeType(click.ParamType[int]):
    """A number of bytes: `1048576`, `256KiB` (1024), `8MB` (1000)."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(_SIZE, str(value).strip())
        if match is None:
            self.fail(f"'{value}' is not a size such as 256KiB or 8MB", param, ctx)
        power = " kmgt".index(match[2].lower() or " ")
        size = float(match[1]) * (1024 if match[3] else 1000) ** power
        if not 1 <= size <= 2**40:
            self.fail(f"'{value}' is not between 1 byte and 1 TiB", param, ctx)
        return int(size)


class DtypeType(click.Choice[str]):
    """The name of a dtype; what it is called elsewhere is told."""

    name = "dtype"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in self.choices:
            return str(value)
        found = _DTYPES.get(str(value).lower().lstrip("<>=|").removeprefix("torch."))
        hint = f"; did you mean {found}?" if found in self.choices else ""
        known = ", ".join(map(str, self.choices))
        raise click.BadParameter(f"'{value}' is none of {known}{hint}", ctx, param)


class ColumnsType(click.ParamType[str]):
    """Names and globs of columns; in an environment variable one list a line, for the spaces."""

    name = "list"
    envvar_list_splitter = "\n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from kact_cli.cli.completion import columns_of_line

        return columns_of_line(ctx, param, incomplete)


class ChainType(click.ParamType[Chain]):
    """A chain in either spelling of the grammar."""

    name = "spec"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Chain:
        if isinstance(value, Chain):
            return value
        try:
            return Chain.parse(value)
        except UsageError:
            if os.path.lexists(value):
                self.fail(f"'{value}' is a file: the chain comes before the files", param, ctx)
            raise

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from kact_cli.cli.completion import complete_chain

        return complete_chain(incomplete)


class PathType(click.ParamType[str]):
    """The name of a file as it was given, or `-`; nothing is looked at before it is opened."""

    name = "path"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


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
        except UsageError as e:  # which begins with the parameter's name, as the option's does
            name = self.parameter.name
            message = str(e).replace(name, f"--{name.replace('_', '-')}", 1)
            raise click.UsageError(message, ctx) from e

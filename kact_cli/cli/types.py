"""The types of the values that options and arguments take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from kact_cli.activations import Parameter, Value
from kact_cli.chain import Chain, parse_value
from kact_cli.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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
        return value if isinstance(value, Chain) else Chain.parse(value)

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
        except UsageError as e:
            self.fail(str(e), param, ctx)

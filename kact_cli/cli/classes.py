"""The classes of options and commands: help under headings, with examples at its end."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from click.core import ParameterSource
from click.formatting import wrap_text

from kact_cli.errors import ExitCode
from kact_cli.options import Concern

if TYPE_CHECKING:
    from kact_cli.activations import Activation

_HYPHEN = "\N{NON-BREAKING HYPHEN}"
F = TypeVar("F", bound=Callable[..., Any])

COMPUTE = "What to compute"
PART = "Which part of the file"
FILES = "Reading and writing"
RUNNING = "Running"
MEANT = {
    **dict.fromkeys(("--dim", "--dims", "--axes"), "--axis"),
    **dict.fromkeys(
        ("--threads", "--workers", "--num-workers", "--processes", "--cores"), "--jobs"
    ),
    **dict.fromkeys(
        ("--force", "--replace", "--clobber", "--yes", "--in-place", "--inplace"), "--overwrite"
    ),
    **dict.fromkeys(("--resume", "--continue", "--no-clobber"), "--skip-existing"),
    **dict.fromkeys(("--sep", "--separator"), "--delimiter"),
    **dict.fromkeys(("--cols", "--select", "--fields"), "--columns"),
    **dict.fromkeys(("--append", "--keep", "--new-column", "--rename"), "--suffix"),
    **dict.fromkeys(("--na", "--na-values", "--nulls"), "--null"),
    **dict.fromkeys(("--output-format", "--format", "--out-format"), "--to"),
    **dict.fromkeys(("--input-format", "--in-format"), "--from"),
    **dict.fromkeys(("--precision", "--type"), "--dtype"),
    **dict.fromkeys(("--ignore-errors", "--continue-on-error"), "--keep-going"),
    **dict.fromkeys(("-o", "--out", "--output", "--outdir", "--out-dir"), "--output-dir"),
}
"""Options by the names that they have elsewhere."""
HEADINGS = (COMPUTE, PART, FILES, RUNNING)
"""In the order of the help."""


Where = tuple[Literal["input", "output", "input or output"], tuple[str, ...]]
"""At which end, and in files of which formats, an option has an effect."""


class Option(click.Option):
    """An option that says under which heading of the help it belongs.

    `concerns` says at which end and in which formats it has an effect; None: anywhere. `lacking`
    is what other formats have not, for which it is made.
    """

    def __init__(
        self,
        *args: Any,
        heading: str,
        concerns: Where | None = None,
        lacking: str = "",
        **attributes: Any,
    ) -> None:
        super().__init__(*args, **attributes)
        self.heading, self.concerns, self.lacking = heading, concerns, lacking

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return record and (record[0], plain_range(record[1]))

    def typed(self, ctx: click.Context) -> Concern | None:
        """What the option concerns, if it was typed: in an environment variable it is no wish."""
        source = ctx.get_parameter_source(self.name or "")
        if self.concerns is None or source is not ParameterSource.COMMANDLINE:
            return None
        off = self.secondary_opts and ctx.params[self.name or ""] is False
        flag = (self.secondary_opts if off else self.opts)[0]
        return Concern(flag, *self.concerns, self.lacking)


class Formatter(click.HelpFormatter):
    """Help whose lines break between words, never at a hyphen, and whose examples stay shell."""

    def write(self, string: str) -> None:
        super().write(string.replace(_HYPHEN, "-"))

    def write_text(self, text: str) -> None:
        paragraphs = text.replace("-", _HYPHEN).split("\n\n")
        super().write_text("\n\n".join(map(self._folded, paragraphs)))

    def _folded(self, paragraph: str) -> str:
        """A paragraph; one that starts with Click's mark keeps its lines, as far as they fit."""
        if not paragraph.startswith("\b\n"):
            return paragraph
        lines = ["\b"]
        for line in paragraph.split("\n")[1:]:
            lead = " " * (len(line) - len(line.lstrip()))
            room = self.width - self.current_indent
            lines.append(wrap_text(line.lstrip(), room, lead, lead + "  "))
        return "\n".join(lines)

    def write_dl(self, rows: Iterable[tuple[str, str]], *args: Any, **more: Any) -> None:
        super().write_dl([(a, b.replace("-", _HYPHEN)) for a, b in rows], *args, **more)

    def write_examples(self, lines: Iterable[str]) -> None:
        """Lines of shell, each continued behind a backslash where the terminal is too narrow."""
        import shutil  # with bz2 and lzma; only the help needs it
        import textwrap

        with self.section("Examples"):
            for line in lines:
                room = min(80, shutil.get_terminal_size().columns)
                room -= 0 if len(line) + 2 <= room else 2
                words = textwrap.TextWrapper(room, "  ", "      ", break_long_words=False)
                words.break_on_hyphens = False
                self.write(" \\\n".join(words.wrap(line)) + "\n")


class Context(click.Context):
    """A context whose help is written so."""

    formatter_class = Formatter


def plain_range(text: str) -> str:
    """`text` with Click's `1<=x<=4` and `x>=0` in words."""
    return re.sub(r"(\d+)<=x<=(\d+)", r"\1 to \2", re.sub(r"x>=(\d+)", r"\1 or more", text))


def option(heading: str, *flags: str, **attributes: Any) -> Callable[[F], F]:
    """Declare an option under a heading of the help; otherwise as `click.option`."""
    return click.option(*flags, cls=Option, heading=heading, **attributes)


class Command(click.Command):
    """A command whose help groups its options and ends with `examples`, each a line of shell.

    The examples run where there are the files that they name: logits.npy and table.parquet,
    device.npy and expected.npy of one shape.
    """

    context_class = Context

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        closing: str = "",
        too_many: Callable[[Sequence[str]], str] | None = None,
        failure: ExitCode = ExitCode.DATA,
        **attributes: Any,
    ) -> None:
        """`closing` ends the text of the help. `too_many` says what to do instead, to more
        arguments than the command takes; `failure` is how it ends where the data, or the system,
        fails it."""
        super().__init__(*args, **attributes)
        self.examples = tuple(examples)
        self.closing = closing
        self.help = f"{inspect.cleandoc(self.help or '')}\n\n{closing}".rstrip()
        self.too_many = too_many
        self.failure = failure

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.allow_extra_args = self.too_many is not None or ctx.allow_extra_args
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as e:
            from kact_cli.activations.elsewhere import PARAMETERS

            meant, hint = MEANT.get(e.option_name), PARAMETERS.get(e.option_name.lstrip("-"), "")
            if meant is None and not hint:
                raise
            if any(meant in param.opts for param in self.get_params(ctx)):
                hint = f". Did you mean '{meant}'?"
            elif meant == "--output-dir" and "[OUTPUT]" in self.collect_usage_pieces(ctx):
                hint = ". OUTPUT comes after INPUT, with no option before it"
            raise click.UsageError(f"No such option '{e.option_name}'{hint}", e.ctx) from e
        if rest and self.too_many is not None and not ctx.resilient_parsing:
            taken = [p for p in self.get_params(ctx) if isinstance(p, click.Argument)]
            ctx.fail(self.too_many([*(str(ctx.params[p.name or ""]) for p in taken), *rest]))
        return rest

    def headings(self, ctx: click.Context) -> dict[str, list[click.Parameter]]:
        """The command's options by heading; those that kact did not declare are last."""
        found: dict[str, list[click.Parameter]] = {heading: [] for heading in HEADINGS}
        for param in self.get_params(ctx):
            if isinstance(param, click.Option) and not param.hidden:
                found[getattr(param, "heading", RUNNING)].append(param)
        return {heading: params for heading, params in found.items() if params}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, params in self.headings(ctx).items():
            with formatter.section(heading):
                records = [r for p in params if (r := p.get_help_record(ctx))]
                formatter.write_dl(records, col_max=24)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples and isinstance(formatter, Formatter):
            formatter.write_examples(self.examples)


def shown(activation: Activation) -> list[str]:
    """The lines of a formula: one, or where that would be long, one for each case."""
    short = len(activation.formula) <= 70
    return [activation.formula] if short else activation.cases


class Group(Command, click.Group):
    """A group of commands with the same kind of help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        Command.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

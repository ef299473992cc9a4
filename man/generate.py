"""Write the man pages from the commands themselves. Run: python man/generate.py [DIRECTORY].

One page for kact and one for each command, in the man macros that every man program knows. In a
checkout, `man -M man kact-plot` shows them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from kact_cli.activations import ACTIVATIONS
from kact_cli.cli import COMMANDS, cli
from kact_cli.cli.help import Command
from kact_cli.formats.csv.spelling import NULL_NAMES
from kact_cli.version import VERSION

PLACE = Path(__file__).parent / "man1"
EXIT_CODES = (
    ("0", "Done."),
    ("1", "The data, or reading or writing it, is at fault; nothing was written."),
    ("2", "The command line is at fault."),
    ("128 + n", "A signal ended kact: 130 for Ctrl\\-C, 141 for a closed pipe."),
)
CSV = (
    (
        "What is a header?",
        "The first record, where its cells are names over numbers. A number on top of a column of "
        "numbers means that there is no header, unless the record is 0, 1, 2, ... or 1, 2, 3, ... "
        "(after an empty cell or not), or is quoted while the numbers are not, as pandas and R "
        "write names. Where columns disagree, or whole numbers stand over fractions as years do, "
        "kact asks for `--header` or `--no-header`. Without a header the columns are c0, c1, ... "
        "Blank lines, lines that begin with # and a line `sep=;` before it are kept.",
    ),
    (
        "What is a number?",
        "`1`, `-1.5`, `.5`, `1e-3`, `nan`, `inf`, in quotes and between spaces or not, and with "
        "`--decimal ,` numbers such as `1,5`, which are written so too. Thousands separators, "
        "`1D0` and other signs than - and + are not read. In a column of numbers any other cell is "
        "an error that names its record and line, at the start of the file and at its end.",
    ),
    (
        "What is null?",
        f"{', '.join(NULL_NAMES)}, in upper or lower case, and what `--null` names, letter by "
        "letter. A null takes no part and is written back as it was. nan is a number.",
    ),
    (
        "What takes part?",
        "The columns whose first cells are numbers, some with a fraction or an exponent. Columns "
        "of whole numbers are left out with a warning, or taken where there are no others; "
        "`--columns` and `--exclude` decide. A fraction that turns up later in a column that was "
        "left out is an error. Text is not computed, nor are whole numbers with zeros in front, "
        "as 007; where most of a column of text are numbers, a warning says so.",
    ),
    (
        "What is an identifier?",
        "A column of whole numbers called id, index or uuid, something_id or Unnamed: 0, or a "
        "first column without a name, or one that counts: 0, 1, 2, ... or from any other number "
        "on. It is left out without a word.",
    ),
    (
        "What does --suffix add?",
        "Cells after the last one of each record, and names after the last one of the header, "
        "quoted where all names are; without a header, cells alone. An added cell is what would "
        "have replaced its source; for a null it is empty, or NA between runs of spaces. A name "
        "that there is already is an error.",
    ),
    (
        "What is kept?",
        "Every byte that is not a computed number: quotes, line endings, delimiters (a comma, tab, "
        "semicolon, bar or run of spaces, which is found). A computed number is the shortest text "
        "that reads back the same (`1.0`, `1e+16`, `1.5e-7`), or as `--float-format` says. "
        "Compressed files are read by their first bytes and written by the suffix of their name: "
        ".gz at level 6, .zst at zstd's default.",
    ),
)
"""The rules of CSV, as one asks for them."""


def escape(text: str) -> str:
    """Text as roff prints it, dashes as they are typed, and nothing taken for a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("^", "\\(ha")
    return re.sub(r"^([.'])", r"\\&\1", text.replace("~", "\\(ti"), flags=re.M)


def inline(text: str) -> str:
    """Prose of a help text: what is between backquotes is typed."""
    parts = " ".join(text.split()).split("`")
    return "".join(f"\\fB{escape(p)}\\fR" if i % 2 else escape(p) for i, p in enumerate(parts))


def prose(help: str) -> Iterator[str]:
    """The paragraphs of a help text; one that starts with Click's mark is kept as it is."""
    for number, paragraph in enumerate(help.strip().split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith("\b\n"):
            yield from (".nf", *(escape(line) for line in paragraph.split("\n")[1:]), ".fi")
        else:
            yield inline(paragraph)


def options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    """The options under their headings."""
    if isinstance(command, Command):
        groups = command.headings(ctx)
    else:
        groups = {"Options": [p for p in command.get_params(ctx) if isinstance(p, click.Option)]}
    for heading, params in groups.items():
        if len(groups) > 1:
            yield f".SS {heading}"
        for param in params:
            flags, help = param.get_help_record(ctx) or ("", "")
            yield from (".TP", f"\\fB{escape(flags)}\\fR", inline(help))
            if isinstance(param, click.Option) and param.envvar:
                yield f"Environment: \\fB{escape(str(param.envvar))}\\fR."


def activations(group: click.Group, ctx: click.Context) -> Iterator[str]:
    """Every activation with its own parameters, group by group; the other options are the same."""
    heading = ""
    for name, activation in ACTIVATIONS.items():
        if activation.group != heading:
            heading = activation.group
            yield f".SH {escape(heading.upper())}"
        command = group.get_command(ctx, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=ctx)
        own = {p.name for p in activation.parameters}
        yield f".SS {escape(', '.join(activation.names))}"
        yield from prose(command.help or "")
        for param in command.get_params(inner):
            if param.name in own:
                flags, help = param.get_help_record(inner) or ("", "")
                yield from (".TP", f"\\fB{escape(flags)}\\fR", inline(help))


def common(group: click.Group, ctx: click.Context) -> Iterator[str]:
    """The options that every activation's command has."""
    command = group.get_command(ctx, "tanh")  # no parameters of its own
    assert command is not None
    yield from options(command, click.Context(command, info_name="tanh", parent=ctx))


def usage(command: click.Command, ctx: click.Context, name: str) -> str:
    pieces = command.collect_usage_pieces(ctx)
    if isinstance(command, click.Group) and name != "kact":
        pieces = ["NAME", "[OPTIONS]", "[INPUT]", "[OUTPUT]"]
    return f"\\fB{escape(name)}\\fR {escape(' '.join(pieces))}"


def page(title: str, help: str, lines: Iterator[str]) -> str:
    first = help.split("\n\n")[0]
    summary = first[0].lower() + first[1:]
    head = f'.TH "{title.upper()}" "1" "" "kact {VERSION}" "kact manual"'
    name = f"{escape(title)} \\- {escape(summary.rstrip('.'))}"
    body = [line for line in lines if line]
    return "\n".join(['.\\" Generated by man/generate.py', head, ".SH NAME", name, *body]) + "\n"


def command_lines(command: click.Command, ctx: click.Context, name: str) -> Iterator[str]:
    yield from (".SH SYNOPSIS", usage(command, ctx, name), ".SH DESCRIPTION")
    yield from prose(command.help or "")
    if isinstance(command, click.Group):
        yield from activations(command, ctx)
        yield ".SH OPTIONS"
        yield "Each activation has these beside its own parameters."
        yield from common(command, ctx)
    else:
        yield ".SH OPTIONS"
        yield from options(command, ctx)
    if isinstance(command, Command) and command.examples:
        yield ".SH EXAMPLES"
        yield from (".nf", *(escape(line) for line in command.examples), ".fi")
    yield from (".SH SEE ALSO", "\\fBkact\\fR(1)")


def main_lines(ctx: click.Context) -> Iterator[str]:
    yield from (".SH SYNOPSIS", usage(cli, ctx, "kact"), ".SH DESCRIPTION")
    yield from prose(cli.help or "")
    yield ".SH COMMANDS"
    for name, summary in COMMANDS.items():
        yield from (".TP", f"\\fB{escape(f'kact-{name}')}\\fR(1)", inline(summary))
    yield ".SH OPTIONS"
    yield from options(cli, ctx)
    yield ".SH CSV"
    for question, answer in CSV:
        yield from (".SS " + escape(question), inline(answer))
    yield ".SH EXIT STATUS"
    for code, meaning in EXIT_CODES:
        yield from (".TP", code, meaning)
    yield ".SH ENVIRONMENT"
    yield from (".TP", "\\fBNO_COLOR\\fR", "Where it is set, nothing is coloured.")
    yield from (".TP", "\\fBKACT_...\\fR", "The default of an option; see the commands' pages.")
    yield ".SH SEE ALSO"
    yield ",\n".join(f"\\fB{escape(f'kact-{name}')}\\fR(1)" for name in COMMANDS)


def pages() -> dict[str, str]:
    """Every page, by file name."""
    top = click.Context(cli, info_name="kact", terminal_width=80)
    found = {"kact.1": page("kact", cli.help or "", main_lines(top))}
    for name, summary in COMMANDS.items():
        command = cli.get_command(top, name)
        assert command is not None
        ctx = click.Context(command, info_name=name, parent=top)
        lines = command_lines(command, ctx, f"kact {name}")
        found[f"kact-{name}.1"] = page(f"kact-{name}", summary, lines)
    return found


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else PLACE
    for name, text in pages().items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    main()

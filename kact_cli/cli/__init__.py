"""The command line: the group of commands, and the one place where errors become exit codes.

Each command is a module of this package, imported when it is called, so that `kact --help` loads
Click and nothing else.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from kact_cli.cleanup import remove_all
from kact_cli.cli.classes import Context, Formatter, plain_range
from kact_cli.cli.signals import Terminated, catch_signals, ignore_signals, termination
from kact_cli.errors import (
    ChainSyntaxError,
    DifferentError,
    ExitCode,
    KactError,
    reason,
    without_secrets,
)
from kact_cli.messages import describe, display, is_thread_limit, nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "apply": "Apply one activation; its parameters are its own options.",
    "chain": "Apply several activations, left to right.",
    "batch": "Apply a chain to many files, directories, object stores.",
    "list": "List the activations, their formulas and parameters.",
    "explain": "Show what a chain would do: steps, passes, memory.",
    "inspect": "Show what a file is: format, shape, types, statistics.",
    "compare": "Compare two files' numbers: errors in ULP and absolute.",
    "values": "Write test inputs: every value of a dtype, or a sample.",
    "lut": "Write the look-up table of a quantised chain: .npy, C, hex, CSV.",
    "plot": "Draw the curve of one chain or several.",
}
"""Every command, in the order of the help: the module of that name, and its help in one line."""

EXAMPLES = (
    "kact apply softmax logits.npy probabilities.npy",
    "kact chain elu,softmax -c 'logit_*' table.parquet scores.parquet",
)

WELCOME = """\
kact applies Keras activations to tensor files.

  kact list
      the activations there are
  kact apply relu --alpha 0.5 in.npy out.npy
      one of them
  kact chain "elu,softmax" in.npy out.npy
      several, left to right

`kact --help` shows every command,
`kact COMMAND --help` its options and examples.
"""


@contextlib.contextmanager
def _broken_pipe_ends_it() -> Iterator[None]:
    """Let no BrokenPipeError reach Click, which would exit with 1."""
    try:
        yield
    except BrokenPipeError as e:
        raise Terminated(signal.SIGPIPE) from e


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    context_class = Context
    failure = ExitCode.DATA
    """How the command that was called ends where the data, or the system, fails it."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _broken_pipe_ends_it():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _broken_pipe_ends_it():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"kact_cli.cli.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] == "version":
            _version(ctx, None, True)
        if args and args[0] == "help":
            if args[1:2] in ([], ["help"], ["version"]):
                click.echo(ctx.get_help())
                ctx.exit()
            args = [args[1], "--help"]
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no command '{args[0]}'{_meant(args[0])}")
        name, command, rest = super().resolve_command(ctx, args)
        self.failure = getattr(command, "failure", ExitCode.DATA)
        return name, command, rest

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        from click.shell_completion import CompletionItem

        named = [(n, help) for n, help in COMMANDS.items() if n.startswith(incomplete)]
        found: list[CompletionItem[Any]] = [CompletionItem(n, help=help) for n, help in named]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if isinstance(formatter, Formatter):
            formatter.write_examples(EXAMPLES)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _meant(word: str) -> str:
    """What was meant by a word that is no command: an activation's name, or a near miss."""
    from kact_cli.activations.registry import known_names, spelled

    if spelled(word) in known_names():
        return f"; did you mean 'kact apply {spelled(word)}'?"
    return nearest(word, list(COMMANDS))


def _version(ctx: click.Context, _: click.Parameter | None, asked: bool) -> None:
    if asked:
        from kact_cli.version import version

        click.echo(f"kact {version()}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version,
    help="Show the version and exit.",
)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Apply Keras activations to tensors in files.

    kact reads a tensor, applies one activation or a chain of them, and writes the result: files of
    any size, or pipes, in memory that does not grow.
    """
    if ctx.invoked_subcommand is None:
        click.echo(WELCOME, nl=False)


def _refuse_other_systems() -> None:
    """End with one line where there is not what kact is built on, as on Windows."""
    try:
        if not hasattr(signal, "SIGHUP"):
            raise ImportError
        for name in ("fcntl", "resource"):
            import_module(name)
    except ImportError:
        _complain("this system lacks what kact needs; use Linux, macOS or, on Windows, WSL")
        sys.exit(ExitCode.DATA)


def main() -> NoReturn:
    """Run kact and end the process with its exit code."""
    _refuse_other_systems()
    # One thread for each worker is kact's own affair; BLAS would start one for every core
    for name in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{name}_NUM_THREADS", "1")
    # Read when pyarrow is imported: its own memory pool keeps what it was given
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # The records of a wide table are many and live on: looking for rubbish took a third of the time
    gc.set_threshold(20_000)
    try:
        try:
            code = _run()
        finally:
            ignore_signals()
    except Terminated as e:  # as late as in what says what went wrong
        ignore_signals()
        code = 128 + e.number
    finally:
        remove_all()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    # Not sys.exit: a thread may hang on a stalled pipe, and unloading NumPy takes longer than relu
    os._exit(code)


def _run() -> int:
    """Run the command line, and say what went wrong; the exit code."""
    try:
        catch_signals()
        return _command()
    except Terminated as e:
        _complain_of_notes(e)
        return 128 + e.number
    except BaseException as e:
        # Python makes another error of a signal that comes while it creates a class
        cause = termination(e)
        if cause is None:
            raise
        return 128 + cause.number


def _command() -> int:
    try:
        _reserve_standard_streams()
        if "_KACT_COMPLETE" in os.environ:
            from kact_cli.cli.completion import register

            register()
        result = cli.main(prog_name="kact", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return result if isinstance(result, int) else ExitCode.DONE
    except click.exceptions.NoArgsIsHelpError as e:
        e.show()
        return ExitCode.USAGE
    except click.ClickException as e:
        context = getattr(e, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context else ""
        _complain(display(plain_range(e.format_message())) + hint)
        return ExitCode.USAGE
    except KactError as e:
        # A column's name may hold anything; the lines of a caret are the error's own
        shown = without_secrets if isinstance(e, ChainSyntaxError) else display
        _complain(shown(str(e)))
        _complain_of_notes(e)
        failed = e.exit_code is ExitCode.DATA and not isinstance(e, DifferentError)
        return cli.failure if failed else e.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 128 + signal.SIGINT
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
    except MemoryError as e:
        _complain(describe(e))
        return cli.failure
    except OSError as e:
        _complain(f"{e.filename or 'standard output'}: {reason(e)}")
        return cli.failure
    except RuntimeError as e:
        if not is_thread_limit(e):
            raise
        _complain(describe(e))
        return cli.failure


def _complain_of_notes(error: BaseException) -> None:
    """Say what else went wrong, at the end of what had failed."""
    for note in getattr(error, "__notes__", ()):
        _complain(display(note))


def _complain(message: str) -> None:
    from kact_cli.cli.console import complain  # nearly every run has nothing to complain of

    complain(message)


def _reserve_standard_streams() -> None:
    """Keep a file that kact opens from becoming standard output, where that came closed.

    /dev/null is opened for reading: a write to it fails, as one to a closed descriptor should.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
            if fd == 1:
                sys.stdout = os.fdopen(1, "w", closefd=False)

"""What `apply` and `chain` do once they know the chain."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence

from kact_cli.chain import Chain
from kact_cli.cli.console import complain
from kact_cli.cli.progress import Progress
from kact_cli.cli.signals import Terminated
from kact_cli.errors import DataError, UsageError
from kact_cli.files.descriptors import STANDARD, Stamp
from kact_cli.messages import display
from kact_cli.options import Options
from kact_cli.transform.route import transform


def looks_like_chain(word: str) -> bool:
    """Whether `word`, where a file was expected, is a chain and no file."""
    with contextlib.suppress(UsageError):
        return not os.path.lexists(word) and bool(Chain.parse(word))
    return False


def commas(command: str, steps: Sequence[str], rest: Sequence[str]) -> str:
    """What is said to steps that were given as words of their own, before the files, the `rest`."""
    typed = " ".join([f"kact {command} '{','.join(steps)}'", *rest])
    return f"steps are joined by commas: {typed}"


def too_many_files(chain: str, files: Sequence[str]) -> str:
    """What is said to more files than an INPUT and an OUTPUT."""
    named = " ".join(files) if len(files) < 5 else f"{files[0]} … {files[-1]}"
    return (
        f"{len(files)} files, where INPUT and OUTPUT are expected; for many files: "
        f"kact batch {chain} {named} --output-dir DIR; for many columns: --columns a,b"
    )


def run(
    chain: Chain,
    source: str,
    target: str,
    options: Options,
    preview: str | None = None,
    report: str | None = None,
) -> None:
    """Apply `chain` to `source` and write `target`, or show a preview: `result` or `after-each`.

    `report` is where what became of the file is written.

    Standard output that is a terminal gets a preview, whatever was said.
    """
    if preview is not None and target != STANDARD:
        raise UsageError("--preview shows what OUTPUT would get; leave OUTPUT out")
    if target == STANDARD and _is_meant_as_output(source):
        raise DataError(
            f"{display(source)}: no such file or directory; to write what comes from the pipe "
            f"there, give - as INPUT: - {display(source)}"
        )
    if report is not None and STANDARD in (source, target):
        raise UsageError("--report is of files: name an INPUT and an OUTPUT")
    if preview or _is_terminal(target):
        from kact_cli.cli.screen.preview import show
        from kact_cli.reports.preview import preview as look

        show(look(chain, source, options, each=preview == "after-each"), unasked=preview is None)
        return
    if report is None:
        watched(options, lambda: transform(chain, source, target, options), target)
        return
    from kact_cli.batch.report import transform_reported

    watched(options, lambda: transform_reported(chain, source, target, options, report), target)


def _is_meant_as_output(source: str) -> bool:
    """Whether there is no such file, and a pipe at standard input."""
    with contextlib.suppress(OSError, ValueError):
        missing = not os.path.lexists(source) and "://" not in source and source != STANDARD
        return missing and stat.S_ISFIFO(os.fstat(0).st_mode)
    return False


def check_no_terminal(target: str) -> None:
    """Raise UsageError for standard output that is a terminal: bytes would garble it."""
    if _is_terminal(target):
        raise UsageError("no OUTPUT: name a file, or send standard output to a pipe")


def _is_terminal(target: str) -> bool:
    return target == STANDARD and sys.stdout is not None and sys.stdout.isatty()


def watched(options: Options, work: Callable[[], None], target: str = STANDARD) -> None:
    """Do the work with its progress shown: leave the terminal clean, and report at the end.

    After a signal one line says what became of the file `target`.
    """
    progress = options.observer
    assert isinstance(progress, Progress)
    with _told_if_interrupted(target, quiet=progress.quiet):
        try:
            work()
        finally:
            progress.finish()
    progress.report()


@contextlib.contextmanager
def _told_if_interrupted(target: str, *, quiet: bool) -> Iterator[None]:
    """Where a signal ends the block, say whether the file `target` is there: it may just be.

    Nothing is said of standard output, a device or a pipe: its other end knows.
    """
    before = _stamp(target)
    try:
        yield
    except Terminated:
        if not quiet and _is_file(target):
            after = _stamp(target)
            became = "was not written" if after is None else "is unchanged"
            if after != before:
                became = "had been written"
            complain(f"interrupted; {display(target)} {became}", "")
        raise


def _is_file(target: str) -> bool:
    """Whether it is one or may become one; not an object of a store, where asking takes long."""
    if target == STANDARD or "://" in target:
        return False
    return os.path.isfile(target) or not os.path.exists(target)


def _stamp(target: str) -> Stamp | None:
    """What tells a file from another one under its name; None where there is none."""
    with contextlib.suppress(OSError):
        return Stamp.of(target)
    return None

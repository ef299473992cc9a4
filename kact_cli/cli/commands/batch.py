"""`kact batch SPEC INPUT... --output-dir DIR`: a chain over many files."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

import click
from click.core import ParameterSource

from kact_cli.batch.inputs import Item, Place, Selection, find, join, shown, text_of
from kact_cli.batch.manifest import NAME, Manifest, OutputDirectory
from kact_cli.batch.ranges import CUT_BYTES
from kact_cli.batch.schedule import Batch, Result, sweep
from kact_cli.chain import Chain
from kact_cli.cli.classes import FILES, PART, RUNNING, Command, option
from kact_cli.cli.console import complain
from kact_cli.cli.options import batch_options, make_options
from kact_cli.cli.output import REPORT
from kact_cli.cli.run import commas, looks_like_chain, watched
from kact_cli.cli.types import ChainType
from kact_cli.errors import DataError, KactError, StrictError, UsageError, at_the_end
from kact_cli.files import object_store as remote
from kact_cli.files.descriptors import STANDARD
from kact_cli.files.object_store import PIECE_BYTES
from kact_cli.files.source import open_source
from kact_cli.formats.detect import by_name, by_suffix, check_typed
from kact_cli.messages import counted, display, human, rate, took
from kact_cli.options import Options
from kact_cli.parallel.pools import worker_count
from kact_cli.parallel.processes import Inline, Processes, Workers


@click.command(
    cls=Command,
    examples=[
        "kact batch softmax logits.npy table.parquet --output-dir out",
        "kact batch elu,softmax . -o halves --include '*.npy' --dtype float16 --jobs 2",
    ],
)
@click.argument("spec", type=ChainType())
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@option(
    PART,
    "--files-from",
    metavar="FILE",
    help="Read the names of more INPUTs from FILE (-: standard input), one a line.",
)
@option(PART, "--nul", "-0", is_flag=True, help="A NUL ends each name of --files-from.")
@option(
    FILES,
    "--output-dir",
    "-o",
    required=True,
    metavar="DIR",
    envvar="KACT_OUTPUT_DIR",
    help="Where the outputs go; made where it is not there.",
)
@option(
    PART,
    "--include",
    multiple=True,
    metavar="GLOB",
    help="Files to take, from directories too.  [default: by their suffixes]",
)
@option(
    PART,
    "--exclude-path",
    multiple=True,
    metavar="GLOB",
    help="Files and directories to skip.",
)
@option(
    FILES,
    "--skip-existing",
    is_flag=True,
    help="Leave outputs that exist: continue what was interrupted.",
)
@option(
    FILES,
    "--update",
    is_flag=True,
    help="The same, but make again what is of an INPUT that has changed: in size or time of "
    "modification, as .kact-batch.json has them.",
)
@option(RUNNING, "--keep-going", "-k", is_flag=True, help="Finish the rest when a file fails.")
@option(RUNNING, "--dry-run", "-n", is_flag=True, help="Print what would be done.")
@REPORT
@option(
    RUNNING,
    "--scheduler",
    metavar="ADDRESS",
    envvar="KACT_SCHEDULER",
    help="Have a Dask cluster do the work: tcp://host:8786.",
)
@batch_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    spec: Chain,
    inputs: tuple[str, ...],
    output_dir: str,
    include: tuple[str, ...],
    exclude_path: tuple[str, ...],
    files_from: str | None,
    nul: bool,
    skip_existing: bool,
    update: bool,
    keep_going: bool,
    dry_run: bool,
    report: str | None,
    scheduler: str | None,
    **chosen: Any,
) -> None:
    """Apply a chain to many files.

    INPUT is a file, a directory with all that is in it, a glob, or a URI (s3://, gs://, hdfs://,
    file://); DIR is a directory or a URI. Outputs keep their file names, and their paths below an
    INPUT that is a directory. Each is written whole or not at all; without --keep-going, the first
    failure ends the run.
    """
    typed = ctx.get_parameter_source("jobs") is ParameterSource.COMMANDLINE
    if scheduler is not None and typed:
        raise UsageError("--jobs is for this machine and --scheduler for others: give one of them")
    if (skip_existing or update) and chosen["overwrite"]:
        flag = "--update" if update else "--skip-existing"
        raise UsageError(f"{flag} keeps outputs and --overwrite does not: give one of them")
    options = make_options(**chosen)
    given = [*inputs, *(_names(files_from, b"\0" if nul else b"\n") if files_from else ())]
    if not given:
        raise UsageError("no INPUT: name files, directories or URIs, or give --files-from")
    if steps := list(takewhile(looks_like_chain, inputs)):
        raise UsageError(commas("batch", [str(spec), *steps], [*inputs[len(steps) :], "-o DIR"]))
    if scheduler:
        given, output_dir = [_absolute(name) for name in given], _absolute(output_dir)
    output = remote.parse(output_dir)
    items = _find(given, output, Selection(include, exclude_path), options)
    if report is not None:
        from kact_cli.batch.report import check_report

        check_report(report, items, made=output_dir)
    directory = OutputDirectory(output, Manifest.make(spec, options))
    todo, skipped = directory.choose(
        items, skip_existing=skip_existing, overwrite=options.overwrite, update=update
    )
    if dry_run:
        _print_plan(items, todo)
        return
    workers = _workers(scheduler, options.jobs, todo)  # before anything is written: it may fail
    directory.begin(todo, overwrite=options.overwrite)
    # Of all: an output may be in its place, and its temporary file not yet removed
    sweep([*(item.target for item in items), text_of(join(output, NAME))])
    count, strict = report is not None, chosen["strict"]
    batch = Batch(spec, options, todo, keep_going=keep_going, count=count, strict=strict)
    replaces = options.overwrite and any(item.exists for item in todo)
    again = _again(keeps=skip_existing or update, replaces=replaces)
    started = time.perf_counter()
    with (
        at_the_end(lambda: _write_report(report, directory.made, batch, todo, skipped)),
        at_the_end(lambda: directory.end(_done(batch))),
    ):
        with _told_how_far(batch, len(todo), again, keep_going=keep_going, quiet=chosen["quiet"]):
            watched(options, lambda: batch.run(workers))
        if not chosen["quiet"] and report != STANDARD:
            stale = 0 if update else sum(map(directory.is_stale, skipped))
            left = len(skipped) + len(batch.left)
            _print_done(batch.results, left, stale, time.perf_counter() - started, update=update)
        _raise_failures(batch.results, len(items))


def _names(path: str, end: bytes) -> list[str]:
    """The names in the file `path`, or on standard input, each ended by `end`."""
    with contextlib.closing(open_source(path)) as source:
        read = source.reader()
        data = b"".join(iter(lambda: read(PIECE_BYTES), b""))
    names = [name.removesuffix(b"\r") if end == b"\n" else name for name in data.split(end)]
    return [os.fsdecode(name) for name in names if name]


def _find(
    given: Sequence[str], output: Place, selection: Selection, options: Options
) -> list[Item]:
    """The files to work on.

    Raises DataError where there are none, UsageError for an option that was typed and has no effect
    on any of them.
    """
    wanted = by_name(options.target_format) if options.target_format else None
    items = find(given, output, selection, wanted)
    if not items:
        named = f" that is called {' or '.join(selection.include)}" if selection.include else ""
        raise DataError(f"no file to work on in {', '.join(map(shown, given))}{named}")
    inputs = [by_suffix(item.source) for item in items]
    outputs = [by_suffix(item.target) for item in items]
    if None not in inputs and None not in outputs:
        check_typed(options, [f for f in inputs if f], [f for f in outputs if f])
    return items


def _absolute(name: str) -> str:
    """A path or URI as workers on another machine know it."""
    return name if remote.is_uri(name) else os.path.abspath(name)


def _workers(scheduler: str | None, jobs: int | None, items: Sequence[Item]) -> Workers:
    """Who does the work, with no more processes than there is work for."""
    if scheduler is not None:
        from kact_cli.parallel.cluster import Cluster

        return Cluster(scheduler)
    jobs = worker_count(jobs)
    if all(item.size < CUT_BYTES for item in items):
        jobs = min(jobs, max(1, len(items)))
    # An upload can only be stopped, and not be shown, by ending the process that it runs in
    remotely = any(remote.is_uri(place) for item in items for place in (item.source, item.target))
    return Inline() if jobs == 1 and not remotely else Processes(jobs)


@contextlib.contextmanager
def _told_how_far(
    batch: Batch, files: int, again: str, *, keep_going: bool, quiet: bool
) -> Iterator[None]:
    """Where a signal or a failure ends the run, say how many files are done, and what goes on."""
    try:
        yield
    except BaseException as e:
        way = f"{len(_done(batch)):,} of {counted(files, 'file')} done; {again}"
        if not isinstance(e, Exception) and not quiet:  # a signal
            complain(f"interrupted; {way}", "")
        failed = not keep_going and any(result.error is not None for result in batch.results)
        if failed and files > 1 and isinstance(e, KactError):
            raise type(e)(f"{e} ({way}, --keep-going finishes the rest)") from e
        raise


def _done(batch: Batch) -> list[Item]:
    return [result.item for result in batch.results if result.outcome is not None]


def _write_report(
    path: str | None, made: Manifest, batch: Batch, todo: Sequence[Item], skipped: Sequence[Item]
) -> None:
    """Write the report, if there is to be one."""
    if path is None:
        return
    from kact_cli.batch.report import write_report

    left = [*skipped, *batch.left]
    ended = {item.target for item in (*batch.left, *(result.item for result in batch.results))}
    unfinished = [item for item in todo if item.target not in ended]
    write_report(path, made, batch.results, left, unfinished)


def _print_plan(items: Sequence[Item], todo: Sequence[Item]) -> None:
    done = {item.target for item in todo}
    for item in sorted(items, key=lambda item: item.target):
        how = human(item.size) if item.target in done else "exists"
        how += ", replaced" if item.exists and item.target in done else ""
        click.echo(f"{item.name} -> {shown(item.target)} ({how})")
    skipped = len(items) - len(todo)
    left = f", {skipped:,} left as they are" if skipped else ""
    click.echo(f"{counted(len(todo), 'file')}, {human(sum(item.size for item in todo))}{left}")


def _print_done(
    results: Sequence[Result], skipped: int, stale: int, seconds: float, *, update: bool
) -> None:
    changed = f", {stale:,} of them older than their inputs: --update does these" if stale else ""
    if skipped and not results:
        if update:
            outputs = f"{counted(skipped, 'output is', 'outputs are')} up to date"
        else:
            outputs = counted(skipped, "output exists", "outputs exist")
        click.echo(f"nothing to do: {outputs}{changed}")
        return
    done = [r.outcome for r in results if r.outcome is not None]
    size = sum(outcome.source_bytes for outcome in done)
    left = f", {skipped:,} left as they were{changed}" if skipped else ""
    speed = f"{human(size)} in {took(seconds)}, {rate(size, seconds)}"
    click.echo(f"{counted(len(done), 'file')} done{f' ({speed})' if done else ''}{left}")


def _again(*, keeps: bool, replaces: bool) -> str:
    """What does the rest after a run that did not end well."""
    if replaces:
        return "the same command does them all again"
    return f"{'the same command' if keeps else '--skip-existing'} goes on from there"


def _raise_failures(results: Sequence[Result], files: int) -> None:
    """Name every file that failed. Raises DataError where one has, which is with --keep-going."""
    failed = sorted((r for r in results if r.error is not None), key=lambda r: r.item.target)
    for result in failed:
        complain(display(str(result.error)))
    if failed:
        kind = StrictError if all(result.strict for result in failed) else DataError
        raise kind(f"{len(failed):,} of {counted(files, 'file')} failed")

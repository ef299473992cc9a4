"""`kact batch SPEC INPUT... --output-dir DIR`: a chain over many files."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click
from click.core import ParameterSource

from kact_cli.batch import inputs, manifest
from kact_cli.batch.inputs import Item, Place, Selection, shown
from kact_cli.batch.manifest import Manifest
from kact_cli.batch.schedule import Batch, Result, sweep
from kact_cli.chain import Chain
from kact_cli.cli.help import FILES, PART, RUNNING, Command, option
from kact_cli.cli.options import make_options, transform_options
from kact_cli.cli.progress import Progress, make_watch
from kact_cli.cli.types import ChainType
from kact_cli.errors import DataError, UsageError
from kact_cli.files import object_store as remote
from kact_cli.formats.detect import by_name
from kact_cli.messages import human
from kact_cli.options import Options
from kact_cli.parallel.pools import usable_cores
from kact_cli.parallel.processes import Crew, Inline, Runner


@dataclass(frozen=True)
class Run:
    """How the files are gone through, whatever is done to each."""

    skip_existing: bool
    keep_going: bool
    dry_run: bool
    report: str | None
    scheduler: str | None
    quiet: bool


@click.command(
    cls=Command,
    examples=[
        "kact batch softmax logits.npy table.parquet --output-dir out",
        "kact batch elu,softmax . -o halves --include '*.npy' --dtype float16 --jobs 2",
    ],
)
@click.argument("spec", type=ChainType())
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
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
    help="Files that are taken from a directory.  [default: by their suffixes]",
)
@option(
    PART,
    "--exclude-path",
    multiple=True,
    metavar="GLOB",
    help="Files and directories that are not.",
)
@option(
    FILES,
    "--skip-existing",
    is_flag=True,
    help="Leave outputs that exist: continue what was interrupted.",
)
@option(RUNNING, "--keep-going", "-k", is_flag=True, help="Finish the rest when a file fails.")
@option(RUNNING, "--dry-run", "-n", is_flag=True, help="Print what would be done.")
@option(
    RUNNING,
    "--report",
    metavar="FILE",
    help="Write what became of each file, with counts, as JSON.",
)
@option(
    RUNNING,
    "--scheduler",
    metavar="ADDRESS",
    envvar="KACT_SCHEDULER",
    help="Have a Dask cluster do the work: tcp://host:8786.",
)
@transform_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    spec: Chain,
    inputs: tuple[str, ...],
    output_dir: str,
    include: tuple[str, ...],
    exclude_path: tuple[str, ...],
    skip_existing: bool,
    keep_going: bool,
    dry_run: bool,
    report: str | None,
    scheduler: str | None,
    **chosen: Any,
) -> None:
    """Apply a chain to many files.

    INPUT is a file, a directory with all that is in it, or a URI (s3://, gs://, hdfs://, file://);
    so is DIR. A file's output has its name, and one from a directory its path in there. Each is
    written whole or not at all; without --keep-going, the first failure ends the run.
    """
    quiet, verbose = chosen["quiet"], chosen["verbose"]
    run = Run(skip_existing, keep_going, dry_run, report, scheduler, quiet)
    typed = ctx.get_parameter_source("jobs") is ParameterSource.COMMANDLINE
    if scheduler is not None and typed:
        raise UsageError("--jobs is for this machine and --scheduler for others: give one of them")
    if skip_existing and chosen["overwrite"]:
        raise UsageError("--skip-existing keeps outputs and --overwrite does not: give one of them")
    watch = make_watch(quiet=quiet, verbose=verbose, progress=chosen["progress"])
    _batch(spec, inputs, output_dir, Selection(include, exclude_path), run, chosen, watch)


for _option in command.params:
    if _option.name == "jobs" and isinstance(_option, click.Option):
        _option.help = "Worker processes.  [default: one for each core]"


def _batch(
    chain: Chain,
    given: Sequence[str],
    output_dir: str,
    selection: Selection,
    run: Run,
    chosen: dict[str, Any],
    watch: Progress,
) -> None:
    options = dataclasses.replace(make_options(**chosen), typed=())
    if run.scheduler is not None:  # its workers may stand elsewhere
        given = [g if remote.is_uri(g) else os.path.abspath(g) for g in given]
        output_dir = output_dir if remote.is_uri(output_dir) else os.path.abspath(output_dir)
    output = remote.parse(output_dir)
    wanted = by_name(options.target_format) if options.target_format else None
    items = inputs.find(given, output, selection, wanted)
    if not items:
        raise DataError(f"no file to work on in {', '.join(map(shown, given))}")
    made = Manifest.make(chain, options)
    before = manifest.load(output)
    todo, skipped = _choose(items, output, before, made, run, options)
    if run.dry_run:
        _print_plan(items, {item.target for item in skipped})
        return
    replacing = any(item.exists for item in todo)
    runner = _runner(run, options, todo)  # before anything is written: there may be no cluster
    if before is None or (replacing and not before.replacing):
        made = dataclasses.replace(made, replacing=replacing)
        manifest.save(output, made)
    sweep(todo)
    batch = Batch(
        chain,
        options,
        todo,
        keep_going=run.keep_going,
        count=run.report is not None,
        strict=chosen["strict"],
        watch=watch,
    )
    started = time.perf_counter()
    try:
        with watch:
            batch.run(runner, shared=run.scheduler is not None)
    finally:
        if run.report is not None:
            from kact_cli.batch.report import write_report

            write_report(run.report, made, batch.results, skipped)
    failed = [r for r in batch.results if r.error is not None]
    if (replacing or (before is not None and before.replacing)) and not failed:
        manifest.save(output, dataclasses.replace(made, replacing=False))
    _summarise(batch.results, failed, len(skipped), time.perf_counter() - started, run)


def _choose(
    items: Sequence[Item],
    output: Place,
    before: Manifest | None,
    made: Manifest,
    run: Run,
    options: Options,
) -> tuple[list[Item], list[Item]]:
    """What is to be done, and what is left because it is there."""
    manifest.check(before, made, output, skip=run.skip_existing)
    existing = [item for item in items if item.exists]
    if not existing or options.overwrite:
        return list(items), []
    target = shown(existing[0].target)
    if not run.skip_existing:
        raise UsageError(
            f"{target} exists; --skip-existing leaves what is there, --overwrite replaces it"
        )
    if before is None:
        raise UsageError(
            f"{target} exists, and what made it is not known: there is no {manifest.NAME} in "
            f"{shown(output)}"
        )
    return [item for item in items if not item.exists], existing


def _runner(run: Run, options: Options, items: Sequence[Item]) -> Runner:
    if run.scheduler is not None:
        from kact_cli.parallel.cluster import Cluster

        return Cluster(run.scheduler)
    jobs = options.jobs or usable_cores()
    # An upload can only be stopped, and not be shown, by ending the process that it runs in
    remotely = any(remote.is_uri(place) for item in items for place in (item.source, item.target))
    return Inline() if jobs == 1 and not remotely else Crew(jobs)


def _print_plan(items: Sequence[Item], skipped: set[str]) -> None:
    for item in sorted(items, key=lambda item: item.target):
        how = "exists" if item.target in skipped else human(item.size)
        how += ", replaced" if item.exists and item.target not in skipped else ""
        click.echo(f"{item.name} -> {shown(item.target)} ({how})")
    todo = [item for item in items if item.target not in skipped]
    left = f", {len(skipped):,} left as they are" if skipped else ""
    click.echo(f"{_files(len(todo))}, {human(sum(item.size for item in todo))}{left}")


def _summarise(
    results: Sequence[Result], failed: Sequence[Result], skipped: int, seconds: float, run: Run
) -> None:
    """Say how it went; raises DataError where a file failed."""
    done = [r.outcome for r in results if r.outcome is not None]
    size = sum(outcome.source_bytes for outcome in done)
    if not run.quiet:
        rate = f"{human(size)} in {seconds:.1f} s, {human(int(size / max(seconds, 1e-9)))}/s"
        left = f", {skipped:,} left as they were" if skipped else ""
        click.echo(f"{_files(len(done))} done ({rate}){left}")
    for result in sorted(failed, key=lambda r: r.item.target):
        click.echo(f"kact: {result.error}", err=True)
    if failed:
        raise DataError(f"{len(failed):,} of {_files(len(results) + skipped)} failed")


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"

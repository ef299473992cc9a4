"""`--report FILE.json`: what became of every file, or of the only one, for programs to read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from kact_cli.batch.inputs import Item, identity
from kact_cli.batch.manifest import Manifest
from kact_cli.batch.schedule import Result
from kact_cli.batch.unit import FileTask, transform_file
from kact_cli.chain import Chain
from kact_cli.errors import DataError, UsageError, at_the_end, without_secrets
from kact_cli.files.descriptors import STANDARD
from kact_cli.files.object_store import parse
from kact_cli.files.target import Target
from kact_cli.messages import describe, display
from kact_cli.options import Options

STATUSES = ("done", "skipped", "failed", "unfinished")
"""What may have become of a file; unfinished are those that an end before theirs left undone."""


def check_report(path: str, items: Iterable[Item], made: str | None = None) -> None:
    """Raise DataError where the report's directory is missing, unless it is `made` by the run, and
    where the report is one; UsageError where it would replace an input or output."""
    if path == STANDARD or "://" in path:
        return
    if os.path.isdir(path):
        raise DataError(f"{display(path)}: is a directory")
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe: it stays
        return
    directory = os.path.dirname(path) or "."
    new = made is not None and os.path.realpath(directory) == os.path.realpath(made)
    if not new and not os.path.isdir(directory):
        raise DataError(f"{display(path)}: there is no directory {display(directory)}")
    place = identity(path)
    for item in items:
        for name, what in ((item.source, "an input"), (item.target, "an output")):
            if identity(name) == place:
                raise UsageError(f"--report {display(path)} would replace {what}")


def write_report(
    path: str,
    manifest: Manifest,
    results: Iterable[Result],
    skipped: Iterable[Item] = (),
    unfinished: Iterable[Item] = (),
) -> None:
    """Write the report, replacing an older one. Raises DataError where that cannot be done."""
    files = [_entry(r.item, r) for r in results]
    files += [_entry(item, None) for item in skipped]
    files += [{**_entry(item, None), "status": "unfinished"} for item in unfinished]
    files.sort(key=lambda entry: str(entry["input"]))
    statuses = [entry["status"] for entry in files]
    report = {
        "kact": manifest.kact,
        "chain": manifest.chain,
        "options": manifest.options,
        **{status: statuses.count(status) for status in STATUSES},
        "files": files,
    }
    with Target(path, overwrite=True) as target:
        target.write(memoryview((json.dumps(report, indent=1) + "\n").encode()))


def transform_reported(
    chain: Chain, source: str, target: str, options: Options, report: str
) -> None:
    """Transform one file, and write the report of it in any case. Raises a KactError."""
    item = Item(source, target, 0)
    check_report(report, [item])
    results: list[Result] = []

    def write() -> None:
        unfinished = [] if results else [item]
        write_report(report, Manifest.make(chain, options), results, unfinished=unfinished)

    with at_the_end(write):
        try:
            task = FileTask(chain, source, target, options, count=True)
            results.append(Result(item, transform_file(task, options.observer)))
        except Exception as e:
            results.append(Result(item, error=describe(e)))
            raise


def _entry(item: Item, result: Result | None) -> dict[str, Any]:
    """One file. Names are as they are given: bytes that are no UTF-8 are lone surrogates."""
    entry: dict[str, Any] = {
        "input": without_secrets(str(parse(item.source))),
        "output": without_secrets(str(parse(item.target))),
        "status": "skipped" if result is None else "failed" if result.error else "done",
    }
    if result is None or result.outcome is None:
        return {**entry, "error": result.error} if result is not None else entry
    outcome = result.outcome
    entry["bytes"] = {"in": outcome.source_bytes, "out": outcome.target_bytes}
    entry["seconds"] = round(outcome.seconds, 6)
    if outcome.read is not None and outcome.written is not None:
        entry["rows"] = outcome.read.rows
        entry["nan"] = {"in": outcome.read.nan, "out": outcome.written.nan}
        entry["inf"] = {"in": outcome.read.inf, "out": outcome.written.inf}
    if outcome.warnings:
        entry["warnings"] = list(outcome.warnings)
    return entry

"""One file, from its input to its output: what a worker does, in whatever process or machine."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from kact_cli.chain import Chain
from kact_cli.errors import DataError, UsageError, reason
from kact_cli.files.object_store import is_uri
from kact_cli.files.source import Source, open_source
from kact_cli.files.target import Target
from kact_cli.formats.npy import NpyTensor
from kact_cli.messages import display
from kact_cli.options import Observer, Options
from kact_cli.reports.summary import nonfinite
from kact_cli.reports.values import numbers_in
from kact_cli.tables.columns import ColumnBlock, Kind, select
from kact_cli.transform.route import transform


@dataclass(frozen=True)
class FileTask:
    """All that a worker has to know: paths or URIs, and what to do."""

    chain: Chain
    source: str
    target: str
    options: Options
    count: bool = False
    """Whether to count rows, NaN and infinities, which reads both files once more."""
    strict: bool = False
    """Whether a warning is an error."""


class Counts(NamedTuple):
    """Rows (the length of a tensor's first axis), NaN and infinities; a null is neither."""

    rows: int
    nan: int
    inf: int


@dataclass(frozen=True)
class Outcome:
    """What became of a file: bytes read and written, seconds of work, what there was to say."""

    source_bytes: int
    target_bytes: int
    seconds: float
    read: Counts | None = None
    written: Counts | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Listener(Observer):
    """Keeps what is said for whoever watches the batch; `strict` makes errors of warnings."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.warnings: list[str] = []
        self.notes: list[str] = []

    def warn(self, message: str) -> None:
        if self.strict:
            raise UsageError(f"{message} (--strict)")
        if message not in self.warnings:
            self.warnings.append(message)

    def note(self, message: str) -> None:
        self.notes.append(message)


def run_file(task: FileTask) -> Outcome:
    """Transform one file, whole or not at all. Raises a KactError."""
    started = time.perf_counter()
    listener = Listener(task.strict)
    sizes = 0, 0
    counts: tuple[Counts | None, Counts | None] = None, None

    def finished(source: Source, target: Target) -> None:
        nonlocal sizes, counts
        sizes = source.size or 0, os.fstat(target.fd).st_size
        if task.count:
            counts = _count_both(task, source, str(target.path), target.name)

    if not is_uri(task.target):
        make_parents(task.target)
    options = replace(task.options, observer=listener)
    transform(task.chain, task.source, task.target, options, finished)
    seconds = time.perf_counter() - started
    warnings, notes = tuple(listener.warnings), tuple(listener.notes)
    return Outcome(*sizes, seconds, *counts, warnings, notes)


def count_file(task: FileTask) -> tuple[Counts, Counts]:
    """Count in a local file that is done, and in what it became. Raises a KactError."""
    with contextlib.closing(open_source(task.source)) as source:
        return _count_both(task, source, task.target, task.target)


def _count_both(task: FileTask, source: Source, path: str, name: str) -> tuple[Counts, Counts]:
    """Count in an input and in its output `name`, which is at `path`."""
    before, columns = _count(source, task.options)
    written = replace(task.options, source_format=task.options.target_format)
    with contextlib.closing(open_source(path)) as target:
        target.name = name
        return before, _count(target, written, columns)[0]


def _count(
    source: Source, options: Options, columns: Sequence[int] | None = None
) -> tuple[Counts, Sequence[int] | None]:
    """Count in the columns that `options` select or (of an output) at the positions `columns`.

    Also returns the positions of the columns, None for a .npy.
    """
    rows = nan = inf = 0
    blocks: Iterable[list[ColumnBlock]]
    with numbers_in(source, options) as numbers:
        if isinstance(numbers, NpyTensor):
            blocks = ([ColumnBlock(block)] for block in numbers.blocks())
        else:
            if columns is None:
                columns = select(numbers.columns, options.columns, options.exclude)
            columns = [i for i in columns if numbers.columns[i].kind is not Kind.OTHER]
            blocks = numbers.reader.numbers(columns)
        for parts in blocks:
            rows += parts[0].rows
            for part in parts:
                found = nonfinite(part.values if part.nulls is None else part.values[~part.nulls])
                nan, inf = nan + found[0], inf + found[1] + found[2]
        if isinstance(numbers, NpyTensor):
            rows, columns = (numbers.header.shape or (1,))[0], None
    return Counts(rows, nan, inf), columns


def make_parents(path: str) -> None:
    """Make the directories above an output."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    except OSError as e:
        raise DataError(f"{display(path)}: {reason(e)}") from e

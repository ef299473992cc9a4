"""One file, from its input to its output: what a worker does, in whatever process or machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from kact_cli.chain import Chain
from kact_cli.errors import DataError, StrictError, reason
from kact_cli.files import object_store as remote
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.formats.declared import CSV, Format
from kact_cli.formats.npy import NpyTensor
from kact_cli.messages import display
from kact_cli.options import Observer, Options
from kact_cli.reports.numbers import OpenArchive, OpenTable, open_numbers
from kact_cli.reports.summary import nonfinite
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
    """Whether to count rows, NaN and infinities, which reads both files, if they are, once more."""
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
    """Keeps what is said for whoever watches the batch; `strict` makes errors of warnings.

    `then` is told everything as it comes.
    """

    def __init__(self, strict: bool, then: Observer | None = None) -> None:
        self.strict, self.then = strict, then or Observer()
        self.warnings: list[str] = []
        self.notes: list[str] = []

    def warn(self, message: str) -> None:
        if self.strict:
            raise StrictError(f"{message} (--strict)")
        if message not in self.warnings:
            self.warnings.append(message)
        self.then.warn(message)

    def note(self, message: str) -> None:
        self.notes.append(message)
        self.then.note(message)

    def tell(self, message: str) -> None:
        self.then.tell(message)

    def start(self, total: int, passes: int, unit: str = "bytes", files: int = 1) -> None:
        self.then.start(total, passes, unit, files)

    def advance(self, count: int) -> None:
        self.then.advance(count)


def run_file(task: FileTask) -> Outcome:
    """Make the directories above the output, and transform one file. Raises a KactError."""
    if not remote.is_uri(task.target):
        make_parents(task.target)
    return transform_file(task)


def transform_file(task: FileTask, then: Observer | None = None) -> Outcome:
    """Transform one file, whole or not at all, and tell `then` of it. Raises a KactError."""
    started = time.perf_counter()
    listener = Listener(task.strict, then)
    options = replace(task.options, observer=listener)
    sizes: list[int] = []
    counts: list[Counts] = []

    def finish(source: Source, target: Target, wanted: Format) -> None:
        sizes.extend(os.fstat(end.fd).st_size for end in (source, target))
        if task.count and target.path is not None and source.size is not None:
            made = replace(task.options, target_format=wanted.name)
            if wanted is CSV:
                from kact_cli.formats.csv.table import new_delimiter

                delimiter = new_delimiter(source, target, made.decimal)
                made = replace(made, delimiter=delimiter or made.delimiter)
            counts.extend(_count_both(source, target.path, task.options, made))

    transform(task.chain, task.source, task.target, options, finish=finish)
    read, written = counts or (None, None)
    seconds = time.perf_counter() - started
    warnings, notes = tuple(listener.warnings), tuple(listener.notes)
    return Outcome(sizes[0], sizes[1], seconds, read, written, warnings, notes)


def count_file(task: FileTask) -> tuple[Counts, Counts]:
    """Count in a local file that is done, and in what it became. Raises a KactError."""
    return _count_both(task.source, task.target, task.options, task.options)


def _count_both(
    source: Source | str, target: str, options: Options, made: Options
) -> tuple[Counts, Counts]:
    """Count in both files; the target was written as `made` says."""
    before, columns, width = _count(source, options)
    if options.suffix is not None and width and columns is not None:
        columns = range(width, width + len(columns))
    made = replace(made, source_format=made.target_format, source_dtype=None)
    return before, _count(target, made, columns)[0]


def _count(
    source: Source | str, options: Options, columns: Sequence[int] | None = None
) -> tuple[Counts, Sequence[int] | None, int]:
    """Count in the columns that `options` select or (of an output) at the positions `columns`.

    Also returns the positions of the columns, None for a .npy, and how many columns a table has.
    """
    rows = nan = inf = width = 0
    blocks: Iterable[list[ColumnBlock]]
    with open_numbers(source, options) as numbers:
        tensors: list[NpyTensor] | None = None
        if isinstance(numbers, NpyTensor):
            tensors, columns = [numbers], None
        else:
            named = numbers.columns
            if isinstance(numbers, OpenTable):
                width, named = len(named), numbers.reader.fields
            if columns is None:
                columns = select(named, options.columns, options.exclude)
            columns = [i for i in columns if named[i].kind is not Kind.OTHER]
            if isinstance(numbers, OpenArchive):
                tensors = [numbers.tensor(i) for i in columns]
            else:
                blocks = numbers.reader.numbers(columns) if columns else ()
        if tensors is not None:
            blocks = ([ColumnBlock(block)] for tensor in tensors for block in tensor.blocks())
        for parts in blocks:
            rows += parts[0].rows
            for part in parts:
                found = nonfinite(part.values if part.nulls is None else part.values[~part.nulls])
                nan, inf = nan + found[0], inf + found[1] + found[2]
        if tensors is not None:
            rows = sum((tensor.header.shape or (1,))[0] for tensor in tensors)
    return Counts(rows, nan, inf), columns, width


def make_parents(path: str) -> None:
    """Make the directories above an output."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    except OSError as e:
        raise DataError(f"{display(path)}: {reason(e)}") from e

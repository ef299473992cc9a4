"""One file, from its input to its output: what a worker does, in whatever process or machine."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from kact_cli.batch.inputs import shown
from kact_cli.chain import Chain
from kact_cli.errors import DataError, KactError, UsageError, reason
from kact_cli.files import object_store as remote
from kact_cli.files.object_store import Uri
from kact_cli.files.temporary import temporary_path
from kact_cli.formats.detect import by_suffix
from kact_cli.formats.npy import NpyTensor
from kact_cli.messages import display
from kact_cli.options import Observer, Options
from kact_cli.reports.summary import nonfinite
from kact_cli.reports.values import OpenArchive, open_numbers
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
    options = replace(task.options, observer=listener)
    with contextlib.ExitStack() as stack:
        source, target = remote.parse(task.source), remote.parse(task.target)
        read, write = source, target
        if isinstance(read, Uri):
            read = stack.enter_context(_temporary(read))
        if isinstance(write, Uri):
            write = stack.enter_context(_temporary(write))
        with _renaming({display(read): shown(source), display(write): shown(target)}, listener):
            if isinstance(source, Uri):
                fetch(source, read)
            make_parents(write)
            transform(task.chain, read, write, options)
            before, after = _count_both(task, read, write) if task.count else (None, None)
        if isinstance(target, Uri):
            remote.put(write, target)
        taken, made = os.stat(read).st_size, os.stat(write).st_size
    seconds = time.perf_counter() - started
    warnings, notes = tuple(listener.warnings), tuple(listener.notes)
    return Outcome(taken, made, seconds, before, after, warnings, notes)


def count_file(task: FileTask) -> tuple[Counts, Counts]:
    """Count in a local file that is done, and in what it became. Raises a KactError."""
    return _count_both(task, task.source, task.target)


def _count_both(task: FileTask, read: str, write: str) -> tuple[Counts, Counts]:
    before, columns = _count(read, task.options)
    written = replace(task.options, source_format=task.options.target_format, source_dtype=None)
    return before, _count(write, written, columns)[0]


def _count(
    path: str, options: Options, columns: Sequence[int] | None = None
) -> tuple[Counts, Sequence[int] | None]:
    """Count in the columns that `options` select or (of an output) at the positions `columns`.

    Also returns the positions of the columns, None for a .npy.
    """
    rows = nan = inf = 0
    blocks: Iterable[list[ColumnBlock]]
    with open_numbers(path, options) as numbers:
        tensors: list[NpyTensor] | None = None
        if isinstance(numbers, NpyTensor):
            tensors, columns = [numbers], None
        else:
            if columns is None:
                columns = select(numbers.columns, options.columns, options.exclude)
            columns = [i for i in columns if numbers.columns[i].kind is not Kind.OTHER]
            if isinstance(numbers, OpenArchive):
                tensors = [numbers.tensor(i) for i in columns]
            else:
                blocks = numbers.reader.numbers(columns)
        if tensors is not None:
            blocks = ([ColumnBlock(block)] for tensor in tensors for block in tensor.blocks())
        for parts in blocks:
            rows += parts[0].rows
            for part in parts:
                found = nonfinite(part.values if part.nulls is None else part.values[~part.nulls])
                nan, inf = nan + found[0], inf + found[1] + found[2]
        if tensors is not None:
            rows = sum((tensor.header.shape or (1,))[0] for tensor in tensors)
    return Counts(rows, nan, inf), columns


def make_parents(path: str) -> None:
    """Make the directories above an output."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    except OSError as e:
        raise DataError(f"{display(path)}: {reason(e)}") from e


def fetch(uri: Uri, path: str) -> None:
    """Write the object at `uri` to the new file `path`."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise DataError(f"temporary file {path}: {reason(e)}") from e
    try:
        remote.fetch(uri, fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _temporary(uri: Uri) -> Iterator[str]:
    """A temporary path with the suffix of `uri`, which says what format it is."""
    found = by_suffix(uri.path)
    suffixes = [s for s in found.suffixes if uri.path.lower().endswith(s)] if found else [""]
    path = temporary_path("spool") + max(suffixes, key=len)
    try:
        yield path
    finally:
        Path(path).unlink(missing_ok=True)


@contextlib.contextmanager
def _renaming(names: dict[str, str], listener: Listener) -> Iterator[None]:
    """Have what is said name the files that the user knows, not the temporary ones."""

    def renamed(text: str) -> str:
        for temporary, name in names.items():
            text = text.replace(temporary, name)
        return text

    try:
        yield
    except KactError as e:
        if renamed(str(e)) == str(e):
            raise
        raise type(e)(renamed(str(e))) from e
    finally:
        listener.warnings = [renamed(w) for w in listener.warnings]
        listener.notes = [renamed(n) for n in listener.notes]

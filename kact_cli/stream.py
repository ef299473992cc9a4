"""From one file to another. The file to read first.

`transform` is what `apply` and `chain` do in the end: open the input, find out what it is, and hand
it to the code for its kind, which plans and runs the plan.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kact_cli import formats
from kact_cli.chain import Chain
from kact_cli.errors import DataError
from kact_cli.storage import Source, open_source
from kact_cli.target import Target

if TYPE_CHECKING:
    import numpy as np


class Observer:
    """What the person (or nobody) who watches is told. This one says nothing."""

    def warn(self, message: str) -> None:
        """Something that the user should know, though the work goes on."""

    def note(self, message: str) -> None:
        """Something that was decided, for `--verbose`."""

    def start(self, total: int, passes: int, unit: str = "bytes") -> None:
        """Work over `total` bytes (or `unit`) begins, all passes counted; 0: nobody knows."""

    def advance(self, count: int) -> None:
        """That many more are done. Threads call this."""


@dataclass(frozen=True)
class Options:
    """What the user chose, beside the chain and the files."""

    source_format: str | None = None
    target_format: str | None = None
    dtype: np.dtype[Any] | None = None
    compute_dtype: np.dtype[Any] | None = None
    chunk_bytes: int | None = None
    jobs: int | None = None
    """Worker processes; None: threads of this process, one for each usable core."""
    columns: tuple[str, ...] = ()
    """Names and globs of a table's columns that are the tensor; none: kact's choice."""
    exclude: tuple[str, ...] = ()
    delimiter: str | None = None
    """Between the cells of a CSV; None: found in its first records."""
    header: bool | None = None
    """Whether the first record of a CSV names its columns; None: found in it."""
    float_format: str | None = None
    """How floats are written in a CSV, as `format(x, "...")`; None: shortest that reads back."""
    overwrite: bool = False
    fsync: bool = False
    observer: Observer = field(default_factory=Observer)


def transform(chain: Chain, source: str, target: str, options: Options) -> None:
    """Apply `chain` to the file `source` and write `target`; `-` is standard input or output.

    Raises a KactError, with the target as it was, when anything goes wrong.
    """
    if options.float_format is not None:
        from kact_cli.formats.float_text import check_format

        check_format(options.float_format)
    with contextlib.closing(open_source(source)) as opened:
        found = detect(opened, options.source_format)
        wanted = output_format(target, found, options.target_format)
        jobs = "a thread for each core" if options.jobs is None else f"{options.jobs} jobs"
        options.observer.note(f"{opened.name}: {found.name} to {wanted.name}, {jobs}")
        with Target(target, overwrite=options.overwrite, fsync=options.fsync) as out:
            out.refuse_same_file(opened)
            if found is wanted is formats.NPY:
                from kact_cli.tensor import transform_tensor

                transform_tensor(chain, opened, out, options)
            else:
                # Before pyarrow is imported: its own pool keeps what it was given
                os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
                from kact_cli.tabular import transform_table

                transform_table(chain, opened, found, out, wanted, options)


def detect(source: Source, name: str | None = None) -> formats.Format:
    """The format of an input: as the user said (`name`), by its first bytes, or by its suffix.

    Raises DataError for what is none of kact's formats.
    """
    if name:
        return formats.by_name(name)
    head, suffix = source.peek(16), formats.by_suffix(source.name)
    found = formats.by_head(head)
    if found is formats.CSV and suffix not in (None, formats.CSV):
        found = suffix  # compressed data that is called .npy: its reader says what it is
    if found is None and suffix is None and (not head or b"\0" in head):
        raise DataError(
            f"{source.name} is {'empty' if not head else 'in no format that kact knows'}"
        )
    return found or suffix or formats.CSV


def output_format(path: str, source: formats.Format, name: str | None = None) -> formats.Format:
    """The format of an output: as the user said, by its suffix, or the input's."""
    if name:
        return formats.by_name(name)
    return formats.by_suffix(path) or source

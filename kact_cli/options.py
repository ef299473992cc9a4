"""What the user chose beside the chain and the files, and who is told of the work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from kact_cli.types import Quantization


class Observer:
    """What the person (or nobody) who watches is told. This one says nothing."""

    def warn(self, message: str) -> None:
        """Something that the user should know, though the work goes on."""

    def note(self, message: str) -> None:
        """Something that was decided, for `--verbose`."""

    def tell(self, message: str) -> None:
        """Something that a person at a terminal may want to know, though nothing is amiss."""

    def start(self, total: int, passes: int, unit: str = "bytes", files: int = 1) -> None:
        """Work over `total` bytes (or `unit`) begins, all passes counted; 0: nobody knows."""

    def advance(self, count: int) -> None:
        """That many more are done. Threads call this."""

    def started(self, name: str) -> None:
        """One of several files is being worked on."""

    def ended(self, name: str) -> None:
        """One of several files is done, or has failed."""


class Concern(NamedTuple):
    """An option that was typed, and where it has an effect: at which end, in which formats."""

    flag: str
    end: Literal["input", "output", "input or output"]
    formats: tuple[str, ...]
    lacking: str = ""
    """What the other formats have not, for which the option is made."""


@dataclass(frozen=True)
class Options:
    """What the user chose, beside the chain and the files."""

    source_format: str | None = None
    target_format: str | None = None
    source_dtype: np.dtype[Any] | None = None
    """What a tensor of uint16 is taken for: bfloat16, whose bits NumPy keeps as such."""
    dtype: np.dtype[Any] | None = None
    compute_dtype: np.dtype[Any] | None = None
    exact: bool = False
    """Whether results are rounded once and are the same bytes everywhere; see `arithmetic`."""
    quantize_in: Quantization | None = None
    """What the integers of a tensor stand for; None: themselves."""
    quantize_out: Quantization | None = None
    """How the result is made integers; None: it stays as it is."""
    chunk_bytes: int | None = None
    jobs: int | None = None
    """Worker processes; None: threads of this process, one for each usable core."""
    max_unit: int | None = None
    """Bytes of memory that one unit of the input may take; None: as its format declares."""
    columns: tuple[str, ...] = ()
    """Names and globs of a table's columns that are the tensor; none: kact's choice."""
    exclude: tuple[str, ...] = ()
    suffix: str | None = None
    """What follows a column's name in that of its result, which is added after the last column;
    None: the result takes the column's place."""
    delimiter: str | None = None
    """Between the cells of a CSV; None: found in its first records."""
    header: bool | None = None
    """Whether the first record of a CSV names its columns; None: found in it."""
    nulls: tuple[str, ...] = ()
    """Cells of a CSV that are null, beside those that are always."""
    decimal: str = "."
    """What stands before the fraction of a number in a CSV: a point or a comma."""
    float_format: str | None = None
    """How floats are written in a CSV, as `format(x, "...")`; None: shortest that reads back."""
    typed: tuple[Concern, ...] = ()
    """Options that are refused where they have no effect: those that somebody typed for this."""
    overwrite: bool = False
    fsync: bool = False
    observer: Observer = field(default_factory=Observer)

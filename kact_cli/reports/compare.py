"""Two files, number by number, in memory that does not grow.

Two .npy of one shape are compared element by element, whatever their dtypes, byte orders and
orders; two archives tensor by tensor and two tables column by column, matched by name; a .npy and a
table by the columns' positions. A third file may hold the inputs that both come of.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kact_cli.errors import DataError
from kact_cli.formats.detect import check_typed
from kact_cli.formats.npy import NpyTensor
from kact_cli.options import Options
from kact_cli.parallel.pools import in_order, thread_pool
from kact_cli.reports.errors import Errors, Given, Place, Tolerance, errors
from kact_cli.reports.numbers import Numbers, OpenArchive, OpenTable, numeric
from kact_cli.reports.pairs import Piece, aligned, blocks, pieces, seekable, unlike
from kact_cli.tables.columns import Column, ColumnBlock, Kind


@dataclass(frozen=True)
class Comparison:
    """The errors of each pair of columns, by name (of two .npy: one, without a name)."""

    errors: dict[str, Errors]
    skipped: tuple[str, ...] = ()
    """Columns that hold no numbers and were not compared."""
    tolerance: Tolerance = field(default_factory=Tolerance)

    @property
    def beyond(self) -> int:
        """How many pairs the tolerance does not pass."""
        return sum(e.beyond for e in self.errors.values())

    @property
    def p99_ulp(self) -> float:
        """The largest of the columns' 99th percentiles of ULP."""
        return max((e.percentile(99) or 0 for e in self.errors.values()), default=0)

    @property
    def passed(self) -> bool:
        """Whether every pair passes, and the percentile too where that has a limit."""
        limit = self.tolerance.p99_ulp
        return not self.beyond and (limit is None or self.p99_ulp <= limit)


@dataclass(frozen=True)
class Wanted:
    """What is to be found out."""

    tolerance: Tolerance
    options: Options
    top: int = 0
    """How many of the worst pairs are kept."""


def compare(
    a: Numbers,
    b: Numbers,
    tolerance: Tolerance,
    options: Options,
    *,
    inputs: Numbers | None = None,
    top: int = 0,
) -> Comparison:
    """Compare all numbers of `a` and `b`, or those of the columns that `options` names.

    `inputs` are what both come of, in the same shape, columns or members; `top` is how many of the
    worst pairs are kept. Raises DifferentError where the shapes, the columns or the numbers of rows
    of `a` and `b` differ, and DataError where `inputs` do not fit them.
    """
    files = [a, b] if inputs is None else [a, b, inputs]
    wanted = Wanted(tolerance, options, top)
    check_typed(options, [f.format for f in files])
    if isinstance(a, OpenArchive) and isinstance(b, OpenArchive):
        if inputs is None or isinstance(inputs, OpenArchive):
            return _archives(a, b, inputs, wanted)
        if len(_members(a, options)) > 1:
            raise DataError(f"{inputs.source.name} is one tensor, and {a.source.name} has several")
    single = [f.only(options) if isinstance(f, OpenArchive) else f for f in files]
    tensors = [f for f in single if isinstance(f, NpyTensor)]
    if len(tensors) == len(single):
        return Comparison({"": _tensors(tensors, wanted)}, tolerance=tolerance)
    with contextlib.ExitStack() as stack:
        return _columnwise(seekable(single, stack), wanted)


def _members(archive: OpenArchive, options: Options) -> dict[str, int]:
    """The tensors that are compared, by name."""
    return {archive.columns[i].name: i for i in numeric(archive.columns, options, "member")}


def _archives(
    a: OpenArchive, b: OpenArchive, inputs: OpenArchive | None, wanted: Wanted
) -> Comparison:
    """Tensor by tensor, matched by name; one of inputs serves all."""
    mine, its = (_members(archive, wanted.options) for archive in (a, b))
    known = {} if inputs is None else _members(inputs, wanted.options)
    alone = next(iter(known.values())) if len(known) == 1 else None
    pairs = [(mine, its, b), (its, mine, a)]
    if inputs is not None and alone is None:
        pairs.append((mine, known, inputs))
    for here, there, other in pairs:
        for name in here.keys() - there.keys():
            raise unlike(2 if other is inputs else 1)(
                f"{other.source.name} has no tensor '{name}'; --columns or --exclude says which to "
                "compare"
            )
    found = {}
    for name, i in mine.items():
        tensors = [a.tensor(i), b.tensor(its[name])]
        if inputs is not None:
            tensors.append(inputs.tensor(known[name] if alone is None else alone))
        found[name] = _tensors(tensors, wanted)
    skipped = [c.name for c in (*a.columns, *b.columns) if c.kind is Kind.OTHER]
    return Comparison(found, tuple(dict.fromkeys(skipped)), wanted.tolerance)


def _tensors(tensors: Sequence[NpyTensor], wanted: Wanted) -> Errors:
    with contextlib.ExitStack() as stack:
        files = [f for f in seekable(tensors, stack) if isinstance(f, NpyTensor)]
        return _elementwise(files, wanted)


def _elementwise(tensors: Sequence[NpyTensor], wanted: Wanted) -> Errors:
    shape = tensors[0].header.shape
    for number, other in enumerate(tensors):
        if other.header.shape != shape:
            raise unlike(number)(
                f"{tensors[0].source.name} has the shape {shape}, {other.source.name} "
                f"{other.header.shape}"
            )
    if 0 in shape:
        return Errors()

    def done(piece: Piece) -> Errors:
        a, b, *inputs = piece.read()
        given = Given(a, b, x=inputs[0] if inputs else None)
        return errors(given, wanted.tolerance, wanted.top).placed(piece.place)

    total = Errors()
    with thread_pool(wanted.options.jobs) as (pool, count):
        for found in in_order(pool, count + 1, done, pieces(tensors, shape)):
            total = total.merge(found, wanted.top)
    return total


def _columnwise(files: Sequence[NpyTensor | OpenTable], wanted: Wanted) -> Comparison:
    chosen = _chosen(files, wanted.options)
    for number, (other, positions) in enumerate(zip(files, chosen, strict=True)):
        if len(chosen[0]) != len(positions):
            counts = f"{len(chosen[0])} and {len(positions)}"
            names = f"{files[0].source.name} and {other.source.name}"
            raise unlike(number)(f"{names} have {counts} columns of numbers")
    if not chosen[0]:
        raise DataError(
            f"{files[0].source.name} and {files[1].source.name} have no numbers to compare: no "
            "column is numeric"
        )
    named = next(i for i, file in enumerate(files) if isinstance(file, OpenTable))
    columns = _columns(files[named])
    labels = _labels([columns[i].name for i in chosen[named]])
    total = {label: Errors() for label in labels}

    def done(part: tuple[int, list[list[ColumnBlock]]]) -> list[Errors]:
        first, found = part
        return [
            _column(label, first, columns, wanted)
            for label, columns in zip(labels, zip(*found, strict=True), strict=True)
        ]

    rows = [blocks(file, positions) for file, positions in zip(files, chosen, strict=True)]
    names_ = [file.source.name for file in files]
    with thread_pool(wanted.options.jobs) as (pool, count):
        for found in in_order(pool, count + 1, done, aligned(rows, names_)):
            for label, part in zip(labels, found, strict=True):
                total[label] = total[label].merge(part, wanted.top)
    text = (c.name for f in files[:2] for c in _columns(f) if c.kind is Kind.OTHER)
    around = {label.rpartition(".")[0] for label in labels}  # structs whose fields are compared
    skipped = (
        () if wanted.options.columns else tuple(dict.fromkeys(n for n in text if n not in around))
    )
    return Comparison(total, skipped, wanted.tolerance)


def _chosen(files: Sequence[NpyTensor | OpenTable], options: Options) -> list[list[int]]:
    """The positions of the columns of each file: by name among tables, else by position."""
    every = [_columns(file) for file in files]
    numbers = numeric([c for columns in every for c in columns], options)
    starts = np.cumsum([0, *map(len, every)])
    chosen = [
        [i - int(a) for i in numbers if a <= i < b]
        if isinstance(file, OpenTable)
        else list(range(_width(file)))
        for file, a, b in zip(files, starts, starts[1:], strict=False)
    ]
    tables = [(i, file) for i, file in enumerate(files) if isinstance(file, OpenTable)]
    first, reference = tables[0]
    for i, file in tables[1:]:
        both = [chosen[first], chosen[i]]
        chosen[first], chosen[i] = _matched(reference, file, both, more=i > 1)
    return chosen


def _width(tensor: NpyTensor) -> int:
    """The number of columns of a tensor that is taken as a table."""
    shape = tensor.header.shape
    if len(shape) not in (1, 2):
        raise DataError(f"{tensor.source.name}: a tensor of shape {shape} is no table")
    return shape[1] if len(shape) == 2 else 1


def _columns(numbers: NpyTensor | OpenTable) -> Sequence[Column]:
    return numbers.fields if isinstance(numbers, OpenTable) else []


def _labels(names: Sequence[str]) -> list[str]:
    """The names, those that come again with a number: `x`, `x#2`."""
    seen: dict[str, int] = {}
    labels = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        labels.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return labels


def _matched(
    a: OpenTable, b: OpenTable, chosen: Sequence[list[int]], *, more: bool
) -> list[list[int]]:
    """The positions of the columns of the same names, in the order of `a`; `b` may have `more`."""
    found = []
    for table, positions in zip((a, b), chosen, strict=True):
        fields = table.fields
        labels = _labels([fields[i].name for i in positions])
        found.append(dict(zip(labels, positions, strict=True)))
    for mine, its, table in ((found[0], found[1], b), (found[1], found[0], a)):
        missing = [name for name in mine if name not in its]
        if missing and not (more and table is a):
            raise unlike(2 if more else 1)(
                f"{table.source.name} has no column of numbers '{missing[0]}'; --columns or "
                "--exclude says which to compare"
            )
    return [list(found[0].values()), [found[1][name] for name in found[0]]]


def _column(label: str, first: int, columns: Sequence[ColumnBlock], wanted: Wanted) -> Errors:
    """The errors of some rows of one column, the first of which is row `first`."""
    a, b, *inputs = columns
    x = a.offsets
    for number, other in enumerate(columns[1:], 1):
        y = other.offsets
        if x is None or y is None:
            if x is not y:
                raise unlike(number)(
                    f"column '{label}' holds lists in one file and numbers in another"
                )
            continue
        lengths = np.flatnonzero(np.diff(x) != np.diff(y))
        if len(lengths):
            row = int(lengths[0])
            raise unlike(number)(
                f"column '{label}', row {first + row:,}: lists of {x[row + 1] - x[row]} and "
                f"{y[row + 1] - y[row]} values"
            )

    def place(i: int) -> Place:
        if x is None:
            return (first + i,)
        row = int(np.searchsorted(x, i, "right")) - 1
        return first + row, i - int(x[row])

    given = Given(a.values, b.values, (a.nulls, b.nulls))
    if inputs:
        given = given._replace(x=inputs[0].values, x_nulls=inputs[0].nulls)
    return errors(given, wanted.tolerance, wanted.top).placed(place)

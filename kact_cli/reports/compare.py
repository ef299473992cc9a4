"""Two files, number by number, in memory that does not grow.

Two .npy of one shape are compared element by element, whatever their dtypes, byte orders and
orders; two archives tensor by tensor and two tables column by column, matched by name; a .npy and a
table by the columns' positions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kact_cli.engine.layout import Grid, grow
from kact_cli.errors import DataError
from kact_cli.formats.detect import check_typed
from kact_cli.formats.npy import BLOCK_BYTES, NpyTensor
from kact_cli.options import Options
from kact_cli.parallel.pools import in_order, thread_pool
from kact_cli.reports.ulp import Errors, Place, Tolerance, errors
from kact_cli.reports.values import Numbers, OpenArchive, OpenTable, numeric
from kact_cli.tables.columns import Column, ColumnBlock, Kind
from kact_cli.types import Array, Shape

RUN = 512
"""The elements that a read has at least, where a C-ordered tensor meets a Fortran-ordered one."""
Piece = tuple[Array, Array, Callable[[int], Place]]
"""The same elements of two tensors, and where each is."""
Rows = Iterator[list[ColumnBlock]]


@dataclass(frozen=True)
class Comparison:
    """The errors of each pair of columns, by name (of two .npy: one, without a name)."""

    errors: dict[str, Errors]
    skipped: tuple[str, ...] = ()
    """Columns that hold no numbers and were not compared."""

    @property
    def beyond(self) -> int:
        """How many pairs the tolerance does not pass."""
        return sum(e.beyond for e in self.errors.values())


def compare(a: Numbers, b: Numbers, tolerance: Tolerance, options: Options) -> Comparison:
    """Compare all numbers of `a` and `b`, or those of the columns that `options` names.

    Raises DataError where the shapes, the columns or the numbers of rows differ.
    """
    check_typed(options, [a.format, b.format])
    if isinstance(a, OpenArchive) and isinstance(b, OpenArchive):
        return _archives(a, b, tolerance, options)
    a = a.only(options) if isinstance(a, OpenArchive) else a
    b = b.only(options) if isinstance(b, OpenArchive) else b
    if isinstance(a, NpyTensor) and isinstance(b, NpyTensor):
        return Comparison({"": _tensors(a, b, tolerance, options)})
    with contextlib.ExitStack() as stack:
        return _columnwise(*_seekable(a, b, stack), tolerance, options)


def _archives(a: OpenArchive, b: OpenArchive, tolerance: Tolerance, options: Options) -> Comparison:
    """Tensor by tensor, matched by name."""
    chosen = [
        {archive.columns[i].name: i for i in numeric(archive.columns, options, "member")}
        for archive in (a, b)
    ]
    for mine, its, other in ((chosen[0], chosen[1], b), (chosen[1], chosen[0], a)):
        for name in mine.keys() - its.keys():
            raise DataError(
                f"{other.source.name} has no tensor '{name}'; --columns or --exclude says which to "
                "compare"
            )
    found = {
        name: _tensors(a.tensor(i), b.tensor(chosen[1][name]), tolerance, options)
        for name, i in chosen[0].items()
    }
    skipped = [c.name for c in (*a.columns, *b.columns) if c.kind is Kind.OTHER]
    return Comparison(found, tuple(dict.fromkeys(skipped)))


def _seekable(
    a: NpyTensor | OpenTable, b: NpyTensor | OpenTable, stack: contextlib.ExitStack
) -> tuple[NpyTensor | OpenTable, NpyTensor | OpenTable]:
    """Both, from temporary files where they came through a pipe and are not read in order."""
    orders = [n.header.fortran_order if isinstance(n, NpyTensor) else False for n in (a, b)]
    if orders[0] == orders[1]:
        return a, b
    return (
        a.seekable(stack) if isinstance(a, NpyTensor) else a,
        b.seekable(stack) if isinstance(b, NpyTensor) else b,
    )


def _columnwise(
    a: NpyTensor | OpenTable, b: NpyTensor | OpenTable, tolerance: Tolerance, options: Options
) -> Comparison:
    both = [*_columns(a), *_columns(b)]
    found = numeric(both, options)
    first = len(_columns(a))
    chosen = [[i for i in found if i < first], [i - first for i in found if i >= first]]
    if isinstance(a, OpenTable) and isinstance(b, OpenTable):
        chosen = _matched(a, b, chosen)
    else:
        chosen = [
            list(range(_width(n))) if isinstance(n, NpyTensor) else c
            for n, c in zip((a, b), chosen, strict=True)
        ]
    if len(chosen[0]) != len(chosen[1]):
        counts = f"{len(chosen[0])} and {len(chosen[1])}"
        raise DataError(f"{a.source.name} and {b.source.name} have {counts} columns of numbers")
    if not chosen[0]:
        raise DataError(
            f"{a.source.name} and {b.source.name} have no numbers to compare: no column is numeric"
        )
    named, positions = (a, chosen[0]) if isinstance(a, OpenTable) else (b, chosen[1])
    labels = _labels([_columns(named)[i].name for i in positions])
    errors_ = _rows(
        (_blocks(a, chosen[0]), _blocks(b, chosen[1])),
        labels,
        (a.source.name, b.source.name),
        tolerance,
        options,
    )
    skipped = [c.name for c in both if c.kind is Kind.OTHER]
    return Comparison(errors_, tuple(dict.fromkeys(skipped)))


def _tensors(a: NpyTensor, b: NpyTensor, tolerance: Tolerance, options: Options) -> Errors:
    with contextlib.ExitStack() as stack:
        if a.header.fortran_order != b.header.fortran_order:
            a, b = a.seekable(stack), b.seekable(stack)
        return _elementwise(a, b, tolerance, options)


def _elementwise(a: NpyTensor, b: NpyTensor, tolerance: Tolerance, options: Options) -> Errors:
    shape = a.header.shape
    if b.header.shape != shape:
        raise DataError(f"{a.source.name} has the shape {shape}, {b.source.name} {b.header.shape}")
    if 0 in shape:
        return Errors()
    fortran = a.header.fortran_order
    if fortran == b.header.fortran_order or sum(n > 1 for n in shape) < 2:
        order = "F" if fortran else "C"
        work = _side_by_side(a, b, shape, order)
    else:
        work = _boxes(a, b, shape)

    def done(part: Piece) -> Errors:
        return errors(part[0], part[1], tolerance).placed(part[2])

    total = Errors()
    with thread_pool(options.jobs) as (pool, count):
        for found in in_order(pool, count + 1, done, work):
            total = total.merge(found)
    return total


def _side_by_side(a: NpyTensor, b: NpyTensor, shape: Shape, order: str) -> Iterator[Piece]:
    """Pieces of two tensors of the same order, and where their elements are."""
    dims = shape if order == "C" else shape[::-1]
    each = BLOCK_BYTES // max(a.header.dtype.itemsize, b.header.dtype.itemsize)
    for first in range(0, a.header.size, each):
        count = min(each, a.header.size - first)

        def place(i: int, first: int = first) -> Place:
            found = tuple(int(n) for n in np.unravel_index(first + i, dims))
            return found if order == "C" else found[::-1]

        yield a.read(first, count), b.read(first, count), place


def _boxes(a: NpyTensor, b: NpyTensor, shape: Shape) -> Iterator[Piece]:
    """Boxes of two tensors of different order, long enough in both to be read in long runs."""
    ones = (1,) * len(shape)
    outer = grow(shape[::-1], ones, shape[::-1], RUN)[::-1]
    elements = BLOCK_BYTES // max(a.header.dtype.itemsize, b.header.dtype.itemsize)
    grid = Grid(shape, grow(shape, outer, shape, elements))
    for number in range(len(grid)):
        start, box = grid.box(number)

        def place(i: int, start: Shape = start, box: Shape = box) -> Place:
            return tuple(s + int(n) for s, n in zip(start, np.unravel_index(i, box), strict=True))

        yield a.box(start, box).reshape(-1), b.box(start, box).reshape(-1), place


def _width(tensor: NpyTensor) -> int:
    """The number of columns of a tensor that is taken as a table."""
    shape = tensor.header.shape
    if len(shape) not in (1, 2):
        raise DataError(f"{tensor.source.name}: a tensor of shape {shape} is no table")
    return shape[1] if len(shape) == 2 else 1


def _columns(numbers: NpyTensor | OpenTable) -> Sequence[Column]:
    return numbers.columns if isinstance(numbers, OpenTable) else []


def _labels(names: Sequence[str]) -> list[str]:
    """The names, those that come again with a number: `x`, `x#2`."""
    seen: dict[str, int] = {}
    labels = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        labels.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return labels


def _matched(a: OpenTable, b: OpenTable, chosen: list[list[int]]) -> list[list[int]]:
    """The positions of the columns of the same names, in the order of `a`."""
    found = []
    for table, positions in zip((a, b), chosen, strict=True):
        labels = _labels([table.columns[i].name for i in positions])
        found.append(dict(zip(labels, positions, strict=True)))
    for mine, its, table in ((found[0], found[1], b), (found[1], found[0], a)):
        missing = [name for name in mine if name not in its]
        if missing:
            raise DataError(
                f"{table.source.name} has no column of numbers '{missing[0]}'; --columns or "
                "--exclude says which to compare"
            )
    return [list(found[0].values()), [found[1][name] for name in found[0]]]


def _blocks(numbers: NpyTensor | OpenTable, positions: list[int]) -> Rows:
    if isinstance(numbers, OpenTable):
        rising = sorted(positions)
        order = [rising.index(i) for i in positions]
        for blocks in numbers.reader.numbers(rising):
            yield [blocks[i] for i in order]
        return
    header, width = numbers.header, len(positions)
    each = max(1, BLOCK_BYTES // (header.dtype.itemsize * max(1, width)))
    for first in range(0, header.shape[0], each):
        count, rank = min(each, header.shape[0] - first), len(header.shape)
        start, box = (first, 0)[:rank], (count, width)[:rank]
        rows = numbers.box(start, box).reshape(count, width)
        yield [ColumnBlock(rows[:, i].astype(rows.dtype.newbyteorder("="))) for i in range(width)]


def _rows(
    pair: tuple[Rows, Rows],
    labels: list[str],
    names: tuple[str, str],
    tolerance: Tolerance,
    options: Options,
) -> dict[str, Errors]:
    total = {label: Errors() for label in labels}

    def done(part: tuple[int, list[ColumnBlock], list[ColumnBlock]]) -> list[Errors]:
        first, left, right = part
        return [
            _column(label, first, x, y, tolerance)
            for label, x, y in zip(labels, left, right, strict=True)
        ]

    with thread_pool(options.jobs) as (pool, count):
        for found in in_order(pool, count + 1, done, _aligned(pair, names)):
            for label, part in zip(labels, found, strict=True):
                total[label] = total[label].merge(part)
    return total


def _column(label: str, first: int, a: ColumnBlock, b: ColumnBlock, tolerance: Tolerance) -> Errors:
    """The errors of some rows of one column, the first of which is row `first`."""
    x, y = a.offsets, b.offsets
    if x is None or y is None:
        if x is not y:
            raise DataError(f"column '{label}' holds lists in one file and numbers in the other")
        return errors(a.values, b.values, tolerance, (a.nulls, b.nulls)).placed(
            lambda i: (first + i,)
        )
    lengths = np.flatnonzero(np.diff(x) != np.diff(y))
    if len(lengths):
        row = int(lengths[0])
        raise DataError(
            f"column '{label}', row {first + row:,}: lists of {x[row + 1] - x[row]} and "
            f"{y[row + 1] - y[row]} values"
        )

    def place(i: int) -> Place:
        row = int(np.searchsorted(x, i, "right")) - 1
        return first + row, i - int(x[row])

    return errors(a.values, b.values, tolerance, (a.nulls, b.nulls)).placed(place)


def _aligned(
    pair: tuple[Rows, Rows], names: tuple[str, str]
) -> Iterator[tuple[int, list[ColumnBlock], list[ColumnBlock]]]:
    """The same rows of both: the number of the first, and the blocks of their columns."""
    held: list[list[ColumnBlock]] = [[], []]
    done = 0
    while True:
        for side, rows in enumerate(pair):
            while not held[side] or held[side][0].rows == 0:
                more = next(rows, None)
                if more is None:
                    break
                held[side] = more
        left, right = (blocks[0].rows if blocks else 0 for blocks in held)
        count = min(left, right)
        if not count:
            break
        mine, its = ([block.slice(0, count) for block in blocks] for blocks in held)
        yield done, mine, its
        held = [[block.slice(count, block.rows) for block in blocks] for blocks in held]
        done += count
    if left != right:
        counts = [done + n + _count(rows) for n, rows in zip((left, right), pair, strict=True)]
        raise DataError(f"{names[0]} has {counts[0]:,} rows and {names[1]} has {counts[1]:,}")


def _count(rows: Iterable[list[ColumnBlock]]) -> int:
    return sum(blocks[0].rows for blocks in rows if blocks)

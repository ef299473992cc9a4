"""An open CSV: its dialect, and its blocks parsed on several threads. All reading goes by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import DTypeLike

from kact_cli.errors import DataError, prefixed
from kact_cli.files.source import Source
from kact_cli.formats.csv.blocks import MOST, CsvBlock, iter_blocks
from kact_cli.formats.csv.cells import RecordError
from kact_cli.formats.csv.compression import codec_of, decompressed
from kact_cli.formats.csv.dialect import HEAD, Dialect, sniff
from kact_cli.formats.csv.parse import ParsedBlock, parse
from kact_cli.formats.csv.spelling import Spelling
from kact_cli.formats.declared import CSV
from kact_cli.formats.detect import by_head
from kact_cli.formats.foreign import HEAD_BYTES, refuse_foreign
from kact_cli.messages import clipped
from kact_cli.options import Options
from kact_cli.parallel.pools import in_order, thread_pool
from kact_cli.tables.columns import Column, Kind, columns_named, select, unseen

T = TypeVar("T")


class CsvText:
    """An input of CSV, plain or compressed; its records as often as is asked, a stream's once."""

    def __init__(self, source: Source, options: Options) -> None:
        self._source, self._options = source, options
        self._limit = min(CSV.limit(options), MOST)
        self._read, self._head = self._start()
        certain = options.source_format is not None
        if not certain:
            self._refuse_other_formats()
        with prefixed(source.name):
            self.dialect: Dialect = sniff(
                self._head,
                delimiter=options.delimiter,
                header=options.header,
                spelling=Spelling(options.nulls, options.decimal),
                whole=self._whole,
                certain=certain,
            )
        self.columns: tuple[Column, ...] = self.dialect.columns
        self.overflows = 0
        """Cells such as 1e400 that the last pass has read as inf."""
        self.filled: set[int] = set()
        """The columns left out on a guess in which the last pass has seen whole numbers."""

    def _start(self) -> tuple[Callable[[int], bytes], bytes]:
        """Reading from the start: the first bytes, and a function for the others."""
        self.codec = codec_of(self._source.peek(4))
        raw = self._source.reader()
        read = raw if self.codec is None else self._named(decompressed(raw, self.codec))
        head, wanted, self._whole = b"", HEAD, False
        while not self._whole and len(head) < wanted:
            more = read(wanted - len(head))
            head, self._whole = head + more, not more
            if len(head) == wanted < self._limit and head.count(b"\n") + head.count(b"\r") < 3:
                wanted *= 2  # a record has to be seen whole
        return read, head

    def _refuse_other_formats(self) -> None:
        """Raise DataError for what is compressed and no text; what is not, `detect` has seen."""
        if self.codec is None:
            return
        name, codec = self._source.name, self.codec
        inside = by_head(self._head[:16])
        if inside is not None and inside is not CSV:
            what = f"{name} is {inside.suffixes[0]} data compressed with {codec}"
            raise DataError(f"{what}; `{codec} -dc {name} | kact …` reads it")
        refuse_foreign(name, self._head[:HEAD_BYTES])

    def _named(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """`read`, its errors naming the file."""

        def named(count: int) -> bytes:
            with prefixed(self._source.name):
                return read(count)

        return named

    def select(self) -> tuple[list[int], list[int]]:
        """The positions of the tensor's columns, and of those left out that no fraction may be in.

        What is surprising in the choice is said to the observer.
        """
        o = self._options
        if o.header is None and self.dialect.header and self._is_counted():
            first = clipped(",".join(self.dialect.names))
            o.observer.warn(
                f"the first record, '{first}', is taken for names over whole numbers; "
                "--header says that it is, --no-header that it is data"
            )
        try:
            chosen = select(self.columns, o.columns, o.exclude, o.observer.warn)
        except DataError as e:
            way = "; --delimiter says what is between two cells" if len(self.columns) == 1 else ""
            raise DataError(f"{self._source.name}: {e}{way}") from e
        return chosen, unseen(self.columns, chosen, o.columns, o.exclude)

    def _is_counted(self) -> bool:
        """Whether names that are whole numbers stand over nothing but such, without quotes."""
        named = all(name.isdigit() for name in self.dialect.names)
        return (
            named and not self.dialect.quoted and all(c.kind is Kind.INTEGER for c in self.columns)
        )

    def each(
        self,
        function: Callable[[ParsedBlock], T],
        columns: Sequence[int],
        *,
        unseen: Sequence[int] = (),
        dtype: DTypeLike = np.float64,
        jobs: int | None = None,
    ) -> Iterator[T]:
        """`function` of each block, its `columns` parsed, from several threads, in order.

        Errors name the file, the record and its line: the first one in the file, whatever `jobs`.
        """
        dialect, end = self.dialect, ord(self.dialect.record_end)
        self.overflows, self.filled = 0, set()

        def done(block: CsvBlock | RecordError) -> tuple[int, int, int, Sequence[int], T]:
            if isinstance(block, RecordError):
                raise block
            parsed = parse(block, dialect, columns, dtype, unseen)
            lines = int(np.count_nonzero(np.frombuffer(block.data, np.uint8) == end))
            return parsed.records, lines, parsed.overflows, parsed.filled, function(parsed)

        records, lines = 0, dialect.preamble.count(dialect.record_end)
        with thread_pool(jobs) as (pool, count):
            try:
                for found in in_order(pool, count + 1, done, self._blocks()):
                    records += found[0]
                    lines += found[1]
                    self.overflows += found[2]
                    self.filled.update(found[3])
                    yield found[4]
            except RecordError as e:
                raise DataError(f"{self._source.name}: {e.after(records, lines)}") from e

    def _blocks(self) -> Iterator[CsvBlock | RecordError]:
        """Whole records, from the first. What ends them too soon comes in their order, too."""
        if self._head == b"" and self._source.size is not None:
            self._read, self._head = self._start()
        head, self._head = self._head[len(self.dialect.preamble) :], b""
        try:
            yield from iter_blocks(self._read, self.dialect, head=head, limit=self._limit)
        except RecordError as e:
            yield e

    def remarks(self) -> Iterator[str]:
        """What the user should know of the last pass."""
        if self.overflows:
            number = "number is" if self.overflows == 1 else "numbers are"
            yield f"{self.overflows:,} {number} too large: read as inf"
        late = [self.columns[i] for i in sorted(self.filled)]
        if names := [c.name for c in late if c.kind is Kind.EMPTY]:
            what = "empty at first, holds whole numbers and is left out"
            yield f"{columns_named(names)}, {what}; to compute it, name it in -c with the others"

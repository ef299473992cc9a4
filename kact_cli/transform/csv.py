"""CSV to CSV, block by block of text: every byte that is not a computed number is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from kact_cli.chain import Chain
from kact_cli.engine.advice import FirstLook, advise_table
from kact_cli.engine.engine import merge_states
from kact_cli.engine.plan import Reduction
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.formats.csv.batches import longer_preamble, translated, translated_header
from kact_cli.formats.csv.parse import ParsedBlock
from kact_cli.formats.csv.render import append, render
from kact_cli.formats.csv.table import encoder, new_delimiter
from kact_cli.formats.csv.text import CsvText
from kact_cli.formats.declared import Format
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.tables.columns import added
from kact_cli.tables.parts import Part, parts_of_columns
from kact_cli.types import ReductionState, State

T = TypeVar("T")


@dataclass(frozen=True)
class _Job:
    """The tensor of a CSV: its columns, as one part, row by row."""

    text: CsvText
    columns: list[int]
    unseen: list[int]
    names: list[str]
    """Of the columns that are added; none where results take their columns' places."""
    part: Part
    options: Options
    look: FirstLook

    @classmethod
    def make(cls, chain: Chain, text: CsvText, options: Options) -> _Job:
        columns, unseen = text.select()
        names = [] if options.suffix is None else added(text.columns, columns, options.suffix)
        dtype = options.compute_dtype or np.dtype(np.float64)
        (part,) = parts_of_columns(
            chain,
            columns,
            [dtype] * len(columns),
            columnar=False,
            dtype=options.dtype,
            compute_dtype=options.compute_dtype,
            exact=options.exact,
        )
        advise_table(chain, [text.columns[i].name for i in columns], options)
        return cls(text, columns, unseen, names, part, options, FirstLook(chain, options))

    def each(self, function: Callable[[ParsedBlock], T]) -> Iterator[T]:
        """`function` of each block, in order, as the text is read once more."""

        def done(parsed: ParsedBlock) -> T:
            result = function(parsed)
            self.options.observer.advance(len(parsed.block.data))
            return result

        return self.text.each(
            done,
            self.columns,
            unseen=self.unseen,
            dtype=self.part.program.source,
            jobs=self.options.jobs,
        )

    def collect(self) -> State:
        """What the reductions down the rows need to know, by a pass over the text for each."""
        part, state = self.part, State()
        for reduction in part.streamed:

            def found(parsed: ParsedBlock, reduction: Reduction = reduction) -> ReductionState:
                return part.reduce(parsed.numbers, reduction, state, parsed.nulls)

            total: ReductionState | None = None
            for more in self.each(found):
                total = (
                    more
                    if total is None
                    else merge_states(part.program, reduction.step, total, more)
                )
            if total is not None:
                state[reduction.step] = total
        return state


def transform(
    chain: Chain,
    source: Source,
    found: Format,
    target: Target,
    wanted: Format,
    options: Options,
) -> None:
    """Apply `chain` to the selected columns of a CSV; every other byte is kept."""
    with contextlib.ExitStack() as stack:
        if source.size is None and _streams(chain):
            options.observer.note(f"{source.name} is spooled: it is read more than once")
            source = stack.enter_context(source.spool())
        text = CsvText(source, options)
        job = _Job.make(chain, text, options)
        passes = 1 + len(job.part.streamed)
        names = [text.columns[i].name for i in job.columns]
        options.observer.note(f"columns: {listed(names)}")
        # Of compressed text the size is not known
        size = 0 if text.codec else source.size or 0
        options.observer.start(size * passes, passes)
        state = job.collect()
        encode, put = encoder(target), append if job.names else render

        delimiter = new_delimiter(source, target, options.decimal)
        dialect, width = text.dialect, len(text.columns) + len(job.names)

        def done(parsed: ParsedBlock) -> memoryview:
            job.look(parsed.numbers, parsed.nulls)
            numbers = job.part.transform(parsed.numbers, state, parsed.nulls)
            new = put(parsed, numbers, options.float_format)
            return encode(new if delimiter is None else translated(new, dialect, width, delimiter))

        if delimiter is None:
            head = longer_preamble(dialect, job.names)
        else:
            head = translated_header(dialect, job.names, delimiter)
        target.write(encode(memoryview(head)))
        for new in job.each(done):
            target.write(new)
        for remark in text.remarks():
            options.observer.warn(f"{source.name}: {remark}")


def _streams(chain: Chain) -> bool:
    """Whether the chain reduces down the rows of a table, which takes a pass of its own."""
    (part,) = parts_of_columns(chain, [0], [np.dtype(np.float64)], columnar=False)
    return bool(part.streamed)

"""CSV to CSV, block by block of text: every byte that is not a computed number is kept."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kact_cli.chain import Chain
from kact_cli.engine.advice import FirstLook, advise_table
from kact_cli.engine.engine import merge_states
from kact_cli.engine.plan import Reduction
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.formats.csv.blocks import CsvBlock
from kact_cli.formats.csv.compression import codec_of
from kact_cli.formats.csv.parse import ParsedBlock, parse
from kact_cli.formats.csv.render import render
from kact_cli.formats.csv.table import Text, overflowed, translates, writing
from kact_cli.formats.declared import Format
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.tables.columns import select
from kact_cli.tables.parts import Part, parts_of_columns
from kact_cli.types import ReductionState, State

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class _Job:
    """The tensor of a CSV: its columns, as one part, row by row."""

    text: Text
    columns: list[int]
    part: Part
    options: Options
    look: FirstLook

    @classmethod
    def make(cls, chain: Chain, text: Text, options: Options) -> _Job:
        columns = select(text.columns, options.columns, options.exclude, options.observer.warn)
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
        return cls(text, columns, part, options, FirstLook(chain, options))

    def parse(self, block: CsvBlock) -> ParsedBlock:
        return parse(block, self.text.dialect, self.columns, self.part.program.source)

    def collect(self) -> State:
        """What the reductions down the rows need to know, by a pass over the text for each."""
        part, state = self.part, State()
        for reduction in part.streamed:

            def found(
                block: CsvBlock, reduction: Reduction = reduction
            ) -> tuple[int, ReductionState]:
                parsed = self.parse(block)
                numbers, nulls = parsed.numbers, parsed.nulls
                self.options.observer.advance(len(block.data))
                return parsed.records, part.reduce(numbers, reduction, state, nulls)

            total: ReductionState | None = None
            for _, more in self.text.in_order(found, self.options.jobs):
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
    if translates(source.name, target.name):
        from kact_cli.transform import table

        table.transform(chain, source, found, target, wanted, options)
        return
    with contextlib.ExitStack() as stack:
        if source.size is None and _streams(chain):
            options.observer.note(f"{source.name} is spooled: it is read more than once")
            source = stack.enter_context(source.spool())
        text = Text(source, options)
        job = _Job.make(chain, text, options)
        passes = 1 + len(job.part.streamed)
        names = [text.columns[i].name for i in job.columns]
        options.observer.note(f"columns: {listed(names)}")
        # Of compressed text the size is not known
        size = 0 if codec_of(source.peek(4)) else source.size or 0
        options.observer.start(size * passes, passes)
        state = job.collect()

        def done(block: CsvBlock) -> tuple[int, memoryview, int]:
            parsed = job.parse(block)
            job.look(parsed.numbers, parsed.nulls)
            numbers = job.part.transform(parsed.numbers, state, parsed.nulls)
            options.observer.advance(len(block.data))
            return parsed.records, render(parsed, numbers, options.float_format), parsed.overflows

        write = writing(target)
        write(memoryview(text.dialect.preamble))
        overflows = 0
        for _, new, more in text.in_order(done, options.jobs):
            write(new)
            overflows += more
        if overflows:
            options.observer.warn(f"{source.name}: {overflowed(overflows)}")


def _streams(chain: Chain) -> bool:
    """Whether the chain reduces down the rows of a table, which takes a pass of its own."""
    (part,) = parts_of_columns(chain, [0], [np.dtype(np.float64)], columnar=False)
    return bool(part.streamed)

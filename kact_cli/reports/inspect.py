"""What a file is: its format, shape, types and layout; and, read through once, its numbers."""

from __future__ import annotations

from typing import Any

from kact_cli.errors import prefixed
from kact_cli.formats.npy import NpyTensor
from kact_cli.options import Options
from kact_cli.parallel.pools import in_order, thread_pool
from kact_cli.reports.numbers import Numbers, OpenArchive, numeric
from kact_cli.reports.summary import Summary
from kact_cli.tables.columns import ColumnBlock

WHOLE = "(all)"
"""What the one summary of a .npy is called."""


def describe(numbers: Numbers) -> dict[str, Any]:
    """What the header, the footer or the first records say, as plain values.

    Always `name`, `format`, `bytes` (None for a pipe) and `columns` (each at least `name`, `type`
    and `kind`; of an archive its members, none for a .npy); beside these what the format knows.
    """
    source = numbers.source
    found = {"name": source.name, "bytes": source.size}
    if isinstance(numbers, NpyTensor):
        return {"format": "npy", **found, **numbers.facts(), "columns": []}
    columns = [
        {"name": c.name, "type": c.type, "kind": c.kind.value, **facts}
        for c, facts in zip(numbers.columns, numbers.reader.column_facts(), strict=True)
    ]
    return {
        "format": numbers.format.name,
        **found,
        **numbers.reader.facts(),
        "columns": columns,
    }


def summarize(numbers: Numbers, options: Options) -> dict[int | str, Summary]:
    """The numbers themselves, by a pass over the file: a summary of a whole .npy, under WHOLE, or
    of each numeric column of a table or tensor of an archive, under its position.

    A field of structs is under its name."""
    if isinstance(numbers, NpyTensor):
        return {WHOLE: _summary(numbers, options)}
    with prefixed(numbers.source.name):
        if isinstance(numbers, OpenArchive):
            members = numeric(numbers.columns, options, "member")
            return {i: _summary(numbers.tensor(i), options) for i in members}
        fields, whole = numbers.fields, len(numbers.columns)
        chosen = numeric(fields, options)
    keys = [i if i < whole else fields[i].name for i in chosen]
    found: dict[int | str, Summary] = {key: Summary() for key in keys}
    if chosen:
        with thread_pool(options.jobs) as (pool, count):
            for parts in in_order(pool, count + 1, _summaries, numbers.reader.numbers(chosen)):
                for key, part in zip(keys, parts, strict=True):
                    found[key] = found[key].merge(part)
    return found


def _summary(tensor: NpyTensor, options: Options) -> Summary:
    total = Summary()
    with thread_pool(options.jobs) as (pool, count):
        for part in in_order(pool, count + 1, Summary.of, tensor.blocks()):
            total = total.merge(part)
    return total


def _summaries(blocks: list[ColumnBlock]) -> list[Summary]:
    return [Summary.of(block.values, block.nulls) for block in blocks]

"""What a file is: its format, shape, types and layout; and, read through once, its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kact_cli.formats.declared import ARROW, CSV, NPY, PARQUET
from kact_cli.formats.npy import Header
from kact_cli.options import Options
from kact_cli.parallel.pools import in_order, thread_pool
from kact_cli.reports.summary import Summary
from kact_cli.reports.values import ColumnBlock, NpyTensor, OpenTable, numeric

WHOLE = "(all)"
"""What the one summary of a .npy is called."""


def describe(numbers: NpyTensor | OpenTable) -> dict[str, Any]:
    """What the header, the footer or the first records say, as plain values.

    Always `name`, `format`, `bytes` (None for a pipe) and `columns` (each at least `name`, `type`
    and `kind`; none for a .npy); beside these what the format knows.
    """
    source = numbers.source
    found = {"name": source.name, "bytes": source.size}
    if isinstance(numbers, NpyTensor):
        return {"format": NPY.name, **found, **_npy(numbers.header), "columns": []}
    columns: list[dict[str, Any]] = [
        {"name": c.name, "type": c.type, "kind": c.kind.value} for c in numbers.columns
    ]
    facts: dict[str, Any] = {}
    if numbers.format is CSV:
        facts = _csv(numbers)
    elif numbers.format is PARQUET:
        facts = _parquet(numbers, columns)
    elif numbers.format is ARROW:
        facts = _arrow(numbers)
    return {"format": numbers.format.name, **found, **facts, "columns": columns}


def summarize(numbers: NpyTensor | OpenTable, options: Options) -> dict[int | str, Summary]:
    """The numbers themselves, by a pass over the file: a summary of a whole .npy, under WHOLE, or
    of each numeric column of a table, under its position."""
    if isinstance(numbers, NpyTensor):
        total = Summary()
        with thread_pool(options.jobs) as (pool, count):
            for part in in_order(pool, count + 1, Summary.of, numbers.blocks()):
                total = total.merge(part)
        return {WHOLE: total}
    chosen = numeric(numbers.columns, options)
    found: dict[int | str, Summary] = {i: Summary() for i in chosen}
    if chosen:
        with thread_pool(options.jobs) as (pool, count):
            for parts in in_order(pool, count + 1, _summaries, numbers.blocks(chosen)):
                for i, part in zip(chosen, parts, strict=True):
                    found[i] = found[i].merge(part)
    return found


def _summaries(blocks: list[ColumnBlock]) -> list[Summary]:
    return [Summary.of(block.values, block.nulls) for block in blocks]


def _npy(header: Header) -> dict[str, Any]:
    orders = {"<": "little", ">": "big", "=": "native", "|": "none"}
    return {
        "shape": list(header.shape),
        "dtype": str(header.dtype.newbyteorder("=")),
        "byte_order": orders[header.dtype.str[0]],
        "order": "Fortran" if header.fortran_order else "C",
        "elements": header.size,
        "data_offset": header.offset,
    }


def _csv(table: OpenTable) -> dict[str, Any]:
    from kact_cli.formats.csv.compression import codec_of
    from kact_cli.formats.csv.dialect import BOM

    dialect = table.reader.dialect
    codec = codec_of(table.source.peek(4)) if table.source.size is not None else None
    endings = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}
    return {
        "delimiter": dialect.delimiter.decode(),
        "header": len(dialect.preamble.removeprefix(BOM)) > 0,
        "line_ending": endings[dialect.line_ending],
        "byte_order_mark": dialect.preamble.startswith(BOM),
        "compression": codec.value if codec else None,
    }


def _parquet(table: OpenTable, columns: list[dict[str, Any]]) -> dict[str, Any]:
    metadata = table.reader.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    sizes = [group.num_rows for group in groups]
    by_name: dict[str, list[Any]] = {column["name"]: [] for column in columns}
    for group in groups:
        for i in range(group.num_columns):
            chunk = group.column(i)
            path = chunk.path_in_schema
            while path not in by_name and "." in path:  # of a list: name.list.element
                path = path.rpartition(".")[0]
            by_name.setdefault(path, []).append(chunk)
    for column in columns:
        chunks = by_name[column["name"]]
        if not chunks:
            continue
        column["codec"] = _each(c.compression.lower() for c in chunks)
        column["encodings"] = _each(e for c in chunks for e in c.encodings)
        column["bytes"] = sum(c.total_compressed_size for c in chunks)
        if all(c.is_stats_set and c.statistics.has_null_count for c in chunks):
            column["nulls"] = sum(c.statistics.null_count for c in chunks)
    return {
        "rows": metadata.num_rows,
        "row_groups": len(groups),
        "rows_per_group": [min(sizes), max(sizes)] if sizes else [],
        "version": metadata.format_version,
        "created_by": metadata.created_by or "",
    }


def _arrow(table: OpenTable) -> dict[str, Any]:
    return {"record_batches": table.reader.count}


def _each(found: Iterator[str]) -> list[str]:
    """Every value once, in the order of appearance."""
    return list(dict.fromkeys(found))

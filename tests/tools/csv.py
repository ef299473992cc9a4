"""CSV text through the whole engine, as the tests of its parts need it."""

from __future__ import annotations

import io

import numpy as np

from kact_cli.formats.csv.blocks import iter_blocks
from kact_cli.formats.csv.cells import RecordError
from kact_cli.formats.csv.dialect import sniff
from kact_cli.formats.csv.parse import parse
from kact_cli.formats.csv.render import render


def same(x):
    return x


def kinds(dialect):
    """What each column is, by the name of its type."""
    return [column.type for column in dialect.columns]


def blocks_of(data, dialect, size=1 << 20):
    stream = io.BytesIO(data[len(dialect.preamble) :])
    return iter_blocks(stream.read, dialect, size=size)


def rewrite(
    data,
    columns=None,
    compute=same,
    *,
    size=1 << 20,
    dtype=np.float64,
    delimiter=None,
    header=None,
    float_format=None,
):
    """The file with `compute` applied to the columns, by name or index; numeric ones if not given.

    Errors in a block are raised as for a user, counted from the file's first record.
    """
    dialect = sniff(data, delimiter=delimiter, header=header, whole=True)
    if columns is None:
        columns = [i for i, kind in enumerate(kinds(dialect)) if kind != "text"]
    columns = sorted(dialect.names.index(c) if isinstance(c, str) else c for c in columns)
    out, records = [dialect.preamble], 0
    lines = dialect.preamble.count(dialect.record_end)
    try:
        for block in blocks_of(data, dialect, size):
            parsed = parse(block, dialect, columns, dtype)
            out.append(bytes(render(parsed, compute(parsed.numbers), float_format)))
            records += parsed.records
            lines += block.data.count(dialect.record_end)
    except RecordError as e:
        raise e.after(records, lines) from None
    return b"".join(out)

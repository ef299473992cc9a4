"""CSV text through the whole engine, as the tests of its parts need it."""

from __future__ import annotations

import io
import tempfile
from functools import partial
from unittest import mock

import numpy as np

from kact_cli.files.source import Source
from kact_cli.formats.csv.blocks import iter_blocks
from kact_cli.formats.csv.render import render
from kact_cli.formats.csv.text import CsvText
from kact_cli.formats.declared import CSV
from kact_cli.options import Options


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
    """The file, called in.csv, with `compute` applied to the columns, by kact's own loop.

    They are given by name or index; if not at all, the numeric ones are taken.
    """
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        source = Source(file.fileno(), "in.csv", None, len(data), owned=False)
        options = Options(delimiter=delimiter, header=header, source_format=CSV.name)
        blocks = partial(iter_blocks, size=size)
        with mock.patch("kact_cli.formats.csv.text.iter_blocks", blocks):
            text = CsvText(source, options)
            dialect = text.dialect
            if columns is None:
                columns = [i for i, kind in enumerate(kinds(dialect)) if kind != "text"]
            columns = sorted(dialect.names.index(c) if isinstance(c, str) else c for c in columns)
            pieces = text.each(
                lambda parsed: bytes(render(parsed, compute(parsed.numbers), float_format)),
                columns,
                dtype=dtype,
                jobs=1,
            )
            return dialect.preamble + b"".join(pieces)

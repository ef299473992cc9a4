"""From one file to another: the file to read first.

`transform` is what `apply`, `chain` and `batch` do in the end. It opens the input (`files.source`),
finds out what it is (`formats.detect`), opens the output under a temporary name (`files.target`)
and hands both to the module that knows the way from the one format to the other:

- `tensor`: .npy to .npy, planned by `engine.plan`, cut into units (`tensor_unit`) that run side by
  side where both ends are files (`tensor_files`) and in order where one is a pipe (`tensor_pipe`);
- `csv`: CSV to CSV, block by block of text (`formats.csv`);
- `parquet`: Parquet to Parquet, column chunk by column chunk (`formats.parquet`);
- `table`: everything else, as record batches from a reader to a writer (`formats.open`).

The arithmetic is `engine` (NumPy in memory) and, for tables, `tables` (Arrow arrays in memory);
what an activation is stands in `activations`, and the grammar of a chain in `chain`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib import import_module

from kact_cli.chain import Chain
from kact_cli.errors import prefixed
from kact_cli.files.source import Source, open_source
from kact_cli.files.target import Target
from kact_cli.formats.declared import Format
from kact_cli.formats.detect import check_tensors, check_typed, detect, output_format
from kact_cli.messages import counted
from kact_cli.options import Options

WAYS = {"npy": "tensor", "csv": "csv", "parquet": "parquet"}
"""The modules of this package that know a way of their own from a format to itself. Every way is
called as `transform(chain, source, found, target, wanted, options)`."""


def transform(
    chain: Chain,
    source: str,
    target: str,
    options: Options,
    *,
    finish: Callable[[Source, Target, Format], None] = lambda _source, _target, _format: None,
) -> None:
    """Apply `chain` to `source` and write `target`: paths, URIs, or `-` for the standard streams.

    `finish` sees both, and the output's format, when all is written and nothing put in place yet.
    Raises a KactError, with the target as it was, when anything goes wrong.
    """
    if options.float_format is not None:
        from kact_cli.formats.csv.floats import check_format

        check_format(options.float_format)
    with contextlib.closing(open_source(source)) as opened:
        found = detect(opened, options.source_format)
        out = Target(target, overwrite=options.overwrite, fsync=options.fsync, source=opened)
        wanted = output_format(out.name, found, options.target_format)
        check_typed(options, [found], [wanted])
        if options.quantize_in or options.quantize_out:
            check_tensors(found, wanted)
        jobs = "a thread for each core" if options.jobs is None else counted(options.jobs, "job")
        options.observer.note(f"{opened.name}: {found.name} to {wanted.name}, {jobs}")
        name = WAYS.get(found.name, "table") if found is wanted else "table"
        if "archive" in (found.kind, wanted.kind):
            name = "archive"
        way = import_module(f"kact_cli.transform.{name}")
        with out:
            with prefixed(opened.name):
                way.transform(chain, opened, found, out, wanted, options)
            finish(opened, out, wanted)
            opened.check_unchanged()
        if out.remark:
            options.observer.warn(out.remark)

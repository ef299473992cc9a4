"""Opening a reader or a writer of any declared format."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.formats.declared import Format
from kact_cli.options import Options

if TYPE_CHECKING:
    import pyarrow as pa

    from kact_cli.formats.archive import ArchiveReader, ArchiveWriter
    from kact_cli.formats.base import TableReader, TableWriter


def open_reader(found: Format, source: Source, options: Options) -> TableReader:
    """What reads `source`, which is of the format `found`, as record batches."""
    reader: TableReader = _load(found.reader)(source, options)
    return reader


def open_writer(
    wanted: Format,
    target: Target,
    schema: pa.Schema,
    computed: Sequence[int],
    options: Options,
    like: TableReader | None = None,
) -> TableWriter:
    """What writes record batches of `schema` to `target` in the format `wanted`.

    `computed` are the positions of the tensor's columns. `like` is the reader of the input, whose
    ways a writer of the same format keeps: codecs, row groups, delimiters.
    """
    writer: TableWriter = _load(wanted.writer)(target, schema, computed, options, like)
    return writer


def archive_reader(found: Format, source: Source, options: Options) -> ArchiveReader:
    """What reads `source` as an archive: as the one member of one, where it is a single tensor."""
    name = found.reader if found.kind == "archive" else "npy_archive:NpyArchiveReader"
    reader: ArchiveReader = _load(name)(source, options)
    return reader


def archive_writer(wanted: Format) -> type[ArchiveWriter]:
    """The class that writes archives of the format `wanted`, or a single tensor like one."""
    name = wanted.writer if wanted.kind == "archive" else "npy_archive:NpyArchiveWriter"
    writer: type[ArchiveWriter] = _load(name)
    return writer


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"kact_cli.formats.{module}"), attribute)

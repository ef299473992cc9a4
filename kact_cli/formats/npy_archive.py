"""A .npy as an archive of one member: on its way into an archive, or out of one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from kact_cli.errors import UsageError
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.formats.archive import ArchiveReader, ArchiveWriter, Member, Result
from kact_cli.formats.npy import Header, NpyTensor, write_header
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.types import dtype_name

NAME = "arr_0"
"""What `numpy.savez` calls an array that it is given without a name."""


class NpyArchiveReader(ArchiveReader):
    """The tensor of a .npy, which may come through a pipe, as the only member."""

    def __init__(self, source: Source, options: Options) -> None:
        self.source = source
        header = NpyTensor.open(source, options.source_dtype).header
        size = header.end - header.offset
        self.members = [
            Member(NAME, header, dtype_name(header.dtype), header.shape, "stored", size)
        ]

    def open(self, index: int) -> Source:
        return self.source

    def called(self, index: int) -> str:
        return self.source.name


class NpyArchiveWriter(ArchiveWriter):
    """The one result as a .npy. Raises UsageError where there are more."""

    def __init__(
        self, target: Target, results: Sequence[Result], options: Options, like: ArchiveReader
    ) -> None:
        if len(results) > 1:
            raise UsageError(
                f"{like.source.name} has {len(results)} tensors to compute, and a .npy holds one; "
                f"--columns chooses: {listed([result.name for result in results])}"
            )
        self._target = target

    @contextlib.contextmanager
    def tensor(self, index: int) -> Iterator[Target]:
        yield self._target

    def copy(self, index: int) -> None:
        raise AssertionError("only what is computed becomes a .npy")

    @staticmethod
    def head(header: Header) -> bytes:
        return write_header(header)

    def close(self) -> None:
        pass

    def abandon(self) -> None:
        pass

"""What reading and writing archives of named tensors have in common, whatever the format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from kact_cli.errors import DataError
from kact_cli.files.source import Source
from kact_cli.files.target import Target
from kact_cli.formats.npy import Header
from kact_cli.messages import display
from kact_cli.options import Options
from kact_cli.tables.columns import Column, Kind, select

LIST_LIMIT = 16 * 1024 * 1024
"""The most bytes that an archive's list of its members may take: it is kept in memory."""


class Member(NamedTuple):
    """A member of an archive: a tensor, or what kact only copies."""

    name: str
    header: Header | None
    """The tensor; its `offset` counts from the start of what `open` gives. None: no such tensor."""
    dtype: str
    """The dtype as the archive's format names it, of what is no tensor what it is."""
    shape: tuple[int, ...] | None
    compression: str
    size: int
    """Bytes in the archive."""
    fault: str = ""
    """Why there is no header, as what follows the member's name in an error."""
    broken: bool = False
    """Whether it would be a tensor, if it could be read: not to be passed over in silence."""

    @property
    def column(self) -> Column:
        """The member as a selection sees it: names are chosen as a table's columns are."""
        kinds = {"f": Kind.FLOAT, "V": Kind.FLOAT, "i": Kind.INTEGER, "u": Kind.INTEGER}
        if self.header is None:
            return Column(self.name, Kind.FLOAT if self.broken else Kind.OTHER, self.fault)
        return Column(self.name, kinds.get(self.header.dtype.kind, Kind.BOOLEAN), self.dtype)


class ArchiveReader(ABC):
    """Reads an archive, a regular file. A subclass takes a `Source` and `Options`.

    Raises DataError where the list of members is broken, or contradicts itself or the file's size.
    """

    source: Source
    members: Sequence[Member]
    """In the order of the archive's list."""

    @abstractmethod
    def open(self, index: int) -> Source:
        """The tensor of a member: a range of the file whose elements start at the header's offset,
        or a stream that stands at the first element. Raises DataError for what is no tensor."""

    def selected(self, options: Options) -> list[int]:
        """The members that the user chose, or the floating ones, or where there are none the
        integers. Raises UsageError for a name that no member has and where nothing is left,
        DataError for a member that is named and no tensor, or broken and not excluded."""
        named = {name.strip() for text in options.columns for name in (text, *text.split(","))}
        for i, member in enumerate(self.members):
            if member.name in named:
                self.tensor(i)
        warn = options.observer.warn
        chosen = select(self.columns, options.columns, options.exclude, warn, "member")
        for i in chosen:
            self.tensor(i)
        return chosen

    def verify(self, index: int, tensor: Source, jobs: int | None) -> None:
        """Raise DataError where a member, a range of the file, is not what its checksum says.

        `tensor` is what `open` has given; it knows the checksums of what has been read of it. An
        archive without checksums has nothing to say.
        """
        return

    @property
    def columns(self) -> Sequence[Column]:
        """The members, by what they hold."""
        return [member.column for member in self.members]

    def facts(self) -> dict[str, Any]:
        """What the archive says of itself beside its members, for `inspect`."""
        return {}

    def column_facts(self) -> list[dict[str, Any]]:
        """What the archive says of each member beside its name and type, for `inspect`."""
        return [
            {"shape": m.shape and list(m.shape), "compression": m.compression, "bytes": m.size}
            for m in self.members
        ]

    def called(self, index: int) -> str:
        """A member, as an error calls it."""
        return f"{self.source.name}, member '{display(self.members[index].name)}'"

    def tensor(self, index: int) -> Header:
        """The header of a member. Raises DataError, saying what it is, where it has none."""
        member = self.members[index]
        if member.header is None:
            raise DataError(f"{self.called(index)} {member.fault}")
        return member.header


class Result(NamedTuple):
    """A member to write: what it is called, and the tensor that it will be.

    `source` is its position among the members of the archive that is read. `header` is None for one
    that is copied as it lies there.
    """

    name: str
    source: int
    header: Header | None


class ArchiveWriter(ABC):
    """Writes an archive's members in order; nothing is whole before `close`.

    A subclass takes a `Target`, the results, `Options`, and the reader of the archive that is read,
    whose ways a writer of the same format keeps. Raises DataError for a tensor that the format
    cannot hold.
    """

    @abstractmethod
    def __init__(
        self, target: Target, results: Sequence[Result], options: Options, like: ArchiveReader
    ) -> None: ...

    @staticmethod
    @abstractmethod
    def head(header: Header) -> bytes:
        """What stands before a tensor's elements."""

    @abstractmethod
    def tensor(self, index: int) -> AbstractContextManager[Target]:
        """Where result number `index` goes: what `head` gives, then its elements."""

    @abstractmethod
    def copy(self, index: int) -> None:
        """Copy the bytes of a member that is not computed from an archive of the same format."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def abandon(self) -> None: ...

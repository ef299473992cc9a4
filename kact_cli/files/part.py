"""A range of an open file as an input or output of its own: what an archive's members are."""

from __future__ import annotations

from typing import Any

from kact_cli.errors import prefixed
from kact_cli.files.descriptors import reserve
from kact_cli.files.source import Source
from kact_cli.files.sums import Sums
from kact_cli.files.target import Target


class SourcePart(Source):
    """`size` bytes of the regular file `whole` from `start` on; closing it leaves the file open."""

    def __init__(self, whole: Source, start: int, size: int, name: str) -> None:
        super().__init__(whole.fd, name, whole.path, size, owned=False, stamp=whole.stamp)
        self.base = whole.base + start

    def _read(self, view: memoryview, offset: int | None = None) -> int:
        assert offset is not None
        assert self.size is not None
        return super()._read(view[: max(0, self.size - offset)], offset)


class TargetPart(Target):
    """The bytes of the regular file `whole` from `start` on.

    `summed`: with their checksums; `reserved`: there is room for them.
    """

    def __init__(
        self, whole: Target, start: int, *, summed: bool = False, reserved: bool = False
    ) -> None:
        super().__init__(whole.name)
        self.name, self.fd, self.path = whole.name, whole.fd, whole.path
        self.base, self.seekable = whole.base + start, True
        self.sums = Sums() if summed else None
        self._reserved = reserved
        self._end = 0

    def allocate(self, size: int) -> None:
        if self._reserved:
            return
        with prefixed(self.name):
            reserve(self.fd, size, self.base)

    def write(self, data: Any, offset: int | None = None) -> None:
        if offset is None:
            offset = self._end
            self._end += memoryview(data).nbytes
        super().write(data, offset)
        if self.sums is not None:
            self.sums.add(self.base + offset, data)

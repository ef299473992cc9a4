"""The safetensors format: a header of JSON, then the tensors' bytes, without holes.

Format (https://github.com/huggingface/safetensors#format): 8 bytes, the length of the header as a
little-endian integer; the header, an object that gives each tensor its `dtype`, `shape` and
`data_offsets` (first and last, exclusive, counted from the end of the header), and may map text to
text under `__metadata__`; then the data, little-endian and in C order.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kact_cli.errors import DataError, prefixed
from kact_cli.files.descriptors import copy_range
from kact_cli.files.part import SourcePart, TargetPart
from kact_cli.files.source import Source
from kact_cli.files.target import Target, as_regular_file, give_up
from kact_cli.formats.archive import LIST_LIMIT, ArchiveReader, ArchiveWriter, Member, Result
from kact_cli.formats.npy import AXES_LIMIT, Header
from kact_cli.messages import display, human
from kact_cli.options import Options
from kact_cli.types import BFLOAT16

DTYPES: dict[str, Any] = {
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "FIU" for size in (2, 4, 8)},
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
    "BF16": BFLOAT16,
}
"""The dtypes that kact computes, and what they are in memory."""
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
METADATA = "__metadata__"
ALIGN = 8
FIELDS = {"dtype", "shape", "data_offsets"}


class SafetensorsReader(ArchiveReader):
    """The tensors of a safetensors file."""

    def __init__(self, source: Source, options: Options) -> None:
        self.source, self._dtype = source, options.source_dtype
        read = source.reader()
        length = int.from_bytes(read(8), "little")
        if length > LIST_LIMIT:
            raise DataError(
                f"{source.name} claims a header of {human(length)}; {human(LIST_LIMIT)} is the "
                "limit"
            )
        text = read(length)
        self._data = 8 + length
        if len(text) < length:
            raise DataError(f"{source.name} ends within its header")
        try:
            header = json.loads(text.decode(), object_pairs_hook=_without_repeats)
            _dumped(header)  # half a surrogate is no text that could be written again
        except (ValueError, RecursionError) as e:
            raise DataError(f"{source.name} has a broken safetensors header: {_line(e)}") from e
        if not isinstance(header, dict):
            raise DataError(f"{source.name} has a safetensors header that is no object")
        self.metadata = header.pop(METADATA, None)
        if not _texts(self.metadata):
            raise DataError(f"{source.name} has metadata that are not texts")
        self.names = list(header)
        self.offsets = [self._offsets(name, header[name]) for name in self.names]
        self.members = [
            self._member(name, header[name], offsets)
            for name, offsets in zip(self.names, self.offsets, strict=True)
        ]
        self._refuse_holes()

    def open(self, index: int) -> Source:
        self.tensor(index)
        first, last = self.offsets[index]
        return SourcePart(self.source, self._data + first, last - first, self.called(index))

    def facts(self) -> dict[str, Any]:
        return {"metadata": self.metadata} if self.metadata else {}

    def _offsets(self, name: str, entry: Any) -> tuple[int, int]:
        sound = isinstance(entry, dict) and entry.keys() == FIELDS
        if sound and _sizes(entry["data_offsets"]) and len(entry["data_offsets"]) == 2:
            first, last = entry["data_offsets"]
            if first <= last:
                return first, last
        raise DataError(f"{self.source.name}, member '{display(name)}' has a broken entry")

    def _member(self, name: str, entry: Any, offsets: tuple[int, int]) -> Member:
        dtype, shape = entry["dtype"], entry["shape"]
        size = offsets[1] - offsets[0]
        if not isinstance(dtype, str) or not _sizes(shape):
            raise DataError(f"{self.source.name}, member '{display(name)}' has a broken entry")
        header, fault = None, f"has dtype {display(dtype)[:40]}, which kact does not compute"
        broken = False
        if dtype in DTYPES and len(shape) > AXES_LIMIT:
            fault = f"has {len(shape)} axes; {AXES_LIMIT} is the limit"
            broken = np.dtype(DTYPES[dtype]).kind in "fV"
        elif dtype in DTYPES:
            header = Header(np.dtype(DTYPES[dtype]), tuple(shape), False).taken_for(self._dtype)
            if header.end != size:
                raise DataError(
                    f"{self.source.name}, member '{display(name)}' has {size:,} bytes, and its "
                    f"dtype and shape say {header.end:,}"
                )
        return Member(name, header, dtype, tuple(shape), "stored", size, fault, broken)

    def _refuse_holes(self) -> None:
        """Raise DataError where the tensors do not lie one after another to the end of the file."""
        end = 0
        for (first, last), name in sorted(zip(self.offsets, self.names, strict=True)):
            if first != end:
                how = "overlaps the one before it" if first < end else "has a hole before it"
                raise DataError(f"{self.source.name}, member '{display(name)}' {how}")
            end = last
        size = (self.source.size or 0) - self._data
        if end != size:
            how = "is truncated" if end > size else "has bytes after its last tensor"
            raise DataError(
                f"{self.source.name} {how}: {size:,} bytes of data, {end:,} in its list"
            )

    def data(self, index: int) -> int:
        """Where a member's data starts in the file."""
        return self._data + self.offsets[index][0]


class SafetensorsWriter(ArchiveWriter):
    """Writes the tensors to a regular file, which is copied into a pipe; the header is known."""

    def __init__(
        self,
        target: Target,
        results: Sequence[Result],
        options: Options,
        like: ArchiveReader,
    ) -> None:
        self._results = results
        self._like = like if isinstance(like, SafetensorsReader) else None
        entries, self._starts, size = self._laid_out()
        text = _dumped(entries)
        text += b" " * (-len(text) % ALIGN)
        self._text = len(text).to_bytes(8, "little") + text
        self._stack = contextlib.ExitStack()
        self._out = self._stack.enter_context(as_regular_file(target))
        self._out.allocate(len(self._text) + size)

    def _laid_out(self) -> tuple[dict[str, Any], list[int], int]:
        """The entries of the header in their order, and where each tensor starts."""
        order = list(range(len(self._results)))
        if self._like is not None:  # data keeps its order, which need not be that of the header
            like = self._like
            order = sorted(order, key=lambda i: like.offsets[self._results[i].source])
        described = [self._described(result) for result in self._results]
        starts, at = [0] * len(described), 0
        for i in order:
            size = described[i][2]
            starts[i], at = at, at + size
        entries: dict[str, Any] = {}
        if self._like is not None and self._like.metadata is not None:
            entries[METADATA] = self._like.metadata
        for result, fields, start in zip(self._results, described, starts, strict=True):
            dtype, shape, size = fields
            entries[self._called(result)] = {
                "dtype": dtype,
                "shape": list(shape),
                "data_offsets": [start, start + size],
            }
        return entries, starts, at

    def _called(self, result: Result) -> str:
        return result.name if self._like is None else self._like.names[result.source]

    def _described(self, result: Result) -> tuple[str, Sequence[int], int]:
        header = result.header
        if header is None:
            assert self._like is not None
            member = self._like.members[result.source]
            return member.dtype, member.shape or (), member.size
        if header.fortran_order and sum(n > 1 for n in header.shape) > 1:
            raise DataError(
                f"'{display(result.name)}' is in Fortran order, which safetensors does not have; "
                "numpy.ascontiguousarray makes it C order"
            )
        if header.dtype not in NAMES:
            raise DataError(
                f"'{display(result.name)}' is {header.dtype.str}, which safetensors does not have"
            )
        return NAMES[header.dtype], header.shape, header.end - header.offset

    @staticmethod
    def head(header: Header) -> bytes:
        return b""

    @contextlib.contextmanager
    def tensor(self, index: int) -> Iterator[Target]:
        yield TargetPart(self._out, self._start(index), reserved=True)

    def _start(self, index: int) -> int:
        return len(self._text) + self._starts[index]

    def copy(self, index: int) -> None:
        assert self._like is not None
        source = self._results[index].source
        start, size = self._like.data(source), self._like.members[source].size
        with prefixed(self._like.called(source), between=" "):
            copy_range(self._like.source.fd, start, size, self._out.fd, self._start(index))

    def close(self) -> None:
        # Last, so that a run that is killed half-way leaves nothing that looks whole
        self._out.write(memoryview(self._text), 0)
        self._stack.close()

    def abandon(self) -> None:
        give_up(self._stack)


def _dumped(header: Any) -> bytes:
    return json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"'{display(name)}' is there twice")
            seen.add(name)
    return found


def _sizes(value: Any) -> bool:
    """Whether this is a list of sizes or offsets."""
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _texts(value: Any) -> bool:
    """Whether this is what the format has for metadata: nothing, or texts by name."""
    return value is None or (
        isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

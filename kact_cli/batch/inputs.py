"""From what the user named to the files that will be read, and what each becomes."""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from kact_cli.errors import DataError, UsageError, reason
from kact_cli.files import object_store as remote
from kact_cli.files.object_store import Uri
from kact_cli.formats.declared import Format
from kact_cli.formats.detect import by_suffix
from kact_cli.messages import display

GLOB = re.compile(r"[*?\[]")
Place = Uri | str
"""A directory or file: a URI, or a local path."""


@dataclass(frozen=True)
class Item:
    """One file: where it is, where its result goes, its size in bytes, whether a result exists.

    `changed` is when the input was last modified, in nanoseconds; None where nobody knows.
    """

    source: str
    target: str
    size: int
    exists: bool = False
    changed: int | None = None

    @property
    def name(self) -> str:
        """The input, as it can be shown."""
        return shown(self.source)


@dataclass(frozen=True)
class Selection:
    """Which files take part.

    Patterns are shell globs, compared with the path from the directory and with the last name of
    it; a file that was named itself has but a name. Without any, of a directory the files whose
    suffix is that of a format. Names in a directory that start with a dot never.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, relative: str) -> bool:
        parts = relative.split("/")
        if any(part.startswith(".") for part in parts) or self.leaves(relative):
            return False
        if self.include:
            return _matches(relative, self.include)
        return by_suffix(relative) is not None

    def takes_named(self, name: str) -> bool:
        return (not self.include or _matches(name, self.include)) and not self.leaves(name)

    def leaves(self, relative: str) -> bool:
        return _matches(relative, self.exclude)


def _matches(relative: str, patterns: Sequence[str]) -> bool:
    name = relative.rpartition("/")[2]
    return any(fnmatchcase(relative, p) or fnmatchcase(name, p) for p in patterns)


def shown(place: Place) -> str:
    """A path or URI as it can be shown on one line, a URI without its query."""
    parsed = remote.parse(place) if isinstance(place, str) else place
    return display(str(parsed))


def join(directory: Place, relative: str) -> Place:
    """A path below a directory."""
    if isinstance(directory, Uri):
        return directory / relative
    return os.path.join(directory, relative)


def text_of(place: Place) -> str:
    """What `remote.parse` gives the place back from."""
    return place.text if isinstance(place, Uri) else place


def find(
    inputs: Sequence[str], output: Place, selection: Selection, wanted: Format | None
) -> list[Item]:
    """Every file that the inputs name, with its output below `output`, the largest first.

    A file's output keeps its name, and one found in a directory its path from there; `wanted`
    changes the suffix. Raises UsageError where two files would become one, or an output is an
    input; DataError for what cannot be read.
    """
    there = _existing(output)
    items: dict[str, Item] = {}
    for given in inputs:
        for source, relative, size, changed in _expand(remote.parse(given), output, selection):
            relative = _renamed(relative, wanted)
            text = text_of(source)
            if relative in items:
                if items[relative].source == text:
                    continue
                raise UsageError(
                    f"{items[relative].name} and {shown(source)} would both become "
                    f"{shown(join(output, relative))}"
                )
            target = join(output, relative)
            exists = relative in there if there is not None else os.path.exists(str(target))
            items[relative] = Item(text, text_of(target), size, exists, changed)
    _check(items)
    return sorted(items.values(), key=lambda item: (-item.size, item.target))


def _expand(
    given: Place, output: Place, selection: Selection
) -> Iterator[tuple[Place, str, int, int | None]]:
    """The files that one INPUT names: where each is, its path in the output, its size, its age."""
    if isinstance(given, Uri):
        found = remote.look(given) if given.path else remote.Found(given, None)
        if found is None:
            for place in _globbed_uri(given):
                yield from _expand(place, output, selection)
            return
        if found.size is not None:
            name = given.path.rpartition("/")[2]
            if selection.takes_named(name):
                yield given, name, found.size, found.changed
            return
        # Where the output is below the input, what was made before is no input
        inside = _inside(given, output)
        for relative, size, changed in remote.listing(given):
            if selection.takes(relative) and not (inside and relative.startswith(inside)):
                yield given / relative, relative, size, changed
        return
    if GLOB.search(given) and not os.path.lexists(given):
        for path in sorted(_globbed(given)):
            yield from _expand(path, output, selection)
        return
    try:
        status = os.stat(given)
        if not stat.S_ISDIR(status.st_mode):
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{display(given)}: is no regular file; batch reads files")
            name = os.path.basename(given)
            if selection.takes_named(name):
                yield given, name, status.st_size, status.st_mtime_ns
            return
    except (OSError, ValueError) as e:
        raise DataError(f"{display(given)}: {_said(e)}") from e
    skip = os.stat(output) if isinstance(output, str) and os.path.isdir(output) else None
    yield from _walk(given, selection, skip)


def _globbed(pattern: str) -> list[str]:
    """What a glob that no shell has expanded names. Raises DataError where that is nothing."""
    from pathlib import Path

    parts = pattern.split("/")
    fixed = list(itertools.takewhile(lambda part: not GLOB.search(part), parts))
    top = Path("/".join(fixed) + "/" if fixed else ".")
    below = "/".join(parts[len(fixed) :])
    hidden = "/." in f"/{below}"  # a star stands for no dot at the start of a name
    found = [
        str(path)
        for path in top.glob(below)
        if hidden or not any(part.startswith(".") for part in path.relative_to(top).parts)
    ]
    if not found:
        raise DataError(f"{shown(pattern)}: no such file, and no file matches")
    return found


def _globbed_uri(pattern: Uri) -> list[Uri]:
    """The same for a URI, whose fixed part is listed."""
    parts = pattern.path.split("/")
    fixed = list(itertools.takewhile(lambda part: not GLOB.search(part), parts))
    top = replace(pattern, path="/".join(fixed))
    if len(fixed) == len(parts):
        raise DataError(f"{shown(pattern)}: no such file or directory")
    wanted = parts[len(fixed) :]
    found = [top / path for path, *_ in remote.listing(top) if _fits(path.split("/"), wanted)]
    if not found:
        raise DataError(f"{shown(pattern)}: no such file, and no file matches")
    return found


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether a path's parts match those of a pattern, where `**` stands for any number of them."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_fits(parts[n:], wanted[1:]) for n in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])


def _said(error: Exception) -> str:
    return reason(error) if isinstance(error, OSError) else str(error)


def _inside(directory: Uri, output: Place) -> str | None:
    if not isinstance(output, Uri):
        return None
    same = (directory.scheme, directory.authority) == (output.scheme, output.authority)
    start = f"{directory.path.rstrip('/')}/".lstrip("/")
    path = f"{output.path.rstrip('/')}/"
    return path[len(start) :] if same and path.startswith(start) and path != start else None


def _walk(
    top: str, selection: Selection, skip: os.stat_result | None
) -> Iterator[tuple[str, str, int, int]]:
    """The files below a directory, in the order of their names; links to directories are left.

    `skip` is a directory that takes no part.
    """
    try:
        ahead = _entries(top, "")
        while ahead:
            relative, entry = ahead.pop()
            if entry.is_dir(follow_symlinks=False):
                hidden = entry.name.startswith(".") or selection.leaves(relative)
                if not hidden and not (skip and os.path.samestat(entry.stat(), skip)):
                    ahead += _entries(entry.path, relative)
            elif selection.takes(relative) and (status := _status(entry)) is not None:
                yield entry.path, relative, status.st_size, status.st_mtime_ns
    except OSError as e:
        raise DataError(f"{display(e.filename or top)}: {reason(e)}") from e


def _entries(path: str, below: str) -> list[tuple[str, os.DirEntry[str]]]:
    """What is in a directory, the first name last; before each, its path: `below` and the name."""
    with os.scandir(path) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name, reverse=True)
    return [(os.path.join(below, entry.name), entry) for entry in ordered]


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What there is to know of a file; None for what is none.

    Of what cannot be followed, such as a link to itself, it is the link's: its turn will fail.
    """
    try:
        return entry.stat() if entry.is_file() else None
    except OSError:
        return entry.stat(follow_symlinks=False)


def _renamed(relative: str, wanted: Format | None) -> str:
    """The path of the output: its suffix is that of the wanted format."""
    found = by_suffix(relative)
    if wanted is None or found is wanted:
        return relative
    if found is not None:
        suffix = max((s for s in found.suffixes if relative.lower().endswith(s)), key=len)
        relative = relative[: -len(suffix)]
    return relative + wanted.suffixes[0]


def _existing(output: Place) -> set[str] | None:
    """What there is below an output in an object store; None for a local one, asked file by file.

    Raises UsageError where the output is a file.
    """
    if isinstance(output, Uri):
        return {relative for relative, *_ in remote.listing(output)}
    if os.path.exists(output) and not os.path.isdir(output):
        raise UsageError(f"--output-dir {display(output)} is not a directory")
    return None


def _check(items: dict[str, Item]) -> None:
    """No output lies below another, or is an input: a chain would be applied to it twice."""
    for relative, item in items.items():
        above = os.path.dirname(relative)
        while above:
            if above in items:
                raise UsageError(
                    f"{items[above].name} would become a file and {item.name} needs "
                    f"{shown(items[above].target)} to be a directory"
                )
            above = os.path.dirname(above)
    sources = {identity(item.source): item for item in items.values()}
    for item in items.values():
        other = sources.get(identity(item.target)) if item.exists else None
        if other is not None:
            raise UsageError(f"{shown(item.target)} is an input; choose another --output-dir")


def identity(text: str) -> str:
    """The same for every name of a file, save for hard links."""
    return text if remote.is_uri(text) else os.path.realpath(text)

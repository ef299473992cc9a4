"""What made the outputs in a directory: `.kact-batch.json` beside them.

It is written before any work, so that what an interrupted run left is known for what it is. Outputs
of another chain, other options or another kact are never mixed with those that are there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_origin, get_type_hints

from kact_cli.batch.inputs import Item, Place, join, shown, text_of
from kact_cli.chain import Chain
from kact_cli.errors import DataError, ExistsError, UsageError, reason
from kact_cli.files import object_store as remote
from kact_cli.files.descriptors import opened
from kact_cli.files.object_store import Uri
from kact_cli.files.target import Target
from kact_cli.options import Options
from kact_cli.version import version

NAME = ".kact-batch.json"
_NOT_IN_THE_BYTES = {"observer", "typed", "jobs", "max_unit", "overwrite", "fsync"}
"""Options that change nothing in an output."""
_FLAGS = {"source_format": "from", "target_format": "to", "chunk_bytes": "chunk-size"}


@dataclass(frozen=True)
class Manifest:
    """The chain, the options that show in the outputs, and kact's version.

    Outputs go by their paths in the directory. `to_replace` are those that an unfinished run with
    --overwrite has not replaced: what is there may be an old one. `inputs` are the size and the
    time of modification (ns) of what each output was made from.
    """

    kact: str
    chain: str
    options: dict[str, Any]
    to_replace: list[str] = field(default_factory=list)
    inputs: dict[str, list[int | None]] = field(default_factory=dict)

    @classmethod
    def make(cls, chain: Chain, options: Options) -> Manifest:
        return cls(version(), str(chain), options_in(options))


def options_in(options: Options) -> dict[str, Any]:
    """The options that differ from their defaults and show in the outputs, as JSON has them."""
    found = {}
    for option in dataclasses.fields(options):
        value = getattr(options, option.name)
        if option.name in _NOT_IN_THE_BYTES or value is None or value == ():
            continue
        simple = isinstance(value, str | int | float | bool)
        found[option.name] = list(value) if isinstance(value, tuple) else value
        if not simple and not isinstance(value, tuple):
            found[option.name] = str(value)
    return found


def load(directory: Place) -> Manifest | None:
    """The manifest of an output directory, or None. Raises DataError for a broken one."""
    place = join(directory, NAME)
    try:
        data = remote.read_bytes(place) if isinstance(place, Uri) else _read(place)
        if data is None:
            return None
        fields = json.loads(data)
        names = [f.name for f in dataclasses.fields(Manifest)]
        found = Manifest(**{name: fields[name] for name in names if name in fields})
        for name, hint in get_type_hints(Manifest).items():
            if not isinstance(getattr(found, name), get_origin(hint) or hint):
                raise TypeError(name)
        if not all(isinstance(name, str) for name in found.to_replace):
            raise TypeError("to_replace")
        return found
    except OSError as e:
        raise DataError(f"{shown(place)}: {reason(e)}") from e
    except (ValueError, TypeError, KeyError, RecursionError) as e:
        raise DataError(f"{shown(place)} is broken; remove it with the outputs beside it") from e


def _read(path: str) -> bytes | None:
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()
    return None


@contextlib.contextmanager
def _held(directory: Place) -> Iterator[None]:
    """Let no other run write the manifest meanwhile; make the directory where there is none.

    In an object store, and on a file system without locks, others may.
    """
    if isinstance(directory, Uri):
        yield
        return
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as e:
        raise DataError(f"{shown(directory)}: {reason(e)}") from e
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            fcntl.flock(stack.enter_context(opened(directory, os.O_RDONLY)), fcntl.LOCK_EX)
        yield


class OutputDirectory:
    """An output directory: what made the outputs in it, and what is about to make more.

    Others may begin, end and work there at the same time, if what they make is of the same making.
    """

    def __init__(self, place: Place, made: Manifest) -> None:
        """Read the manifest. Raises UsageError where the outputs are of another making."""
        self.place = place
        self.made = made
        self._known = self._read()
        self._begun = False

    def _read(self) -> bool:
        """Take the manifest as it is by now; False where there is none.

        Raises UsageError where the outputs are of another making.
        """
        found = load(self.place)
        if found is None:
            return False
        _check_same(found, self.made, shown(self.place))
        self.made = found
        return True

    def _write(self, *, overwrite: bool = True, **changes: Any) -> None:
        """Write the manifest with these changes, whole or not at all.

        Raises ExistsError for one that is there and not to be lost.
        """
        self.made = dataclasses.replace(self.made, **changes)
        text = json.dumps(dataclasses.asdict(self.made), indent=2) + "\n"
        with Target(text_of(join(self.place, NAME)), overwrite=overwrite) as target:
            target.write(memoryview(text.encode()))

    def choose(
        self, items: Sequence[Item], *, skip_existing: bool, overwrite: bool, update: bool = False
    ) -> tuple[list[Item], list[Item]]:
        """Which items are to be done, and which are left because their outputs exist.

        `update` is to skip what exists, save for outputs whose inputs have changed. Raises
        UsageError where neither may be, or where what would be left may be old.
        """
        existing = [item for item in items if item.exists]
        if not existing or overwrite:
            return list(items), []
        target = shown(existing[0].target)
        if not (skip_existing or update):
            raise UsageError(
                f"{target} exists; --skip-existing leaves what is there, --update makes again what "
                "has changed, --overwrite replaces it"
            )
        if not self._known:
            where = shown(self.place)
            raise UsageError(
                f"{target} exists, and what made it is not known: there is no {NAME} in {where}"
            )
        old = set(self.made.to_replace)
        for item in existing:
            if self._relative(item) in old:
                raise UsageError(
                    f"{shown(item.target)} may be an old one: a run with --overwrite was not "
                    "finished; give --overwrite again"
                )
        left = [item for item in existing if not (update and self.is_stale(item))]
        kept = {item.target for item in left}
        return [item for item in items if item.target not in kept], left

    def is_stale(self, item: Item) -> bool:
        """Whether the input has changed since the output was made."""
        known = self.made.inputs.get(self._relative(item))
        if known is not None:
            return known != [item.size, item.changed]
        # Of a run that was killed, nothing is recorded: the output is older than its input, or not
        made = _modified(item.target)
        return made is not None and item.changed is not None and made < item.changed

    def _relative(self, item: Item) -> str:
        return str(remote.parse(item.target)).removeprefix(str(self.place)).lstrip("/")

    def begin(self, items: Iterable[Item], *, overwrite: bool) -> None:
        """Write the manifest, before any of the items is done.

        Raises UsageError where a run of another making has begun meanwhile.
        """
        old = {self._relative(item) for item in items if overwrite and item.exists}
        with _held(self.place):
            if not self._read():
                with contextlib.suppress(ExistsError):
                    self._write(overwrite=False, to_replace=sorted(old))
                    self._begun = True
                self._read()  # where nothing was held, another run may have been faster
            if not old.issubset(self.made.to_replace):
                self._write(to_replace=sorted(old.union(self.made.to_replace)))

    def end(self, done: Iterable[Item]) -> None:
        """Record what was `done`: its inputs, and that it is not to be replaced any more.

        Where nothing was done, a manifest that this run has begun is removed again.
        """
        new = {self._relative(item): [item.size, item.changed] for item in done}
        with _held(self.place):
            if new:
                self._read()
                self._write(
                    inputs={**self.made.inputs, **new},
                    to_replace=[name for name in self.made.to_replace if name not in new],
                )
            elif self._begun and not isinstance(self.place, Uri):
                _remove_alone(self.place)


def _remove_alone(directory: str) -> None:
    """Remove the manifest of a directory in which nothing was made: a mended command may do it."""
    with contextlib.suppress(OSError):
        if os.listdir(directory or os.curdir) == [NAME]:
            os.unlink(os.path.join(directory, NAME))


def _modified(target: str) -> int | None:
    """When an output was last modified, in nanoseconds."""
    place = remote.parse(target)
    if isinstance(place, Uri):
        found = remote.look(place)
        return None if found is None else found.changed
    with contextlib.suppress(OSError):
        return os.stat(place).st_mtime_ns
    return None


def _check_same(old: Manifest, new: Manifest, where: str) -> None:
    """Refuse to mix outputs of different making. Raises UsageError."""
    differences: list[tuple[str, Any, Any]] = [
        ("the chain", old.chain, new.chain),
        ("kact", old.kact, new.kact),
    ]
    for name in sorted({*old.options, *new.options}):
        flag = f"--{_FLAGS.get(name, name.replace('_', '-'))}"
        differences.append((flag, old.options.get(name), new.options.get(name)))
    for what, was, is_ in differences:
        if was != is_:
            raise UsageError(
                f"{where} holds outputs of another run: there {what} is {_value(was)}, here "
                f"{_value(is_)}; choose another --output-dir, or remove its outputs and its {NAME}"
            )


def _value(value: object) -> str:
    return "the default" if value is None else str(value)

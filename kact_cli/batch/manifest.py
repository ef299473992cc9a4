"""What made the outputs in a directory: `.kact-batch.json` beside them.

It is written before any work, so that what an interrupted run left is known for what it is. Outputs
of another chain, other options or another kact are never mixed with those that are there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from dataclasses import dataclass
from typing import Any

from kact_cli.batch.inputs import Place, join, shown
from kact_cli.chain import Chain
from kact_cli.errors import DataError, UsageError, reason
from kact_cli.files import object_store as remote
from kact_cli.files.object_store import Uri
from kact_cli.files.target import Target
from kact_cli.options import Options
from kact_cli.version import version

NAME = ".kact-batch.json"
_NOT_IN_THE_BYTES = {"observer", "typed", "jobs", "overwrite", "fsync"}
"""Options that change nothing in an output."""
_FLAGS = {"source_format": "from", "target_format": "to", "chunk_bytes": "chunk-size"}


@dataclass(frozen=True)
class Manifest:
    """The chain, the options that show in the outputs, and kact's version.

    `replacing` is true while a run with --overwrite is unfinished: until then an output that is
    there may be an old one.
    """

    kact: str
    chain: str
    options: dict[str, Any]
    replacing: bool = False

    @classmethod
    def make(cls, chain: Chain, options: Options) -> Manifest:
        return cls(version(), str(chain), options_in(options))


def options_in(options: Options) -> dict[str, Any]:
    """The options that differ from their defaults and show in the outputs, as JSON has them."""
    found = {}
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.name in _NOT_IN_THE_BYTES or value is None or value == ():
            continue
        simple = isinstance(value, str | int | float | bool)
        found[field.name] = list(value) if isinstance(value, tuple) else value
        if not simple and not isinstance(value, tuple):
            found[field.name] = str(value)
    return found


def load(directory: Place) -> Manifest | None:
    """The manifest of an output directory, or None. Raises DataError for a broken one."""
    place = join(directory, NAME)
    try:
        data = remote.read_bytes(place) if isinstance(place, Uri) else _read(place)
        if data is None:
            return None
        fields = json.loads(data)
        return Manifest(**{f.name: fields[f.name] for f in dataclasses.fields(Manifest)})
    except OSError as e:
        raise DataError(f"{shown(place)}: {reason(e)}") from e
    except (ValueError, TypeError, KeyError) as e:
        raise DataError(f"{shown(place)} is broken; remove it with the outputs beside it") from e


def _read(path: str) -> bytes | None:
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()
    return None


def save(directory: Place, manifest: Manifest) -> None:
    """Write the manifest, whole or not at all, and make the directory where there is none."""
    text = json.dumps(dataclasses.asdict(manifest), indent=2) + "\n"
    place = join(directory, NAME)
    if isinstance(place, Uri):
        remote.write_bytes(place, text.encode())
        return
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
    except OSError as e:
        raise DataError(f"{shown(directory)}: {reason(e)}") from e
    with Target(place, overwrite=True) as target:
        target.write(memoryview(text.encode()))


def check(old: Manifest | None, new: Manifest, directory: Place, *, skip: bool) -> None:
    """Refuse to mix outputs of different making.

    `skip`: outputs that exist are to be kept. Raises UsageError that says what differs.
    """
    where = shown(directory)
    if old is None:
        return
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
                f"{_value(is_)}; choose another --output-dir"
            )
    if skip and old.replacing:
        raise UsageError(
            f"in {where} a run with --overwrite was not finished: which outputs are new is not "
            f"known; give --overwrite again"
        )


def _value(value: object) -> str:
    return "the default" if value is None else str(value)

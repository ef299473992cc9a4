"""Activations of other packages, found by their entry points in the group `kact.activations`.

An entry point has the activation's name, in any spelling, and names its kernel:

    [project.entry-points."kact.activations"]
    squared_relu = "my_package:squared_relu"

Nothing is looked for, and no code imported, before a name turns up that is none of kact's own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kact_cli.activations.registry import ACTIVATIONS, Activation, Kernel, declared_as, spelled
from kact_cli.errors import KactError, PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "kact.activations"


def find(name: str) -> Activation | None:
    """The activation of that name, in any spelling of one of its names; None where there is none.

    Raises PluginError, in one line, for a plug-in that cannot be loaded.
    """
    name = spelled(name)
    found = declared_as(name)
    if found is not None and (found.own or found.package):
        return found
    # A module that another name has loaded may have declared it
    found = plugin(found.name if found is not None else name) or found
    if found is None and name.isidentifier() and not name.startswith("_"):
        for _ in plugins():  # which join the table: it may be an alias
            pass
        found = declared_as(name)
    return found


def plugin(name: str) -> Activation | None:
    """The activation `name` of another package, or None.

    Raises PluginError, in one line, for one that cannot be loaded.
    """
    if not name.isidentifier() or name.startswith("_"):
        return None
    found = [entry for entry in _entries() if spelled(entry.name) == name]
    if len(found) > 1:
        packages = " and ".join(sorted(map(_package, found)))
        raise PluginError(f"activation '{name}' is declared by {packages}: uninstall one of them")
    return _load(found[0]) if found else None


def plugins() -> Iterator[Activation | PluginError]:
    """Every activation of another package, or the error that says why it cannot be loaded."""
    for entry in sorted(_entries(), key=lambda e: (_package(e), e.name)):
        name = spelled(entry.name)
        known = declared_as(name)
        if known is not None and known.own:
            yield _broken(entry, "kact has an activation of that name")
            continue
        try:
            found = plugin(name)
        except PluginError as e:
            yield e
        else:
            if found is not None:
                yield found


def _entries() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return list(entry_points(group=GROUP))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown package"


def _broken(entry: EntryPoint, why: str) -> PluginError:
    why = " ".join(why.split())
    return PluginError(f"plug-in '{entry.name}' of {_package(entry)} is broken: {why}")


def _load(entry: EntryPoint) -> Activation:
    name = spelled(entry.name)
    known = ACTIVATIONS.get(name)
    if known is None or not known.package:
        try:
            kernel = entry.load()
        except Exception as e:
            raise _broken(entry, f"{type(e).__name__}: {e}") from e
        known = ACTIVATIONS.get(name)
        if known is None or known.kernel is not kernel:
            raise _broken(entry, f"{entry.value} is no kernel '{name}' under @activation")
        try:
            assert known.parameters is not None
            assert known.formula
        except (TypeError, AttributeError, NameError, IndexError, AssertionError) as e:
            raise _broken(entry, f"{type(e).__name__}: {e}") from e
        known.package = _package(entry)
        known.group = "Plug-ins"
        known.kernel = _guarded(known.kernel, entry)
    return known


def _guarded(kernel: Kernel, entry: EntryPoint) -> Kernel:
    """The kernel, whose exceptions say in one line whose they are."""

    @functools.wraps(kernel)
    def guarded(*args: Any, **values: Any) -> None:
        try:
            kernel(*args, **values)
        except (KactError, MemoryError):
            raise
        except Exception as e:
            raise _broken(entry, f"{type(e).__name__}: {e}") from e

    return guarded

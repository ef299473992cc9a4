"""Imports go one way, and little is imported at the start."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kact_cli
from tests.tools.run import environment

PACKAGE = Path(kact_cli.__file__).parent
# A folder, or a module beside the folders, imports what stands in the lines above its own.
FLOORS = (
    ("cleanup", "errors", "numbers", "types", "version"),
    ("options",),
    ("activations",),
    ("messages",),
    ("chain", "files", "parallel"),
    ("engine",),
    ("tables",),
    ("formats",),
    ("transform",),
    ("reports", "golden"),
    ("batch",),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# What only one folder may know of.
ALONE = {
    "cli": {"click", "rich"},
    "parallel": {"concurrent", "multiprocessing", "subprocess", "dask", "distributed"},
}


def modules() -> dict[str, Path]:
    """Every module by its name within the package; a folder's `__init__` by the folder's."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(p for p in parts if p != "__init__")] = path
    return found


MODULES = modules()


def imported(path: Path) -> list[str]:
    """Everything that a module imports, be it in a function or for its types."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def arrows(name: str) -> set[str]:
    """The modules of the package that the module `name` imports."""
    found = set()
    for target in imported(MODULES[name]):
        other = target.removeprefix("kact_cli.")
        if other == target:
            continue
        while other and other not in MODULES:
            other = other.rpartition(".")[0]
        found.add(other)
    return found - {"", name}


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_go_down(name: str) -> None:
    room = name.partition(".")[0]
    for other in arrows(name):
        below = other.partition(".")[0]
        assert below == room or FLOOR[below] < FLOOR[room], f"{name} imports {other}"


def test_no_module_leads_back_to_itself() -> None:
    left = {name: arrows(name) for name in MODULES}
    while free := [name for name, below in left.items() if not below & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"a circle among {sorted(left)}"


@pytest.mark.parametrize("room", ALONE)
def test_only_one_folder_knows(room: str) -> None:
    for name, path in MODULES.items():
        if name.partition(".")[0] != room:
            known = {target.partition(".")[0] for target in imported(path)}
            assert not known & ALONE[room], name


def loaded(*args: str) -> set[str]:
    """The modules that a run of kact has loaded by its end."""
    code = (
        "import os, sys; from kact_cli.cli import main; end = os._exit\n"
        "def leave(code):\n"
        "    sys.stderr.write(' '.join(sys.modules)); sys.stderr.flush(); end(code)\n"
        "os._exit = leave; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("chain", ["relu", "softmax", "softmax(axis=0)"])
def test_small_files_need_numpy_and_click_alone(chain: str, tmp_path: Path) -> None:
    np.save(tmp_path / "tiny.npy", np.ones((3, 3), "f4"))
    got = loaded("chain", chain, str(tmp_path / "tiny.npy"), str(tmp_path / "out.npy"))
    heavy = {"pyarrow", "rich", "dask", "concurrent.futures", "multiprocessing", "asyncio"}
    assert not got & heavy
    assert {"numpy", "click"} <= got


@pytest.mark.parametrize(
    "args", [("--help",), ("--version",), (), ("apply", "--help"), ("list",), ("list", "relu")]
)
def test_help_needs_no_numpy(args: tuple[str, ...]) -> None:
    got = loaded(*args)
    assert not got & {"pyarrow", "rich", "multiprocessing", "concurrent.futures"}
    if args in (("--help",), ("--version",), ()):
        assert "numpy" not in got

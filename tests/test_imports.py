"""Imports go one way, and little is imported at the start."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kact_cli
from tests.conftest import environment

PACKAGE = Path(kact_cli.__file__).parent
# A module imports what stands before it, and never what comes after.
ORDER = [
    "errors",
    "activations",
    "chain",
    "layout",
    "plan",
    "float16",
    "engine",
    "summary",
    "ulp",
    "curve",
    "columns",
    "parts",
    "arrays",
    "compute",
    "storage",
    "target",
    "formats",
    "workers",
    "execute",
    "estimate",
    "stream",
    "tensor",
    "table",
    "text",
    "tabular",
    "explain",
    "numbers",
    "inspect",
    "advice",
    "preview",
    "compare",
    "remote",
    "batch",
    "cli",
]
# What a module imports from further down, and only when a function is called: `stream` hands each
# kind of input to its module, and `Chain.__call__` is the library's face.
LATE = {("stream", "tensor"), ("stream", "tabular"), ("chain", "engine")}
# Threads are no processes, but who has them is written down.
THREADS = {"workers", "execute", "formats.parquet_chunks", "batch.cluster"}
PROCESSES = {"workers", "batch.crew", "batch.cluster"}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__").removesuffix("__init__")] = path
    return found


def layer(module: str) -> int:
    """Where in ORDER a module stands: by its own name, or by its package's."""
    while module not in ORDER:
        assert "." in module, f"{module} has no place in ORDER"
        module = module.rpartition(".")[0]
    return ORDER.index(module)


def imported(path: Path, *, types: bool = False) -> list[tuple[str, bool]]:
    """What a module imports, and whether only when a function of it is called."""
    tree = ast.parse(path.read_text())
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        above, late, only_types = node, False, False
        while above in parents:
            above = parents[above]
            late |= isinstance(above, ast.FunctionDef)
            only_types |= isinstance(above, ast.If) and "TYPE_CHECKING" in ast.unparse(above.test)
        if types or not only_types:
            found += [(name, late) for name in names]
    return found


@pytest.mark.parametrize("name", [n for n in modules() if n not in ("", "__main__")])
def test_imports_go_down(name: str) -> None:
    known = modules()
    for target, late in imported(known[name]):
        if not target.startswith("kact_cli."):
            continue
        other = target.removeprefix("kact_cli.")
        while other and other not in known:
            other = other.rpartition(".")[0]
        if not other or other.split(".")[0] == name.split(".")[0]:
            continue
        if late and (name, other) in LATE:
            continue
        assert layer(other) < layer(name), f"{name} imports {other}"


def test_only_the_command_line_knows_click_and_rich() -> None:
    for name, path in modules().items():
        if name.split(".")[0] not in ("cli", "__main__"):
            tops = {target.split(".")[0] for target, _ in imported(path, types=True)}
            assert not tops & {"click", "rich"}, name


def test_only_workers_know_processes() -> None:
    for name, path in modules().items():
        names = {target for target, _ in imported(path, types=True)}
        tops = {target.split(".")[0] for target in names}
        if name not in PROCESSES:
            assert not tops & {"multiprocessing", "subprocess", "dask", "distributed"}, name
            assert "concurrent.futures.ProcessPoolExecutor" not in names, name
        assert "concurrent" not in tops or name in THREADS, name


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

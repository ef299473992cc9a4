"""The tree explains itself: each folder says what lives in it, and nothing is too long."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import kact_cli

PACKAGE = Path(kact_cli.__file__).parent
TESTS = Path(__file__).parent.parent
FOLDERS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
# The lines that a file may have
LONGEST = {PACKAGE: 320, TESTS: 250}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: str(f.relative_to(PACKAGE.parent)))
def test_a_folder_says_what_lives_in_it(folder: Path) -> None:
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    assert said, "no docstring"
    assert len(list(folder.glob("*.py"))) <= 15, "more than 14 modules"


@pytest.mark.parametrize("top", LONGEST, ids=lambda top: top.name)
def test_no_file_is_too_long(top: Path) -> None:
    lengths = {str(p.relative_to(top)): p.read_text().count("\n") for p in top.rglob("*.py")}
    assert {name: n for name, n in lengths.items() if n > LONGEST[top]} == {}


def test_tests_stand_where_what_they_test_does() -> None:
    places = {p.relative_to(TESTS).parent for p in TESTS.rglob("test_*.py")}
    own = {Path(), Path("project"), Path("trust")}
    assert [p for p in places - own if not (PACKAGE / p).is_dir()] == []

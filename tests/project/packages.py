"""Build the wheel and the sdist, check both, and test the wheel at its lowest versions.

Run, with kact-cli[dev] installed: python tests/project/packages.py [DIRECTORY]

The packages stay in DIRECTORY, if one is given. The lowest versions are those that pyproject.toml
declares; the wheel is installed with them in a fresh environment, away from the source.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# Commands and all pairs of formats; other tests use what newer pyarrow and matplotlib have
REPRESENTATIVE = (
    "activations",
    "engine",
    "reports",
    "cli/test_cli.py",
    "cli/test_completion.py",
    "cli/test_usage.py",
    "formats/test_npy.py",
    "formats/test_npz.py",
    "formats/test_safetensors.py",
    "formats/parquet/test_encode.py",
    "formats/parquet/test_pages.py",
    "transform/test_conversions.py",
    "transform/test_table_csv.py",
    "transform/test_tensor.py",
)
# pytest's own settings and plugins are the checkout's
TOOLS = ("pytest", "pytest-xdist", "hypothesis")


def lowest() -> list[str]:
    """The lowest version that each package which kact needs may have, as pip takes it."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found = []
    for requirement in declared:
        match = re.fullmatch(r"([\w-]+)>=([\d.]+)(,!=[\d.]+)*", requirement)
        if match is None:
            raise ValueError(f"{requirement!r} in pyproject.toml is not NAME>=LOWEST")
        found.append(f"{match[1]}=={match[2]}")
    return found


def run(*args: str | Path, cwd: Path = ROOT) -> None:
    print("+", *args, flush=True)
    subprocess.run(args, cwd=cwd, check=True)


def build(directory: Path) -> Path:
    """The wheel, built from the sdist; both are checked."""
    python = [sys.executable, "-m"]
    run(*python, "build", "--quiet", "--outdir", directory)
    run(*python, "twine", "check", "--strict", *directory.iterdir())
    (wheel,) = directory.glob("*.whl")
    run(Path(sys.executable).parent / "check-wheel-contents", wheel)
    return wheel


def test(wheel: Path, place: Path) -> None:
    """The representative tests with the wheel at its lowest versions, and nothing of the source."""
    venv.create(place / "env", with_pip=True)
    programs = place / "env" / "bin"
    install = [programs / "python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    run(*install, wheel, *lowest(), *TOOLS)
    run(programs / "kact", "--version", cwd=place)
    shutil.copy(ROOT / "pyproject.toml", place)
    shutil.copytree(ROOT / "tests", place / "tests")
    run(programs / "python", "-m", "pytest", *(f"tests/{n}" for n in REPRESENTATIVE), cwd=place)


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        packages = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else place / "dist"
        wheel = build(packages)
        if sys.version_info < (3, 13):
            test(wheel, place)
        else:
            print("the lowest versions have no wheels for this Python: 3.11 or 3.12 tests them")


if __name__ == "__main__":
    main()

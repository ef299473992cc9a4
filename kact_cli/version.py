"""Which version this is. No two commits share one: batch never mixes the outputs of two."""

from __future__ import annotations

from pathlib import Path

VERSION = "0.1.0.dev0"
"""With `.devN` until the commit that is released; the next one has the next version's `.dev0`."""

_ROOT = Path(__file__).parent.parent


def version() -> str:
    """The version of the installed package or, in a source tree, of what the tree holds now."""
    if (_ROOT / "pyproject.toml").exists():
        return of_tree()
    from importlib.metadata import version as installed

    return installed("kact-cli")


def of_tree() -> str:
    """The version of a source tree, which a wheel or sdist that is built from it will keep.

    A release's is VERSION. Before, the commit's number follows, where git has one, and a digest of
    the package's files, so that a tree without git or with changes has a version of its own, too.
    """
    if ".dev" not in VERSION:
        return VERSION
    return f"{VERSION}+{_commit()}{_digest()}"


def _commit() -> str:
    """`g`, the number of the commit that is checked out, and a dot; nothing without one."""
    git = _ROOT / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            name = head.removeprefix("ref: ")
            packed = git / "packed-refs"
            lines = packed.read_text().splitlines() if packed.exists() else []
            found = [line.split()[0] for line in lines if line.endswith(f" {name}")]
            head = (git / name).read_text().strip() if (git / name).exists() else found[0]
    except (OSError, IndexError):  # no git, another user's, or no commit yet
        return ""
    return f"g{head[:12]}."


def _digest() -> str:
    """`h` and what the content of the package's Python files comes to."""
    import hashlib

    digest = hashlib.sha256()
    for path in sorted((_ROOT / "kact_cli").rglob("*.py")):
        digest.update(path.read_bytes())
    return f"h{digest.hexdigest()[:12]}"

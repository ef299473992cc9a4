"""Pictures as PNG or SVG, by matplotlib, which is an extra."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import PurePath
from typing import IO, Any

from kact_cli.errors import UsageError


def check_picture(output: str) -> str:
    """The kind of a picture, by its suffix; UsageError where it is another, or cannot be drawn."""
    kind = PurePath(output).suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise UsageError(f"--output: '{output}' is neither a .png nor an .svg")
    if find_spec("matplotlib") is None:
        raise UsageError("--output needs matplotlib: pip install 'kact-cli[plot]'")
    return kind


def write_picture(output: str, overwrite: bool, draw: Callable[[Any], None]) -> None:
    """Write what `draw` draws on a pair of axes; the same bytes for the same picture."""
    kind = check_picture(output)
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from kact_cli.files.target import Target

    # No date, no random identifiers
    with rc_context({"svg.hashsalt": "kact"}), Target(output, overwrite=overwrite) as target:
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        draw(figure.add_subplot())
        buffer: IO[bytes] = io.BytesIO()
        figure.savefig(
            buffer, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None
        )
        buffer.seek(0)
        target.write(memoryview(buffer.read()))

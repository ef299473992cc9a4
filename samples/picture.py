"""Make the README's picture of a session, from what kact says. Run: python samples/picture.py."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 84
SESSION = {
    # What is typed, and what makes kact print into a pipe what it prints on a terminal
    "kact chain relu:max_value=6,softmax logits.npy": ["--preview", "result"],
    "kact chain relu:max_value=6,softmax logits.npy probabilities.npy": [],
    "kact inspect --stats probabilities.npy": [],
    "kact plot elu tanh": [],
}
UNCOLOURED = {"PYTHONIOENCODING": "utf-8", "COLUMNS": str(WIDTH - 2), "LINES": "20"}


def run(line: str, place: str) -> str:
    """What a command of the session prints."""
    words = [sys.executable, "-m", "kact_cli", *line.split()[1:], *SESSION[line]]
    env = {**os.environ, **UNCOLOURED}
    done = subprocess.run(words, cwd=place, env=env, capture_output=True, text=True, check=True)
    return done.stdout


def picture() -> str:
    """The session as SVG."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "logits.npy").write_bytes((HERE / "logits.npy").read_bytes())
        for line in SESSION:
            console.print(Text(f"$ {line}", style="bold green"))
            for said in run(line, place).splitlines():
                style = "dim" if "  in   " in said or said.startswith("row") else ""
                console.print(Text(said, style=style), soft_wrap=True)
    return console.export_svg(title="kact", unique_id="kact")


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "session.svg"
    target.write_text(picture())


if __name__ == "__main__":
    main()

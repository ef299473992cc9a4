"""Completion, by typing into the shells themselves."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from kact_cli.activations import ACTIVATIONS
from kact_cli.cli.completion import complete_chain, complete_columns
from tests.tools.run import command, environment
from tests.tools.tables import write

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "--interactive", "--private"],
}
SHELLS = [shell for shell in START if shutil.which(shell)]
INSTALL = {
    "bash": 'eval "$(_KACT_COMPLETE=bash_source kact)"',
    "zsh": 'autoload -U compinit; compinit -u -D; eval "$(_KACT_COMPLETE=zsh_source kact)"',
    "fish": "_KACT_COMPLETE=fish_source kact | source",
}
Type = Callable[[str], list[str]]

# What is typed (\t: the tabulator key), and the words that the command line has then.
TYPED = [
    ("kact cha\tx", ["chain", "x"]),
    ("kact apply softm\tx", ["apply", "softmax", "x"]),
    ("kact chain elu,softm\t", ["chain", "elu,softmax"]),
    ("kact chain relu:al\t0.5", ["chain", "relu:alpha=0.5"]),
    ("kact chain elu,relu:alpha=1:th\t2", ["chain", "elu,relu:alpha=1:threshold=2"]),
    ('kact chain "elu,relu(max\t6)"', ["chain", "elu,relu(max_value=6)"]),
    ('kact chain "relu(alpha=1,max\t6),softmax"', ["chain", "relu(alpha=1,max_value=6),softmax"]),
    ("kact inspect tab\tx", ["inspect", "table.parquet", "x"]),
    (
        "kact inspect table.parquet --columns logi\t",
        ["inspect", "table.parquet", "--columns", "logit"],
    ),
    ("kact inspect table.parquet -c logit,ot\t", ["inspect", "table.parquet", "-c", "logit,other"]),
    ("kact inspect table.parquet -c a\t", ["inspect", "table.parquet", "-c", "a name"]),
    ("kact inspect table.parquet -c z\t", ["inspect", "table.parquet", "-c", "z$(touch ran)"]),
]
# What is typed within quotes, which each shell closes in its own way, the quote, the column.
QUOTED = [
    ('"z', "z$(touch ran)"),
    ('"z\\$(t', "z$(touch ran)"),
    ("'z", "z$(touch ran)"),
    ("y", "y`touch ran`"),
    ('"y', "y`touch ran`"),
    ("'y", "y`touch ran`"),
    ("x", "x\"; touch ran; '\\"),
    ('"x', "x\"; touch ran; '\\"),
]
EVIL = ("z$(touch ran)", "y`touch ran`", "x\"; touch ran; '\\", "w\ntouch ran\n")
"""Names of columns that a shell would run, if they were not quoted."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a table, and a `kact` that writes down its arguments when it is run."""
    place = tmp_path_factory.mktemp("completion")
    table = pa.table(
        {
            "logit": [1.0],
            "other": [2.0],
            "a name": [3.0],
            "text": ["x"],
            **{name: [4.0] for name in EVIL},
        }
    )
    write(table, place / "table.parquet")
    kact = place / "bin" / "kact"
    kact.parent.mkdir()
    kact.write_text(
        "#!/bin/sh\n"
        f'[ -n "$_KACT_COMPLETE" ] && exec {shlex.quote(sys.executable)} -m kact_cli "$@"\n'
        f'printf "%s\\n" "$@" > {place}/said.tmp && mv {place}/said.tmp {place}/said\n'
    )
    kact.chmod(0o755)
    return place


@pytest.fixture(scope="module", params=SHELLS)
def type_(request: pytest.FixtureRequest, place: Path) -> Iterator[Type]:
    """Type a line and Enter into an interactive shell; gives the words that kact was run with."""
    shell: str = request.param
    said = place / "said"
    env = environment(
        PATH=f"{place}/bin{os.pathsep}{os.environ['PATH']}",
        TERM="dumb" if shell != "fish" else "xterm",
        HOME=str(place),
        COLUMNS="200",
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        START[shell], stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=place,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)

    def wait() -> list[str]:
        shown, end = b"", time.monotonic() + 15
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.05)[0]:
                shown += os.read(ours, 65536)
                if b"\x1b[c" in shown[-200:] or b"\x1b[0c" in shown[-200:]:
                    os.write(ours, b"\x1b[?1;2c")  # fish asks what terminal this is
            if said.exists():
                words = said.read_text().splitlines()
                said.unlink()
                return words
        raise AssertionError(shown.decode(errors="replace"))

    def type_line(line: str) -> list[str]:
        os.write(ours, line.encode() + b"\r")
        return wait()

    try:
        os.write(ours, INSTALL[shell].encode() + b"\r")
        assert type_line("kact ready") == ["ready"]
        yield type_line
    finally:
        os.close(ours)
        process.kill()
        process.wait()


@pytest.mark.parametrize(("line", "words"), TYPED, ids=[line for line, _ in TYPED])
def test_shells(type_: Type, line: str, words: list[str], place: Path) -> None:
    assert type_(line) == words
    assert not (place / "ran").exists()


@pytest.mark.parametrize(("typed", "name"), QUOTED)
@pytest.mark.parametrize("type_", ["bash"], indirect=True)
def test_nothing_that_a_column_is_called_is_run(
    type_: Type, typed: str, name: str, place: Path
) -> None:
    quote = typed[0].strip("zyx")
    line = f"kact inspect table.parquet -c {typed}\t{quote}"
    assert type_(line) == ["inspect", "table.parquet", "-c", name]
    assert not (place / "ran").exists()


NEWER = r"declare -[Agn]|local -[An]|mapfile|readarray|&>>|\|&|\$\{\w+[,^@]|;;?&|coproc|\[\[ -v"
"""What bash 3.2, which macOS has, does not know."""


def test_the_script_of_bash_is_one_for_3_2() -> None:
    env = environment(_KACT_COMPLETE="bash_source")
    script = subprocess.run(command(), env=env, capture_output=True, text=True, check=True).stdout
    assert "complete -o nospace" in script
    assert not re.search(NEWER, script)
    # It has no compopt, without which nothing that comes after may insert a name as it is
    assert "compopt -o filenames +o nospace 2>/dev/null || return" in script
    assert script.count("compopt") == 1


def values(text: str) -> list[str]:
    return [item.value for item in complete_chain(text)]


def test_steps_of_a_chain() -> None:
    assert values("") == list(ACTIVATIONS)
    assert values("elu,") == [f"elu,{name}" for name in ACTIVATIONS]
    softs = [n for n in ACTIVATIONS if n.startswith("soft")]
    assert len(softs) > 2
    assert values("relu(1,6),soft") == [f"relu(1,6),{name}" for name in softs]
    assert values("hard-sw") == ["hard_swish"]
    assert values("EL") == ["elu"]
    assert values("frobnicate(") == []


def test_parameters_of_a_step() -> None:
    assert values("relu:") == ["relu:alpha=", "relu:max_value=", "relu:threshold="]
    assert values("relu(") == ["relu(alpha=", "relu(max_value=", "relu(threshold="]
    assert values("elu,relu(alpha=1,") == [
        "elu,relu(alpha=1,max_value=", "elu,relu(alpha=1,threshold="
    ]  # fmt: skip
    assert values("relu:neg") == ["relu:negative_slope="]
    assert values("relu:alpha=1:neg") == []
    assert values("swish(") == ["swish(alpha="]
    assert values("relu:alpha=0.") == []
    assert values("tanh:") == []


def test_columns_of_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    os.mkfifo(tmp_path / "fifo")
    for path in ("absent", tmp_path, tmp_path / "broken.parquet", tmp_path / "fifo"):
        assert complete_columns(["inspect", str(path)], "") == []

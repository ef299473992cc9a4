"""Tables that people look at fit the terminal, and break no word that it has room for."""

from __future__ import annotations

import os

import pytest

from kact_cli.cli import console
from kact_cli.cli.screen import canvas, show
from tests.tools.run import SETTINGS

ROWS = [
    ["column", "type", "what happens", "bytes"],
    ["customer_identifier", "string", "unchanged", "6.2 KiB"],
    ["embedding", "fixed_size_list<element: float32>[8]", "computed in float32", "44.1 KiB"],
    ["漢字の列", "float64", "computed with 2 more in float64", "9.13 KiB"],
    ["", "", "", "0 bytes"],
]


@pytest.mark.parametrize("width", [36, 50, 80, 140])
def test_a_table_fits_and_breaks_no_word(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "width", lambda: width)
    lines = show.columns(ROWS, right=(3,), titled=True)
    assert max(map(show.cells, lines)) <= width
    shown = {word for line in lines for word in line.split()}
    assert {word for row in ROWS[1:] for cell in row for word in cell.split()} <= shown
    assert (len(lines) > 2 * len(ROWS)) == (width < 80)  # a block for each row, or a table


def test_colours_are_seen_on_a_light_terminal_and_on_a_dark_one() -> None:
    assert {*console.COLOURS.values(), *canvas.COLOURS} <= {"red", "green", "magenta", "cyan"}


def test_the_caller_has_no_say_in_colours_and_widths() -> None:
    assert not os.environ.keys() & {*SETTINGS}


def test_wide_characters_are_cut_and_padded_as_they_are_shown() -> None:
    for text in ("漢字の列", "abc漢字", "plain text"):
        for width in range(2, 12):
            cut = show.short(text, width)
            assert show.cells(cut) <= width
            assert show.cells(show.padded(cut, width)) == width
            assert show.cells(show.padded(cut, width, right=True)) == width
            assert show.cells(show.middle_cut(text, width)) <= width


def test_long_names_keep_their_ends() -> None:
    names = [f"feature_{i:05}" for i in range(3)]
    assert len({show.middle_cut(name, 9) for name in names}) == 3
    assert show.middle_cut(names[1], 9) == "feat~0001"
    assert show.middle_cut(names[1], 13) == names[1]


@pytest.mark.parametrize("width", [50, 80])
def test_a_histogram_is_never_wrapped(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "width", lambda: width)
    bars = "▂▂ ▁▄▆▅▄█▇▅▆▆█▃▃▃▃▁  ▂"
    lines = show.columns(
        [["a" * 60, "-2.5", bars, "3"], ["b", "1", "█", "2"]], right=(1,), whole=(2,)
    )
    assert any(bars in line for line in lines)
    assert max(map(show.cells, lines)) <= width

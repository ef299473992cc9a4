"""Tables that people look at fit the terminal, and break no word that it has room for."""

from __future__ import annotations

import pytest

from kact_cli.cli.screen import show

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


def test_wide_characters_are_cut_and_padded_as_they_are_shown() -> None:
    for text in ("漢字の列", "abc漢字", "plain text"):
        for width in range(2, 12):
            cut = show.short(text, width)
            assert show.cells(cut) <= width
            assert show.cells(show.padded(cut, width)) == width
            assert show.cells(show.padded(cut, width, right=True)) == width

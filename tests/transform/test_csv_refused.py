"""What of a CSV is refused, in one line that names the file, the place and the way out.

Each case is a kind of file that people have, as in `test_csv_choices`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.run import run_here

ODD = [
    "?",
    "-",
    ".",
    "oops",
    "\\N",
    "-1.#IND",
    '"1,234"',
    "\N{MINUS SIGN}1.5",
    "1D0",
    "1.5\xa0",
    "1.5\r\r",
    "\r1.5",
    "1.5\N{ZERO WIDTH SPACE}",
    "\ufeff1.5",
    "1.5\x1a",
    "1_000",
    '"1 234,5"',
    "0x1.8p3",
    "nan(1)",
]
REFUSED: dict[str, tuple[str, str]] = {
    **{
        f"{cell}, {place}": (
            "id,a,b\n" + "".join(f"{i},1.5,2.5\n" for i in range(n)) + f"{n},1.5,{cell}\n",
            f"column 'b', record {n + 1:,} (line {n + 2:,}): ",
        )
        for cell in ODD
        for place, n in (("at once", 1), ("late", 20_000))
    },
    "a late fraction": (
        "x,y\n" + "".join(f"0.5,{i % 7}\n" for i in range(15_000)) + "1.5,6.5\n",
        "column 'y', record 15,001 (line 15,002): '6.5' is a fraction",
    ),
    "a late exponent, in the identifier": (
        "id,y\n" + "".join(f"{i},1.5\n" for i in range(15_000)) + "1e3,6.5\n",
        "column 'id', record 15,001 (line 15,002): '1e3' is a fraction",
    ),
    "a late decimal comma": (
        "x;y\n" + "0.5;3\n" * 15_000 + "1.5;2,5\n",
        "column 'y', record 15,001 (line 15,002): '2,5' is a fraction",
    ),
    "names of rows": ('"a" "b"\n"1" 1.5 2.5\n', "3 cells where there should be 2 (R's row.names"),
    "a title": ("A title\n1.5,2.5\n", "record 1 (line 2) has 2 cells where there should be 1"),
    "decimal commas and spaces, not said": ("1,5 2,5\n-1,5 2,5\n", "--decimal , reads decimal"),
    "points where commas are": ("a;b\n1,5;2.5\n", "record 1 (line 2): '1,5' is not a number"),
    "one record of decimal commas": ("1,5;2,5\n", "column 'c0', record 1 (line 1): '1,5' is not"),
    "odd numbers on top": ("1D0,2D0\n1.5,2.5\n", "record 1 (line 1): '1D0' is not a number"),
    "another delimiter": ("a:b\n1.5:2.5\n", "a:b (text); --delimiter says what is between two"),
    "values after nothing": (
        "x,y\n" + "0.5,\n" * 15_000 + "1.5,6.5\n",
        "to compute it, name it in -c with the others; to leave it out: --exclude y",
    ),
    "a blank line, too few cells": ('x,y\n"1",2\n\n1.5,"2\n"\n1\n', "record 3 (line 6) has"),
    "years": ("2023,2024\n1.5,2.5\n", "--header or --no-header"),
    "years over some whole numbers": (
        "2023,2024\n1,2.5\n2,3\n4,5\n", "--header or --no-header"
    ),
    "years over whole numbers": ("name,2019,2020\na,1,2\nb,-3,4\n", "--header or --no-header"),
    "a run beside a name": ("a,1,2,3\nx,1.5,-2.5,3\ny,2,3,1\n", "--header or --no-header"),
    "years beside a name": ("name,2023,2024\na,1.5,2\nb,2,3\n", "--header or --no-header"),
    "fractions over pandas' index": (",0.1,0.2\n0,1.5,2.5\n1,2.5,3\n", "--header or --no-header"),
    "columns that disagree": ("a,1.5\n2.5,3.5\n", "--header or --no-header"),
    "nothing but a header of numbers": ("1 2 3\n", "--header or --no-header"),
    "hi": ("hi\n", "'hi' alone is no table"),
    "text": ("a,b\nx,y\n", "no column holds numbers; there are: a (text), b (text)"),
    "nulls": ("a,b\n,\n,\n", "no column holds numbers"),
    "decimal commas": ("a;b\n1,5;2,5\n", "'1,5' is not a number; --decimal , reads"),
    "decimal points among commas": ("a;b\n1,5;2.5\n", "'1,5' is not a number; --decimal , reads"),
    "an unclosed quote": ('a,b\n1.5,2.5\n1.5,"2.5\n1.5,2.5\n', "record 2 (line 3) has a quote"),
    "a long cell": ('a,t\n1.5,"' + "x" * (17 << 20) + '"\n', "record 1 (line 2) takes more"),
}  # fmt: skip


@pytest.mark.parametrize("to", ["csv", "npy", "parquet"])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path: Path, case: str, to: str) -> None:
    text, words = REFUSED[case]
    if to != "csv" and len(text) > 1 << 20:
        return
    (tmp_path / "in.csv").write_text(text, newline="")
    out = tmp_path / f"out.{to}"
    code, said = run_here("apply", "relu", "-q", "-j", "2", tmp_path / "in.csv", out)
    assert code == 1, said
    assert said.startswith(f"kact: error: {tmp_path / 'in.csv'}: ")
    assert words in said
    assert len(said) < 500 + len(str(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("options", [["-c", "b"], ["-c", "a,b"], ["-c", "*"]], ids=" ".join)
def test_an_odd_cell_is_refused_however_its_column_was_chosen(
    tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "in.csv").write_text("a,b\n1.5,2.5\n2.5,?\n")
    code, said = run_here("apply", "relu", *options, tmp_path / "in.csv", tmp_path / "out.csv")
    assert code == 1
    assert "column 'b', record 2 (line 3): '?' is not a number; --null '?' reads it" in said
    assert "--exclude b leaves the column alone" in said


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_an_unclosed_quote_is_placed_the_same_by_any_number_of_threads(
    tmp_path: Path, jobs: str
) -> None:
    lines = [b"a,t\n"] + [b'1.5,"x\ny"\n'] * 100_000 + [b'1.5,"x\n'] + [b"1.5,x\n"] * 100_000
    (tmp_path / "in.csv").write_bytes(b"".join(lines))
    code, said = run_here("apply", "relu", "-j", jobs, tmp_path / "in.csv", tmp_path / "out.csv")
    assert (code, "record 100,001 (line 200,002) has a quote" in said) == (1, True), said

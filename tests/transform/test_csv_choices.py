"""What is read as a header, a number, a null; what takes part; and what is said of it.

Each case is a kind of file that people have. relu doubles as a mark: what it has read is written as
a float, 2 as 2.0.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.tools.run import Kact, run_here

QUIET: dict[str, tuple[str, str]] = {
    "an id by name": ("id,a\n5,1.5\n9,2\n", "id,a\n5,1.5\n9,2.0\n"),
    "an id by its ending": ("user_id,a\n5,1.5\n9,2\n", "user_id,a\n5,1.5\n9,2.0\n"),
    "pandas' index, read once": ("Unnamed: 0,a\n5,1.5\n9,2\n", "Unnamed: 0,a\n5,1.5\n9,2.0\n"),
    "pandas' index": (",a\n5,1.5\n9,2\n", ",a\n5,1.5\n9,2.0\n"),
    "pandas' index, read twice": ("Unnamed: 0.1,a\n5,1.5\n9,2\n", "Unnamed: 0.1,a\n5,1.5\n9,2.0\n"),
    "addresses": ("ip,a\n192.168.100.101,-1.5\n", "ip,a\n192.168.100.101,0.0\n"),
    "dates": ("d,a\n2019-01-02,-1.5\n", "d,a\n2019-01-02,0.0\n"),
    "times": ("t,a\n12:30,-1.5\n12:31:05.5,2.5\n", "t,a\n12:30,0.0\n12:31:05.5,2.5\n"),
    "codes with letters": ("c,a\nP01,-1.5\nP02,2.5\n", "c,a\nP01,0.0\nP02,2.5\n"),
    "from 0": ("n,a\n0,1.5\n1,2\n", "n,a\n0,1.5\n1,2.0\n"),
    "from 17": ("n,a\n17,1.5\n18,2\n", "n,a\n17,1.5\n18,2.0\n"),
    "codes": ("zip,a\n01067,1.5\n10115,2\n", "zip,a\n01067,1.5\n10115,2.0\n"),
    "quotes, spaces": ('a,b\n1.5, "2"\n"4" ,-1.5\n', "a,b\n1.5,2.0\n4.0,0.0\n"),
    "iris": ("5.1,3,setosa\n4.9,3.5,virginica\n", "5.1,3.0,setosa\n4.9,3.5,virginica\n"),
    "text first": ("a,1.5,2.5\nb,0.5,2\n", "a,1.5,2.5\nb,0.5,2.0\n"),
    "a number, text": ("1,foo,-2.5\n2,bar,3\n", "1,foo,0.0\n2,bar,3.0\n"),
    "pandas' columns": ("0,1,2\n1.5,-2.5,3.5\n", "0,1,2\n1.5,0.0,3.5\n"),
    "pandas' index and columns": (",0,1\n0,1.5,2.5\n", ",0,1\n0,1.5,2.5\n"),
    "one pandas column": ("0\n1.5\n2.5\n", "0\n1.5\n2.5\n"),
    "R": ('"1","2"\n1.5,2.5\n', '"1","2"\n1.5,2.5\n'),
    "a blank line first": ("\na,b\n-1.5,2.5\n", "\na,b\n0.0,2.5\n"),
    "Excel": ("sep=;\na;b\n-1.5;2.5\n", "sep=;\na;b\n0.0;2.5\n"),
    "comments": ("# by me\n#\na,b\n-1.5,2.5\n", "# by me\n#\na,b\n0.0,2.5\n"),
    "savetxt": ("# a b\n-1.5e+00 2.5e+00\n", "# a b\n0.0 2.5\n"),
    "aligned": ("  a    b\n -1.5 2.5 \n  3.5   1\n", "  a    b\n 0.0 2.5 \n  3.5   1.0\n"),
    "CR in a cell": ("t,b\nx\ry,-1.5\n", "t,b\nx\ry,0.0\n"),
    "mostly text": ("t,a\nx,-1.5\nz,2\ny,2\n7.5,2\n", "t,a\nx,0.0\nz,2.0\ny,2.0\n7.5,2.0\n"),
    "header alone": ("a,b\n", "a,b\n"),
    "one record": ("-1.5,2.5\n", "0.0,2.5\n"),
    "nan in text": ("t,a\nnan,-1.5\nx,2\nNaN,2\n", "t,a\nnan,0.0\nx,2.0\nNaN,2.0\n"),
    "nulls": ("a,b\nNA,\n-1.5,n/a\n1.5,2.5\n", "a,b\nNA,\n0.0,n/a\n1.5,2.5\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", QUIET)
def test_without_a_word(tmp_path: Path, case: str) -> None:
    text, expected = QUIET[case]
    (tmp_path / "in.csv").write_text(text, newline="")
    said = run_here("apply", "relu", "--strict", tmp_path / "in.csv", tmp_path / "out.csv")
    assert said == (0, "")
    assert (tmp_path / "out.csv").read_bytes().decode() == expected


GIVEN: dict[str, tuple[str, list[str], str]] = {
    "a null": ("a,b\n1.5,-9\n2.5,x\n", ["--null", "x", "-c", "*"], "a,b\n1.5,0.0\n2.5,x\n"),
    "nulls": ("a\n-1.5\n?\n-\n", ["--null", "?", "--null", "-"], "a\n0.0\n?\n-\n"),
    "a null that is a number": ("a\n-1.5\n-999\n", ["--null", "-999"], "a\n0.0\n-999\n"),
    "a null in quotes": ('a\n-1.5\n "-999"\n', ["--null", "-999"], 'a\n0.0\n "-999"\n'),
    "decimal commas": ("a;b\n-1,5;2,5\n", ["--decimal", ","], "a;b\n0,0;2,5\n"),
    "quoted decimal commas": ('a,b\n"-1,5","2,5"\n', ["--decimal", ","], 'a,b\n"0,0","2,5"\n'),
    "one column of them": ("a\n-1,5\n2,5\n", ["--decimal", ","], "a\n0,0\n2,5\n"),
    "decimal commas and spaces": ("-1,5 2,5\n3,5 4\n", ["--decimal", ","], "0,0 2,5\n3,5 4,0\n"),
    "one column of them, no header": ("-1,5\n2,5\n", ["--decimal", ","], "0,0\n2,5\n"),
    "decimal commas, formatted": (
        "a;b\n-1,5;2,5\n", ["--decimal", ",", "--float-format", ".2f"], "a;b\n0,00;2,50\n"
    ),
    "a header of years": ("2023,2024\n1.5,2.5\n", ["--header"], "2023,2024\n1.5,2.5\n"),
    "data that look like years": ("-23,24\n1.5,2.5\n", ["--no-header"], "0.0,24.0\n1.5,2.5\n"),
    "a name alone": ("hi\n", ["--header"], "hi\n"),
    "left alone": ("a,b\n-1.5,?\n2.5,2.5\n", ["--exclude", "b"], "a,b\n0.0,?\n2.5,2.5\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", GIVEN)
def test_as_the_user_says(tmp_path: Path, case: str) -> None:
    text, options, expected = GIVEN[case]
    (tmp_path / "in.csv").write_text(text)
    assert run_here("apply", "relu", *options, tmp_path / "in.csv", tmp_path / "out.csv") == (0, "")
    assert (tmp_path / "out.csv").read_text() == expected


WARNED: dict[str, tuple[str, str]] = {
    "whole numbers": (
        "a,b\n1.5,2\n0.5,-1\n",
        "column 'b' holds whole numbers and is left out; to compute it too: -c a,b; "
        "to leave it out: --exclude b",
    ),
    "a run over whole numbers": (
        "1,2\n3,4\n",
        "the first record, '1,2', is taken for names over whole numbers; --header says",
    ),
    "two columns": ("a,b,c\n1.5,2,3\n0.5,-1,1\n", "each of the columns b, c holds whole numbers"),
    "a float id": (
        "id,x\n1.0,2.5\n2.0,3.5\n",
        "column 'id' looks like an identifier; --exclude id",
    ),
    "house numbers": ("n,a\n1,1.5\n2,2.5\n3A,3.5\n", "column 'n' passes as text, though there"),
    "numbers in text": ("t,a\nx,1.5\ny,2.5\n7.5,1\n", "numbers in it (line 2: 'x')"),
    **{
        f"{cells[0]} and {cells[1]}": (
            f"t,a\n{cells[0]},1.5\n{cells[1]},2.5\n,3.5\n",
            "column 't' passes as text, though there are numbers in it (line 2: ",
        )
        for cells in (
            ("50%", "20.5%"),
            ("$5.00", "$1"),
            ("5 €", "1.5 €"),
            ("5kg", "10kg"),
            ("(5)", "(6.5)"),
            ("<0.1", "<5"),
            ("[ 0.1 -0.2]", "[3 4]"),
            ("'1.5'", "'2'"),
            ('"[1.5, 2]"', '"[3]"'),
            ("1+2j", "1.5-1e3j"),
        )
    },
    "whole numbers after nothing": (
        "x,y\n" + "0.5,\n" * 15_000 + "1.5,6\n",
        "column 'y', empty at first, holds whole numbers and is left out; to compute it, name it",
    ),
    "a name with a space": ("my id,x\n1.0,2.5\n2.0,3.5\n", "--exclude 'my id' leaves it alone"),
    "only whole numbers": ("a,b\n5,2\n3,-1\n", "no floating-point columns; taking the integer"),
}


@pytest.mark.parametrize("chain", ["relu", "softmax"])
@pytest.mark.parametrize("case", WARNED)
def test_with_a_warning(tmp_path: Path, case: str, chain: str) -> None:
    text, words = WARNED[case]
    (tmp_path / "in.csv").write_text(text)
    head_alone = ["explain", chain] if len(text) < 1 << 16 else ["apply", chain, "--preview=result"]
    for command in (["apply", chain, tmp_path / "out.csv"], head_alone):
        code, said = run_here(*command[:2], tmp_path / "in.csv", *command[2:])
        assert code == 0
        assert words in said
    code, said = run_here("apply", chain, "--strict", tmp_path / "in.csv", tmp_path / "no.csv")
    assert code == 2
    assert not (tmp_path / "no.csv").exists()


def test_nulls_and_commas_into_other_formats(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("t;a;b\nx;-1,5;?\ny;2,5;3,5\n")
    options = ["--null", "?", "--decimal", ","]
    assert run_here("apply", "relu", *options, tmp_path / "in.csv", tmp_path / "o.parquet")[0] == 0
    assert pq.read_table(tmp_path / "o.parquet").to_pydict() == {
        "t": ["x", "y"],
        "a": [0.0, 2.5],
        "b": [None, 3.5],
    }
    np.save(tmp_path / "in.npy", np.array([[-1.5, 2.5]]))
    out = tmp_path / "o.csv"
    assert run_here("apply", "relu", "--decimal", ",", tmp_path / "in.npy", out) == (0, "")
    assert out.read_text() == "c0;c1\n0,0;2,5\n"


def test_a_name_of_a_megabyte_leaves_messages_short(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(f"{'x' * 1_000_000},b\n1.5,2\n?,1\n")
    code, said = run_here("apply", "relu", tmp_path / "in.csv", tmp_path / "out.csv")
    assert code == 1
    assert len(said) < 1000


def test_two_records_of_a_megabyte_are_seen_whole(tmp_path: Path) -> None:
    long = "x" * 1_500_000
    (tmp_path / "in.csv").write_text(f"{long},b\n1.5,-2.5\n3.5,2.5\n")
    assert run_here("apply", "relu", tmp_path / "in.csv", tmp_path / "out.csv") == (0, "")
    assert (tmp_path / "out.csv").read_text() == f"{long},b\n1.5,0.0\n3.5,2.5\n"


def test_a_stream_without_a_header_gains_none(kact: Kact, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.csv")
    writer = threading.Thread(target=(tmp_path / "in.csv").write_bytes, args=(b"1.5,2.5\n0.5,1\n",))
    writer.start()
    kact("apply", "softmax", "--axis", "0", tmp_path / "in.csv", tmp_path / "out.tsv")
    writer.join()
    assert (tmp_path / "out.tsv").read_text().count("\n") == 2

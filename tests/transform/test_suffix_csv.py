"""`--suffix` in CSV: cells are added to each record, and every byte that was there stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kact_cli.errors import UsageError
from tests.tools.run import run_here
from tests.tools.tables import convert, text_of

# A text, and what relu makes of it
CASES = {
    "text passes": ("id,a,b,t\n1,1.50,.5,007\n2,-1e3,7,TRUE\n",
                    "id,a,b,t,a_p,b_p\n1,1.50,.5,007,1.5,0.5\n2,-1e3,7,TRUE,0.0,7.0\n"),
    "CRLF": ("t,a\r\nx,1.5\r\ny,-2.5\r\n", "t,a,a_p\r\nx,1.5,1.5\r\ny,-2.5,0.0\r\n"),
    "CR": ("t,a\rx,1.5\ry,2.5\r", "t,a,a_p\rx,1.5,1.5\ry,2.5,2.5\r"),
    "no end": ("t,a\r\nx,1.5\r\ny,2.5", "t,a,a_p\r\nx,1.5,1.5\r\ny,2.5,2.5"),
    "header alone": ("t,a\n", "t,a,t_p,a_p\n"),
    "header alone, no end": ("t,a", "t,a,t_p,a_p"),
    "no header": ("1.5,x\n-2.5,y\n", "1.5,x,1.5\n-2.5,y,0.0\n"),
    "blank lines": ("\n# a run\n\na,b\n1.5,2.5\n\n\r\n3.5,4.5\n\n",
                    "\n# a run\n\na,b,a_p,b_p\n1.5,2.5,1.5,2.5\n\n\r\n3.5,4.5,3.5,4.5\n\n"),
    "one column": ("a\n1.5\n\n2.5\n", "a,a_p\n1.5,1.5\n,\n2.5,2.5\n"),
    "byte order mark": ("\ufeffa;t\n1.5;x\n", "\ufeffa;t;a_p\n1.5;x;1.5\n"),
    "sep=": ("sep=;\na;b\n1.5;2.5\n", "sep=;\na;b;a_p;b_p\n1.5;2.5;1.5;2.5\n"),
    "tabs": ("a\tt\n1.5\tx,y\n", "a\tt\ta_p\n1.5\tx,y\t1.5\n"),
    "runs of spaces": (" a  b\n 1.5   -2.5 \n NA 4.5\n",
                       " a  b a_p b_p\n 1.5   -2.5 1.5 0.0 \n NA 4.5 NA 4.5\n"),
    "quoted names": ('"a","t ""x"""\n1.5,y\n', '"a","t ""x""","a_p"\n1.5,y,1.5\n'),
    "a quoted name": ('"a,b",t\n1.5,x\n', '"a,b",t,"a,b_p"\n1.5,x,1.5\n'),
    "a quote in a name": ('"a""b",t\n1.5,x\n', '"a""b",t,"a""b_p"\n1.5,x,1.5\n'),
    "quoted text": ('a,t\n1.5,"x,\n""y"""\n2.5,"z"\n',
                    'a,t,a_p\n1.5,"x,\n""y""",1.5\n2.5,"z",2.5\n'),
    "quoted numbers": ('a,t\n"1.5",x\n" -2.5 ",y\n', 'a,t,a_p\n"1.5",x,1.5\n" -2.5 ",y,0.0\n'),
    "nulls": ("a,b\n1.5,\nNA,2.5\n,null\n", "a,b,a_p,b_p\n1.5,,1.5,\nNA,2.5,,2.5\n,null,,\n"),
    "not finite": ("a,b\nnan,inf\n1.5,-inf\n", "a,b,a_p,b_p\nnan,inf,nan,inf\n1.5,-inf,1.5,0.0\n"),
    "far apart": ("a,t,b\n1.5,x,2.5\n3.5,,-4.5\n",
                  "a,t,b,a_p,b_p\n1.5,x,2.5,1.5,2.5\n3.5,,-4.5,3.5,0.0\n"),
    "empty name": (",t\n0.5,x\n", ",t,_p\n0.5,x,0.5\n"),
    "not ASCII": ("a,größe\n1.5,2.5\n", "a,größe,a_p,größe_p\n1.5,2.5,1.5,2.5\n"),
}  # fmt: skip
# Options beside the suffix
CHOSEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "decimal commas": ("a;t\n1,5;x\n-2,5;y\n", {"decimal": ","},
                       "a;t;a_p\n1,5;x;1,5\n-2,5;y;0,0\n"),
    "quoted decimal commas": ('a,t\n"1,5",x\n', {"decimal": ",", "columns": ("a",)},
                              'a,t,a_p\n"1,5",x,"1,5"\n'),
    "a format": ("a,t\n1.25,x\n", {"float_format": ".1f"}, "a,t,a_p\n1.25,x,1.2\n"),
    "whole numbers": ("n,a\n3,1.5\n-4,2.5\n", {"columns": ("n",)},
                      "n,a,n_p\n3,1.5,3.0\n-4,2.5,0.0\n"),
    "not by the order of names": ("b,a\n1.5,2.5\n", {"columns": ("a", "b")},
                                  "b,a,b_p,a_p\n1.5,2.5,1.5,2.5\n"),
    "a null of the user's": ("a,b\n1.5,?\n2.5,3.5\n", {"nulls": ("?",)},
                             "a,b,a_p,b_p\n1.5,?,1.5,\n2.5,3.5,2.5,3.5\n"),
    "a header that is said": ("1,2.5\n3,4.5\n", {"header": True}, "1,2.5,2.5_p\n3,4.5,4.5\n"),
}  # fmt: skip


def check(given: str, expected: str, tmp_path: Path, **options: Any) -> None:
    (tmp_path / "in.csv").write_bytes(given.encode())
    convert("relu", tmp_path / "in.csv", tmp_path / "o.csv", suffix="_p", **options)
    assert (tmp_path / "o.csv").read_bytes().decode() == expected


@pytest.mark.parametrize("case", CASES)
def test_cells_are_added(case: str, tmp_path: Path) -> None:
    check(*CASES[case], tmp_path)


@pytest.mark.parametrize("case", CHOSEN)
def test_options_hold_for_what_is_added(case: str, tmp_path: Path) -> None:
    given, options, expected = CHOSEN[case]
    check(given, expected, tmp_path, **options)


@pytest.mark.parametrize("chain", ["sigmoid", "softmax", "softmax(axis=0)"])
@pytest.mark.parametrize("null", ["", "NA"])
def test_what_is_added_is_what_would_have_replaced(chain: str, null: str, tmp_path: Path) -> None:
    """In many blocks, with nulls and without, compressed or not, for any number of workers."""
    lines = [f"{i},{null if i % 7 == 3 else i % 100 / 8},t{i},{-i / 3}" for i in range(90_000)]
    source = tmp_path / "in.csv"
    source.write_text("\n".join(["id,a,t,b", *lines]))
    replaced = text_of(convert(chain, source, tmp_path / "r.csv")).split("\n")
    whole = [
        f"{line},{a if a != 'NA' else ''},{b}"
        for line, (_, a, _, b) in zip(lines, (r.split(",") for r in replaced[1:]), strict=True)
    ]
    expected = "\n".join(["id,a,t,b,a_p,b_p", *whole])
    for name, jobs in (("1.csv", 1), ("2.csv", 2), ("3.csv.gz", None)):
        done = convert(chain, source, tmp_path / name, suffix="_p", jobs=jobs)
        assert text_of(done) == expected


TRANSLATED = {
    "to tabs": ("o.tsv", 'a,t,b\r\n1.50,"x,y",NA\r\n-7,"a\tb",2\r\n',
                'a\tt\tb\ta_p\tb_p\n1.50\tx,y\tNA\t1.5\t\n-7\t"a\tb"\t2\t0.0\t2.0\n'),
    "no end": ("o.tsv", 'a,t\n1.50,"x"', "a\tt\ta_p\n1.50\tx\t1.5\n"),
    "no header": ("o.tsv", "1.50,x\n-1,y\n", "1.50\tx\t1.5\n-1\ty\t0.0\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", TRANSLATED)
def test_sources_keep_their_text_where_the_delimiter_changes(case: str, tmp_path: Path) -> None:
    name, given, expected = TRANSLATED[case]
    (tmp_path / "in.csv").write_bytes(given.encode())
    options: dict[str, Any] = {"columns": ("a", "b") if "b" in given[:6] else ()}
    convert("relu", tmp_path / "in.csv", tmp_path / name, suffix="_p", **options)
    assert (tmp_path / name).read_bytes().decode() == expected


ERRORS = {
    "there already": (b"a,a_p\n1.5,2.5\n", ("--suffix", "_p"), "there is a column called 'a_p'"),
    "twice": (b"a,a\n1.5,2.5\n", ("--suffix", "_p"), "two results would be called 'a_p'"),
    "empty": (b"a,b\n1.5,2.5\n", ("--suffix", ""), "there is a column called 'a'"),
    "ragged": (b"a,t\n1.5,x\n2.5\n", ("--suffix", "_p"), "record 2 (line 3) has 1 cell"),
    "to .npy": (b"a,t\n1.5,x\n", ("--suffix", "_p", "--to", "npy"), "npy, which has no columns"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_is_one_line_and_no_output(case: str, tmp_path: Path) -> None:
    data, options, said = ERRORS[case]
    (tmp_path / "in.csv").write_bytes(data)
    code, error = run_here("apply", "relu", tmp_path / "in.csv", tmp_path / "o", *options)
    assert code == (1 if case == "ragged" else 2)
    assert said in error
    assert error.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


def test_a_name_is_refused_before_any_record_is_read(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("a,a_p\n1.5,x\n" + 300_000 * "2.5,y\n" + "z\n")
    with pytest.raises(UsageError, match="called 'a_p'"):
        convert("softmax(axis=0)", tmp_path / "in.csv", tmp_path / "o.csv", suffix="_p")

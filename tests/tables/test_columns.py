"""The right columns are taken, and a wrong name is told with what it may have meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from kact_cli.errors import UsageError
from kact_cli.tables.columns import Column, Kind, select
from tests.tools.run import Kact
from tests.tools.tables import convert, read, write

COLUMNS = [
    Column("id", Kind.INTEGER, "int64"),
    Column("logit_0", Kind.FLOAT, "float"),
    Column("logit_1", Kind.FLOAT, "float"),
    Column("label", Kind.OTHER, "string"),
    Column("embedding", Kind.LIST, "list<item: float>"),
    Column("flag", Kind.BOOLEAN, "bool"),
    Column("price", Kind.DECIMAL, "decimal128(9, 2)"),
    Column("later", Kind.EMPTY, "empty"),
    Column("a,b", Kind.FLOAT, "float"),
    Column("[x]*", Kind.FLOAT, "float"),
]


def names(
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    columns: Sequence[Column] = tuple(COLUMNS),
) -> list[str]:
    """The names of the selected columns; a warning is an error, save that of an identifier."""
    chosen = select(
        columns, include, exclude, lambda said: said[:11] == "column 'id'" or pytest.fail(said)
    )
    assert chosen == sorted(set(chosen))
    return [columns[i].name for i in chosen]


def test_floats_decimals_and_lists_of_them_are_the_default() -> None:
    assert names() == ["logit_0", "logit_1", "embedding", "price", "a,b", "[x]*"]
    assert names(exclude=["embedding,[x]*"]) == ["logit_0", "logit_1", "price", "a,b"]


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (["logit_1"], ["logit_1"]),
        (["logit_1,logit_0"], ["logit_0", "logit_1"]),
        (["logit_1", "id"], ["id", "logit_1"]),
        (["logit_*, id ,"], ["id", "logit_0", "logit_1"]),
        (["logit_?"], ["logit_0", "logit_1"]),
        (["logit_[!0]"], ["logit_1"]),
        (["a,b"], ["a,b"]),
        (["a,b", "id"], ["id", "a,b"]),
        (["[x]*"], ["[x]*"]),
        (["flag", "price", "later"], ["flag", "price", "later"]),
        (["l*"], ["logit_0", "logit_1", "later"]),
        (["*"], [c.name for c in COLUMNS if c.name != "label"]),
        (["id", "id", "i*"], ["id"]),
    ],
)
def test_names_and_globs(include: list[str], expected: list[str]) -> None:
    assert names(include) == expected


def test_exclusion_wins() -> None:
    assert names(["logit_*"], ["logit_0"]) == ["logit_1"]
    assert names(["*"], ["*t*", "id", "a,b"]) == ["embedding", "flag", "price", "[x]*"]


def test_every_column_of_a_name_is_taken() -> None:
    twice = [COLUMNS[1], COLUMNS[3], COLUMNS[1], Column("", Kind.FLOAT, "float")]
    assert select(twice, ["logit_0"]) == [0, 2]
    assert select(twice) == [0, 2, 3]
    assert select(twice, exclude=["logit_0"]) == [3]


def test_letters_are_not_folded() -> None:
    columns = [Column("X", Kind.FLOAT, "float"), Column("x", Kind.FLOAT, "float")]
    assert names(["x"], columns=columns) == ["x"]


@pytest.mark.parametrize(
    ("include", "exclude", "message"),
    [
        (["logit0"], [], "no column 'logit0'; did you mean 'logit_0'?"),
        (["logit_0,lables"], [], "no column 'lables'; did you mean 'label'?"),
        ([], ["embeding"], "no column 'embeding'; did you mean 'embedding'?"),
        (["zz*"], [], "no column matches 'zz*'; there are: id, logit_0, "),
        (["lgoit_*"], [], "no column matches 'lgoit_*'; did you mean 'logit_*'?"),
        ([], ["logits_?"], "no column matches 'logits_?'; did you mean 'logit_*'?"),
        (["label"], [], "column 'label' is string, not numeric"),
        (["logit_*,label"], [], "column 'label' is string, not numeric"),
        (["logit_*"], ["*"], "no column left to compute; there are: id (int64), logit_0 (float)"),
    ],
)
def test_refusals(include: list[str], exclude: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(COLUMNS, include, exclude)
    assert str(caught.value).startswith(message)


def test_a_column_without_a_name_is_seen_in_a_message() -> None:
    columns = [Column(name, Kind.FLOAT, "float") for name in ("", "ab", "xyz")]
    for include, exclude, there in ((["q"], [], "'', ab, xyz"), ([], ["*"], "'' (float), ab")):
        with pytest.raises(UsageError, match=re.escape(f"there are: {there}")):
            select(columns, include, exclude)


def test_no_columns_at_all() -> None:
    with pytest.raises(UsageError, match="there are: none"):
        select([])


def test_integers_are_taken_where_there_is_nothing_else_and_it_is_said() -> None:
    said: list[str] = []
    columns = [*COLUMNS[:1], Column("n", Kind.INTEGER, "int8"), COLUMNS[5], COLUMNS[7]]
    assert select(columns, warn=said.append) == [1]
    assert said == ["no floating-point columns; taking the integer ones: n"]
    assert names(["n"], columns=columns) == ["n"]
    with pytest.raises(UsageError, match="no column holds numbers but identifiers: id; -c takes"):
        select(columns, exclude=["n"])
    assert select(columns, ["id"]) == [0]
    with pytest.raises(UsageError):
        select(columns, exclude=["id", "n"])


def test_integers_are_taken_with_one_line_on_standard_error(kact: Kact, tmp_path: Path) -> None:
    text = b"n,t\n-1,a\n2,b\n"
    for to in ("csv", "arrows"):
        done = kact("apply", "relu", "--to", to, stdin=text)
        line = b"kact: warning: no floating-point columns; taking the integer ones: n\n"
        assert done.stderr == line
    assert kact("apply", "relu", "-q", stdin=text).stderr == b""
    assert kact("apply", "relu", "-c", "n", stdin=text).stdout == b"n,t\n0.0,a\n2.0,b\n"


def test_an_empty_column_takes_part_when_it_is_named(kact: Kact) -> None:
    text = b"x,e\n-1.5,\n2.5,\n"
    assert kact("apply", "relu", stdin=text).stdout == b"x,e\n0.0,\n2.5,\n"
    late = text + b"3.5,\n" * 300_000 + b"-4.5,-5.5\n"
    assert kact("apply", "relu", "-c", "x,e", stdin=late).stdout.endswith(b"3.5,\n0.0,0.0\n")
    assert kact("apply", "relu", "--exclude", "e", stdin=late).stdout.endswith(b"\n0.0,-5.5\n")


def test_a_text_column_that_is_named_is_refused(refused: Kact) -> None:
    done = refused("apply", "relu", "-c", "t", stdin=b"x,t\n1.5,a\n", code=2)
    said = b"kact: error: standard input: column 't' is text, not numeric (line 2: 'a')\n"
    assert done.stderr == said


def test_the_environment_names_columns_a_list_a_line(kact: Kact) -> None:
    text = b"my x,y,z\n-1.5,-1.5,-1.5\n"
    run = kact("apply", "relu", stdin=text, KACT_COLUMNS="my x,y\nz", KACT_EXCLUDE="y")
    assert run.stdout == b"my x,y,z\n0.0,-1.5,0.0\n"
    run = kact("apply", "relu", "-c", "y", stdin=text, KACT_COLUMNS="my x")
    assert run.stdout == b"my x,y,z\n-1.5,0.0,-1.5\n"


def test_of_many_columns_the_first_are_named(kact: Kact) -> None:
    text = ",".join(f"c{i}" for i in range(1400)) + "\n" + ",".join(["-1"] * 1400) + "\n"
    done = kact("apply", "relu", stdin=text.encode())
    assert done.stderr.endswith(
        b" ones: " + b"".join(b"c%d, " % i for i in range(19)) + b"c19 and 1,380 more\n"
    )


INDEX = {
    "a float index": (b'{"index_columns": ["t"]}', ["x"]),
    "of two levels": (b'{"index_columns": [null, "t"]}', ["x"]),
    "a range": (b'{"index_columns": [{"kind": "range", "start": 0}]}', ["x", "t"]),
    "none": (b"{}", ["x", "t"]),
    "no JSON": (b"\xff", ["x", "t"]),
    "no list": (b'{"index_columns": 5}', ["x", "t"]),
    "no dict": (b"[]", ["x", "t"]),
    "no end": (b"[" * 100_000, ["x", "t"]),
}


@pytest.mark.parametrize("case", INDEX)
@pytest.mark.parametrize("to", ["parquet", "arrow", "npy"])
def test_the_index_of_a_data_frame_takes_no_part(tmp_path: Path, case: str, to: str) -> None:
    metadata, expected = INDEX[case]
    columns = {name: [-1.5, 2.5] for name in ("x", "t")}
    table = pa.table(columns).replace_schema_metadata({b"pandas": metadata})
    write(table, tmp_path / "in.parquet")
    out = convert("relu", tmp_path / "in.parquet", tmp_path / f"out.{to}")
    if to == "npy":
        assert len(read(out)) == len(expected)
    else:
        assert [n for n, values in read(out).items() if values == [0.0, 2.5]] == expected

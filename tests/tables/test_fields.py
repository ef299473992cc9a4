"""Fields of structs take part by their dotted names, and all around them stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.errors import UsageError
from tests.tools.job import job_of, run
from tests.tools.run import Kact, run_here
from tests.tools.tables import convert, read_ipc, write

ROWS: list[Any] = [
    {"x": 1.5, "y": [1.0, -1.0], "deep": {"z": -3, "t": "a"}, "t": "p"},
    None,
    {"x": -2.5, "y": None, "deep": None, "t": None},
    {"x": None, "y": [], "deep": {"z": None, "t": None}, "t": "q"},
    {"x": 0.5, "y": [None, 2.0], "deep": {"z": 4, "t": "b"}, "t": ""},
]
EMB = pa.struct(
    [
        ("x", pa.float32()),
        ("y", pa.list_(pa.float64())),
        ("deep", pa.struct([("z", pa.int64()), ("t", pa.string())])),
        pa.field("t", pa.string(), metadata={"k": "v"}),
    ]
)
TABLE = pa.table(
    {"id": range(5), "emb": pa.array(ROWS, EMB), "a": pa.array([-1.0, 2.0, None, -4.0, 5.0])}
)


def relu(value: Any) -> Any:
    if isinstance(value, list):
        return [relu(v) for v in value]
    return value if value is None else max(value, 0.0)


def with_relu(rows: list[Any], *path: str) -> list[Any]:
    """The rows with relu at the end of that path in each."""
    if not path:
        return [relu(row) for row in rows]
    name, *rest = path
    inner = with_relu([row and row[name] for row in rows], *rest)
    return [row and {**row, name: new} for row, new in zip(rows, inner, strict=True)]


CASES = {
    "emb.x": [("x",)],
    "emb.y": [("y",)],
    "emb.deep.z": [("deep", "z")],
    "emb.x,emb.y": [("x",), ("y",)],
    "emb.*": [("x",), ("y",), ("deep", "z")],
    "emb.deep.*,emb.x": [("x",), ("deep", "z")],
}


@pytest.mark.parametrize("columns", CASES)
@pytest.mark.parametrize("cuts", [(), (1, 4)], ids=["whole", "sliced"])
def test_fields_by_their_names(columns: str, cuts: tuple[int]) -> None:
    done = run("relu", TABLE, cuts, columns=(columns,))
    expected = ROWS
    for path in CASES[columns]:
        expected = with_relu(expected, *path)
    assert done["emb"].to_pylist() == expected
    assert done.drop(["emb"]).equals(TABLE.drop(["emb"]))
    beside = run("relu", TABLE, cuts, columns=(columns,), suffix="_p")
    assert beside.select(TABLE.schema.names).equals(TABLE)
    for path in CASES[columns]:
        added = beside[".".join(("emb", *path)) + "_p"].to_pylist()
        for name in path:
            expected = [row and row[name] for row in expected]
        assert added == expected
        expected = done["emb"].to_pylist()


def test_types_and_nulls_around_a_field_stay() -> None:
    done = run("relu", TABLE, columns=("emb.x",))
    assert done.schema.equals(TABLE.schema, check_metadata=True)
    wide = run("tanh", TABLE, columns=("emb.x", "emb.deep.z"), dtype="f8").schema.field("emb").type
    assert wide.field("x").type == wide.field("deep").type.field("z").type == pa.float64()
    assert wide.field("t").metadata == {b"k": b"v"}
    strict = pa.struct([pa.field("x", pa.float64(), nullable=False)])
    rows = [{"x": -1.0}, None, {"x": 2.0}]
    table = pa.table({"s": pa.array(rows, strict)})
    done = run("relu", table, [2], columns=("s.x",))
    assert done.schema == table.schema
    assert done["s"].to_pylist() == [{"x": 0.0}, None, {"x": 2.0}]
    added = run("relu", table, [2], columns=("s.x",), suffix="_p")
    assert added["s.x_p"].to_pylist() == [0.0, None, 2.0]
    assert added.schema.field("s.x_p").nullable


@pytest.mark.parametrize("of", ["parquet", "arrow"])
@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (pa.float32(), [-1.0, 0.0, 2.0]),
        (pa.int64(), [-1, 0, 2]),
        (pa.list_(pa.float64()), [[-1.0, 3.0], [], [2.0, None]]),
        (pa.list_(pa.list_(pa.float64())), [[[-1.0], [3.0]], [], [[2.0]]]),
    ],
    ids=str,
)
def test_a_field_that_is_never_null_in_a_struct_that_is(
    type_: pa.DataType, values: list[Any], of: str, tmp_path: Path
) -> None:
    """As Spark and protobuf write them; such a field holds something where the struct is null."""
    x = pa.field("x", type_, nullable=False)
    nulls = pa.array([False, True, False])
    s = pa.StructArray.from_arrays([pa.array(values, type_)], fields=[x], mask=nulls)
    source = write(pa.table({"s": s}), tmp_path / f"in.{of}", 2)
    done = convert("relu", source, tmp_path / f"o.{of}", columns=("s.x",))
    table = pq.read_table(done) if of == "parquet" else read_ipc(done)
    table.validate(full=True)
    assert table.schema.field("s").type == s.type
    assert table["s"].to_pylist() == [{"x": relu(values[0])}, None, {"x": relu(values[2])}]


@pytest.mark.parametrize("chain", ["softmax", "softmax(axis=0)", "softmax(axis=none)"])
def test_fields_are_one_tensor_with_columns(chain: str) -> None:
    flat = pa.table({"a": TABLE["a"], "emb.x": TABLE["emb"].combine_chunks().flatten()[0]})
    expected = run(chain, flat, [2], columns=("a", "emb.x"))
    done = run(chain, TABLE, [2], columns=("a", "emb.x"))
    assert done["a"].equals(expected["a"])
    assert done["emb"].combine_chunks().flatten()[0].equals(expected["emb.x"].combine_chunks())


def test_what_a_name_means() -> None:
    assert job_of("relu", TABLE.schema).names == ["a"]
    assert job_of("relu", TABLE.schema, columns=("*",)).names == ["id", "a"]
    assert job_of("relu", TABLE.schema, columns=("*.x",)).names == ["emb.x"]
    own = TABLE.append_column("emb.x", pa.array([1.0] * 5))
    done = run("relu", own, columns=("emb.x",))
    assert done["emb"].equals(TABLE["emb"])
    for columns, said in (
        ("emb", "whose fields are named one by one, as emb.x"),
        ("emb.t", "column 'emb.t' is string, not numeric"),
        ("emb.deep", "as emb.deep.z"),
        ("emb.q", "no column 'emb.q'; did you mean"),
    ):
        with pytest.raises(UsageError) as caught:
            job_of("relu", TABLE.schema, columns=(columns,))
        assert said in str(caught.value)
    named = own.rename_columns(["id", "emb", "a", "emb.x_p"]).schema
    with pytest.raises(UsageError, match=r"called 'emb\.x_p'"):
        job_of("relu", named, columns=("emb.x",), suffix="_p")


@pytest.mark.parametrize("more", [(), ("--suffix", "_p")], ids=["in place", "beside"])
def test_a_batch_counts_in_fields(more: tuple[str, ...], tmp_path: Path) -> None:
    rows = [{"x": float("inf")}, None, {"x": float("nan")}, {"x": 1e9}]
    source = write(pa.table({"id": range(4), "s": pa.array(rows)}), tmp_path / "in.parquet")
    words = ("batch", "exponential", source, "-o", tmp_path / "out", "-c", "s.x", "-q", *more)
    assert run_here(*words, "--report", tmp_path / "r.json") == (0, "")
    (entry,) = json.loads((tmp_path / "r.json").read_text())["files"]
    assert entry["rows"] == 4
    assert entry["nan"] == {"in": 1, "out": 1}
    assert entry["inf"] == {"in": 1, "out": 2}


@pytest.mark.parametrize("of", ["parquet", "arrow", "arrows"])
def test_in_files(of: str, tmp_path: Path) -> None:
    source = write(TABLE, tmp_path / f"in.{of}", 2)
    for options in ({}, {"suffix": "_p"}):
        target = convert("relu", source, tmp_path / f"o.{of}", columns=("emb.x", "a"),
                         overwrite=True, **options)  # fmt: skip
        done = pq.read_table(target) if of == "parquet" else read_ipc(target)
        assert done["id"].to_pylist() == list(range(5))
        kept = ROWS if options else with_relu(ROWS, "x")
        assert done["emb"].to_pylist() == kept
        assert done["a_p" if options else "a"].to_pylist() == [0.0, 2.0, None, 0.0, 5.0]
    code, said = run_here("explain", "relu", source, "-c", "emb.x", "--suffix", "_p")
    assert (code, said) == (0, "")
    assert run_here("apply", "relu", source, "-c", "emb.*", "--preview", "result") == (0, "")


def test_what_only_reads_knows_them(kact: Kact, tmp_path: Path) -> None:
    """Each field of numbers is a column to inspect and compare, by default and by name."""
    source = write(TABLE, tmp_path / "in.parquet", 2)
    other = convert("relu", source, tmp_path / "o.parquet", columns=("emb.x",))
    found = json.loads(kact("inspect", "--stats", "--json", source).stdout)
    assert [c["name"] for c in found["columns"]] == ["id", "emb", "a"]
    assert list(found["fields"]) == ["emb.x", "emb.y", "emb.deep.z"]
    assert (found["fields"]["emb.x"]["stats"]["least"]) == -2.5
    assert b"emb.x" in kact("inspect", "--stats", "-c", "emb.x", source).stdout
    assert kact("compare", source, other, "--exclude", "emb.x").stdout.endswith(b"equal\n")
    told = kact("compare", source, other, code=1).stdout.decode()
    assert "1 value differs" in told
    assert "emb.deep.t" not in told.partition("not compared")[0]

"""What is noted of the columns stays true: of those that changed, and those that were added."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from kact_cli.tables.metadata import OTHERS, true_metadata

BEFORE = pa.schema([("x", pa.int64()), ("lists", pa.list_(pa.float32())), ("name", pa.string())])


def noted(name: str, pandas_type: str, numpy_type: str) -> dict[str, Any]:
    return {
        "name": name,
        "field_name": name,
        "pandas_type": pandas_type,
        "numpy_type": numpy_type,
        "metadata": None,
    }


NAME = noted("name", "unicode", "object")


def columns(held: str, after: pa.Schema, computed: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """What pandas finds, which held x as `held`."""
    known = [noted("x", "int64", held), noted("lists", "list[float]", "object"), NAME]
    text = json.dumps({"columns": known, "index_columns": []})
    made, left_out = true_metadata(
        BEFORE.with_metadata({"pandas": text, "mine": "kept"}), after, computed
    )
    assert left_out == []
    assert made is not None
    assert made[b"mine"] == b"kept"
    found: list[dict[str, Any]] = json.loads(made[b"pandas"])["columns"]
    return found


@pytest.mark.parametrize(
    ("held", "type_", "pandas_type", "numpy_type"),
    [
        ("int64", pa.float64(), "float64", "float64"),
        ("int64", pa.float16(), "float16", "float16"),
        ("Int64", pa.float32(), "float32", "Float32"),
        ("Int64", pa.float16(), "float16", "float16"),
        ("int64[pyarrow]", pa.float64(), "float64", "double[pyarrow]"),
        ("object", pa.list_(pa.list_(pa.float64())), "list[list[float64]]", "object"),
    ],
)
def test_pandas_finds_the_new_type(
    held: str, type_: pa.DataType, pandas_type: str, numpy_type: str
) -> None:
    new = noted("x", pandas_type, numpy_type)
    assert columns(held, BEFORE.set(0, pa.field("x", type_)), [(0, 0)])[0] == new
    found = columns(held, BEFORE.append(pa.field("x_p", type_)), [(0, 3)])
    assert found[0] == noted("x", "int64", held)
    assert found[-1] == {**new, "name": "x_p", "field_name": "x_p"}
    assert found[2] == NAME


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["unicode"], ["unicode"]),
        (["empty"], ["empty"]),
        (["int64"], ["unicode"]),
        (["datetime"], ["unicode"]),
        (["unicode", "unicode"], ["unicode"]),
    ],
)
def test_names_that_are_no_text_are_text_beside_one_that_is(
    kinds: list[str], expected: list[str]
) -> None:
    indexes = [noted("None", kind, "object") for kind in kinds]
    text = json.dumps({"columns": [noted("x", "int64", "int64")], "column_indexes": indexes})
    before = BEFORE.with_metadata({"pandas": text})
    for after, at, wanted in (
        (BEFORE.append(pa.field("x_p", pa.float64())), 3, expected),
        (BEFORE.set(0, pa.field("x", pa.float64())), 0, kinds),
    ):
        made, _ = true_metadata(before, after, [(0, at)])
        assert made is not None
        found = json.loads(made[b"pandas"])["column_indexes"]
        assert [index["pandas_type"] for index in found] == wanted


@pytest.mark.parametrize("text", ["{", "[]", '{"columns": 1}', '{"columns": [{}]}'])
def test_what_pandas_never_wrote_stays(text: str) -> None:
    before = BEFORE.with_metadata({"pandas": text})
    after = BEFORE.set(0, pa.field("x", pa.float64()))
    assert true_metadata(before, after, [(0, 0)]) == (before.metadata, [])


def test_what_others_note_is_left_out_only_where_it_is_no_longer_true() -> None:
    before = BEFORE.with_metadata(dict.fromkeys(OTHERS, b"x") | {b"mine": b"kept"})
    assert true_metadata(before, BEFORE, [(0, 0)]) == (before.metadata, [])
    after = BEFORE.set(0, pa.field("x", pa.float64()))
    kept, left_out = true_metadata(before, after, [(0, 0)])
    assert kept == {b"mine": b"kept"}
    assert left_out == [key.decode() for key in OTHERS]

"""What the metadata of a table say of its columns, after some have changed or been added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from kact_cli.tables.schema import is_list, numpy_dtype

PANDAS = b"pandas"
OTHERS = (
    b"org.apache.spark.sql.parquet.row.metadata",
    b"avro.schema",
    b"parquet.avro.schema",
    b"iceberg.schema",
    b"huggingface",
)
"""Where other programs say once more what the columns are."""
_NAMES = {
    "name": None,
    "field_name": None,
    "pandas_type": "unicode",
    "numpy_type": "object",
    "metadata": {"encoding": "UTF-8"},
}
"""What pandas notes of columns whose names are text."""


def true_metadata(
    before: pa.Schema, after: pa.Schema, computed: Sequence[tuple[int, int]]
) -> tuple[dict[bytes, bytes] | None, list[str]]:
    """The metadata of `before` made true of `after`, and the names of those left out.

    `computed` are positions of columns of `before`, and in `after` of what comes of each. What
    pandas notes of the columns is brought up to date; what other programs note, and would read the
    file by, is left out. All else stays.
    """
    changed = [(i, at) for i, at in computed if at != i or after[at].type != before[i].type]
    if not before.metadata or not changed:
        return before.metadata, []
    metadata = dict(before.metadata)
    left_out = [key for key in OTHERS if metadata.pop(key, None) is not None]
    if PANDAS in metadata:
        metadata[PANDAS] = _pandas(metadata[PANDAS], before, after, changed)
    return metadata, [key.decode() for key in left_out]


def _pandas(
    text: bytes, before: pa.Schema, after: pa.Schema, changed: Sequence[tuple[int, int]]
) -> bytes:
    """https://pandas.pydata.org/docs/development/developer.html

    Names that are numbers, dates or tuples become text where a column is added, whose name is.
    """
    import json  # few tables have been pandas's

    try:
        noted = json.loads(text)
        columns: list[dict[str, Any]] = noted["columns"]
        known = {column.get("field_name", column["name"]): column for column in columns}
        for i, at in changed:
            name = after[at].name
            old = known.get(before[i].name)
            if old and not pa.types.is_struct(after[at].type):
                new = {**old, **_types(str(old["numpy_type"]), after[at].type), "metadata": None}
                if at == i:
                    old |= new
                else:
                    columns.append({**new, "name": name, "field_name": name})
        kinds = [index["pandas_type"] for index in noted.get("column_indexes") or ()]
        if any(at != i for i, at in changed) and kinds not in ([], ["unicode"], ["empty"]):
            noted["column_indexes"] = [_NAMES]
        return json.dumps(noted, ensure_ascii=False).encode()
    except (ValueError, LookupError, TypeError, AttributeError):
        return text  # It was never read by pandas


def _types(numpy_type: str, type_: pa.DataType) -> dict[str, str]:
    """The types that pandas notes of a column of `type_`, which it held as `numpy_type` before."""
    name, lists = numpy_dtype(type_).name, 0
    held = name
    if numpy_type.endswith("[pyarrow]"):
        held = f"{type_}[pyarrow]"
    elif numpy_type[:1].isupper() and name in ("float32", "float64"):
        held = name.capitalize()  # its own types that have nulls: Int64, Float64
    while is_list(type_):
        type_, lists = type_.value_type, lists + 1
    return {
        "pandas_type": "list[" * lists + name + "]" * lists,
        "numpy_type": "object" if lists and held == name else held,
    }

"""`--suffix`: results are added after the last column, and all that was there stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tools.run import run_here
from tests.tools.tables import convert, every_kind, measured, read, read_ipc, text_of, write
from tests.tools.tensors import npy

FORMATS = ["parquet", "arrow", "arrows"]
COMPUTED = ("f32", "f64", "f16", "required", "list", "large", "half_list", "fixed", "nested",
            "tensor")  # fmt: skip


def read_table(path: Path) -> pa.Table:
    return pq.read_table(path) if path.suffix == ".parquet" else read_ipc(path)


def check_added(source: Path, target: Path, replaced: Path, names: tuple[str, ...]) -> None:
    """`target` is `source`, and beside it what in `replaced` has taken the columns' places."""
    before, after, instead = map(read_table, (source, target, replaced))
    assert after.schema.names == [*before.schema.names, *(f"{name}_p" for name in names)]
    assert after.schema.metadata == before.schema.metadata
    for name in before.schema.names:
        assert after.schema.field(name).equals(before.schema.field(name), check_metadata=True)
        assert repr(after[name].to_pylist()) == repr(before[name].to_pylist())
    for name in names:
        assert after[f"{name}_p"].type == instead[name].type
        assert repr(after[f"{name}_p"].to_pylist()) == repr(instead[name].to_pylist())


@pytest.mark.parametrize("of", FORMATS)
@pytest.mark.parametrize("options", [{}, {"dtype": np.dtype("f8")}], ids=["as it is", "float64"])
def test_every_kind_of_column(of: str, options: dict[str, Any], tmp_path: Path) -> None:
    source = write(every_kind(), tmp_path / f"in.{of}", 17)
    target, replaced = tmp_path / f"o.{of}", tmp_path / f"r.{of}"
    convert("sigmoid", source, target, columns=COMPUTED, suffix="_p", **options)
    convert("sigmoid", source, replaced, columns=COMPUTED, **options)
    check_added(source, target, replaced, COMPUTED)


@pytest.mark.parametrize("of", FORMATS)
@pytest.mark.parametrize("chain", ["softmax", "softmax(axis=0)", "relu,softmax(axis=none)"])
def test_across_and_down(of: str, chain: str, tmp_path: Path) -> None:
    source = write(measured().drop(["lists"]), tmp_path / f"in.{of}", 700)
    target = convert(chain, source, tmp_path / f"o.{of}", suffix="_p")
    replaced = convert(chain, source, tmp_path / f"r.{of}")
    check_added(source, target, replaced, ("logit_a", "logit_b"))


@pytest.mark.parametrize("of", FORMATS)
def test_what_is_noted_of_a_column_is_not_noted_of_its_result(of: str, tmp_path: Path) -> None:
    inner = pa.field("element", pa.float32(), metadata={"PARQUET:field_id": "3"})
    fields = [
        pa.field("a", pa.float32(), nullable=False, metadata={"PARQUET:field_id": "1", "u": "m"}),
        pa.field("v", pa.list_(inner), metadata={"PARQUET:field_id": "2"}),
    ]
    arrays = [pa.array([1.5, -2.5], pa.float32()), pa.array([[1.0], []], pa.list_(inner))]
    source = write(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), tmp_path / f"in.{of}")
    after = read_table(convert("relu", source, tmp_path / f"o.{of}", suffix="_p")).schema
    assert after.field("a").metadata[b"u"] == b"m"
    assert after.field("a_p") == pa.field("a_p", pa.float32(), nullable=False)
    ids = [after.field(n).metadata for n in ("a", "v", "a_p", "v_p")]
    assert ids[0][b"PARQUET:field_id"] == b"1"
    assert ids[1][b"PARQUET:field_id"] == b"2"
    assert not any(b"PARQUET:field_id" in (found or {}) for found in ids[2:])


@pytest.mark.parametrize("to", ["csv", "tsv", "csv.gz", "parquet", "arrow", "arrows"])
@pytest.mark.parametrize("of", ["csv", "tsv", "parquet", "arrow", "arrows", "npy"])
def test_from_every_format_to_every_table(of: str, to: str, tmp_path: Path) -> None:
    numbers = pa.table({"c0": [1.5, -2.5, 1e300], "c1": [0.25, 3.0, -0.125]})
    source = write(numbers, tmp_path / f"in.{of}")
    found = read(convert("relu", source, tmp_path / f"o.{to}", suffix="_p"))
    before = numbers.to_pydict()
    assert found == before | {"c0_p": [1.5, 0.0, 1e300], "c1_p": [0.25, 3.0, 0.0]}


def test_an_added_column_is_packed_as_its_source(tmp_path: Path) -> None:
    table = measured().select(["logit_a", "text", "lists"])
    codecs = {"logit_a": "zstd", "text": "gzip", "lists.list.element": "none"}
    source = write(table, tmp_path / "in.parquet", compression=codecs)
    target = convert("relu", source, tmp_path / "o.parquet", suffix="_p")
    group = pq.read_metadata(target).row_group(0)
    found = [group.column(i).compression for i in range(5)]
    assert found == ["ZSTD", "GZIP", "UNCOMPRESSED", "ZSTD", "UNCOMPRESSED"]


def test_only_what_is_new_goes_to_a_tensor(tmp_path: Path) -> None:
    """No way for a user, who is told that there are no columns; the library writes the results."""
    source = write(measured().select(["text", "logit_a"]), tmp_path / "in.parquet")
    target = convert("relu", source, tmp_path / "o.npy", suffix="_p")
    assert read(target) == read(convert("relu", source, tmp_path / "r.npy"))


@pytest.mark.parametrize("of", FORMATS)
def test_a_name_that_exists_is_an_error(of: str, tmp_path: Path) -> None:
    write({"a": [1.5], "a_p": [2.5]}, tmp_path / f"in.{of}")
    code, said = run_here("apply", "relu", tmp_path / f"in.{of}", tmp_path / "o", "--suffix", "_p")
    assert code == 2
    assert said.endswith("there is a column called 'a_p'; choose another --suffix\n")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("of", ["npy", "npz", "safetensors"])
@pytest.mark.parametrize("command", ["apply", "chain", "batch", "explain", "--preview"])
def test_what_has_no_columns_says_so(of: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "in.npy").write_bytes(npy(np.ones((2, 2), "f4")))
    if of != "npy":
        convert("relu", tmp_path / "in.npy", tmp_path / f"in.{of}")
    given = [tmp_path / f"in.{of}", "--suffix", "_p"]
    words: list[Any] = {
        "apply": ["apply", "relu", *given, tmp_path / f"o.{of}"],
        "chain": ["chain", "relu", *given, tmp_path / f"o.{of}"],
        "batch": ["batch", "relu", *given, "-o", tmp_path / "out"],
        "explain": ["explain", "relu", *given],
        "--preview": ["apply", "relu", *given, "--preview", "result"],
    }[command]
    code, said = run_here(*words)
    assert code == 2
    assert f"--suffix has no effect from {of} to {of}, which has no columns" in said
    assert len(list(tmp_path.iterdir())) == 1 + (of != "npy")


def test_batch_counts_what_is_added(tmp_path: Path) -> None:
    write({"a": [1.5, float("nan"), -1e30], "b": [float("inf"), 2.0, 3.0]}, tmp_path / "in.parquet")
    (tmp_path / "in.csv").write_text("t,a\nx,1.5\ny,nan\nz,1e9\n")
    out = tmp_path / "out"
    run_here("batch", "exponential", tmp_path / "in.parquet", tmp_path / "in.csv", "-o", out,
             "--suffix", "_e", "--report", tmp_path / "report.json")  # fmt: skip
    assert text_of(out / "in.csv").startswith("t,a,a_e\nx,1.5,4.48")
    report = json.loads((tmp_path / "report.json").read_text())
    found = {Path(f["input"]).suffix: (f["nan"], f["inf"]) for f in report["files"]}
    assert found[".parquet"] == ({"in": 1, "out": 1}, {"in": 1, "out": 1})
    assert found[".csv"] == ({"in": 1, "out": 1}, {"in": 0, "out": 1})

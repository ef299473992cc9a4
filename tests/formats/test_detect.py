"""Which format an output gets, and which options have no effect there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kact_cli.chain import Chain
from kact_cli.errors import UsageError
from kact_cli.formats.declared import CSV, FORMATS, NAMED, NPY, PARQUET, Format
from kact_cli.formats.detect import output_format
from kact_cli.options import Concern, Options
from kact_cli.reports.explain import explain
from kact_cli.reports.preview import preview
from tests.tools.tables import convert, write

REFUSED = [
    *("out.json", "out.jsonl", "out.xlsx", "out.pt", "out.pkl", "out.h5", "out.orc"),
    *("out.avro", "out.JSON"),
    *(
        "out.csv.bz2",
        "out.csv.gzip",
        "out.csv.xz",
        "out.txt.bz2",
        "out.npy.gz",
        "out.parquet.gz",
        "out.json.gz",
    ),
    *("out.parqet", "out.parq", "out.par", "out.parquett", "out.praquet", "out.arow", "out.cvs"),
    *("out.md", "out.html", "out.xml", "out.yaml", "out.py", "out.svg", "out.csv.tar"),
    *("out.hex", "out.mem", "out.h", "out.c"),
    *("out.csvv", "out.np", "out.npu", "out.feater", "a.b/out.tvs", "out.zip", "out.tar"),
]


@pytest.mark.parametrize("source", [NPY, CSV, PARQUET])
@pytest.mark.parametrize("name", REFUSED)
def test_a_suffix_of_something_else_is_refused(name: str, source: Format) -> None:
    with pytest.raises(UsageError, match="--to") as refusal:
        output_format(name, source)
    assert str(refusal.value).startswith("out." if "/" not in name else "a.b/")
    assert output_format(name, source, "csv") is CSV


KEPT = (
    "out",
    "out.txt",
    "out.dat",
    "out.bin",
    "out.tmp",
    "out.bak",
    "out.old",
    "data.2026-11",
    "v1.2",
    "-",
)
KEPT += ("out.csv/x", "/dev/null", ".")


@pytest.mark.parametrize("source", FORMATS)
def test_a_suffix_that_means_nothing_keeps_the_format(source: Format) -> None:
    for name in KEPT:
        assert output_format(name, source) is source
    for suffix in (s for f in FORMATS for s in f.suffixes):
        assert suffix in output_format(f"x{suffix.upper()}", source).suffixes
    assert output_format("out.txt.gz", CSV) is CSV


def test_a_compressed_name_is_csv_alone() -> None:
    with pytest.raises(UsageError, match=r"writes no \.gz"):
        output_format("out.txt.gz", NPY)


TO_CSV = Concern("--float-format", "output", (CSV.name,))
IN_TABLES = Concern("--columns", "input", NAMED)
EITHER_CSV = Concern("--delimiter", "input or output", (CSV.name,))
WHERE = [
    (TO_CSV, "npy", "csv", True),
    (TO_CSV, "csv", "npy", False),
    (TO_CSV, "csv", "parquet", False),
    (IN_TABLES, "npy", "csv", False),
    (IN_TABLES, "csv", "npy", True),
    (IN_TABLES, "parquet", "arrow", True),
    (EITHER_CSV, "npy", "csv", True),
    (EITHER_CSV, "csv", "npy", True),
    (EITHER_CSV, "parquet", "arrow", False),
]


@pytest.mark.parametrize(("concern", "source", "target", "good"), WHERE)
def test_an_option_that_was_typed_has_an_effect(
    tmp_path: Path, concern: Concern, source: str, target: str, good: bool
) -> None:
    path = write({"a": [1.5, -2.5], "b": [0.5, 1.0]}, tmp_path / f"x.{source}")
    options = {"typed": (concern,), "target_format": target}
    if good:
        convert("relu", path, tmp_path / "out", **options)
        preview(Chain.parse("relu"), str(path), Options(**options))
        return
    for _ in range(2):
        with pytest.raises(UsageError, match=f"{concern.flag} has no effect"):
            convert("relu", path, tmp_path / "out", **options)
    with pytest.raises(UsageError, match=f"{concern.flag} has no effect"):
        preview(Chain.parse("relu"), str(path), Options(**options))
    assert list(tmp_path.iterdir()) == [path]


def test_explain_and_inspect_refuse_the_same(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    options = Options(typed=(IN_TABLES,))
    with pytest.raises(UsageError, match="--columns has no effect"):
        list(explain(Chain.parse("relu"), str(tmp_path / "x.npy"), options))

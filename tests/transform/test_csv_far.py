"""A fault far down a CSV is told with its record and line, whoever reads that part of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.run import run_here

RECORDS = 1_000_000
CELL = {"odd": b"?", "comma": b"2,5"}
SAID = {
    "odd": "column 'v', record {0} (line {1}): '?' is not a number; --null '?' reads it as missing",
    "comma": "record {0} (line {1})",
}
HOW: dict[str, list[str]] = {
    "by default": [],
    "by name, one job": ["-c", "v", "--jobs", "1"],
    "by glob, two jobs": ["-c", "v*", "--jobs", "2"],
    "three jobs": ["--jobs", "3"],
}


@pytest.fixture(scope="module")
def records() -> list[bytes]:
    return [b"%d,1.5" % i for i in range(1, RECORDS + 1)]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("at", "fault"), [(500_001, "odd"), (RECORDS, "odd"), (700_001, "comma")])
def test_record_and_line(
    records: list[bytes], tmp_path: Path, at: int, fault: str, how: str
) -> None:
    changed = [*records[: at - 1], b"%d,%b" % (at, CELL[fault]), *records[at:]]
    path = tmp_path / "in.csv"
    path.write_bytes(b"# one line more\nid,v\n" + b"\n".join(changed) + b"\n")
    code, said = run_here("apply", "relu", *HOW[how], path, tmp_path / "out.csv")
    assert (code, said.count("\n")) == (1, 1)
    assert SAID[fault].format(f"{at:,}", f"{at + 2:,}") in said
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("how", HOW)
def test_quote_that_is_never_closed(records: list[bytes], tmp_path: Path, how: str) -> None:
    path, at = tmp_path / "in.csv", 900_001
    path.write_bytes(b"id,v\n" + b"\n".join([*records[: at - 1], b'5,"1.5', *records[at:]]))
    code, said = run_here("apply", "relu", *HOW[how], path, tmp_path / "out.csv")
    assert (code, said.count("\n")) == (1, 1)
    assert f"record {at:,} (line {at + 1:,})" in said
    assert list(tmp_path.iterdir()) == [path]

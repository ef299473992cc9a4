"""What a run says: failures, warnings, the report, the display."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli.batch.report import STATUSES
from tests.tools.run import Kact, all_shown, command, environment, tree
from tests.tools.tensors import save


def test_first_failure_ends_the_run_and_all_are_listed_with_keep_going(
    data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    (data / "bad.npy").write_bytes(b"no numbers")
    (data / "x/\x1b[31m[bold]worse.parquet").write_bytes(b"PAR1")
    for jobs in (1, 2):
        report = ("--report", tmp_path / "report.json")
        run = ("batch", "relu", data, "-o", tmp_path / "one", "-j", jobs, "--overwrite")
        one = refused(*run, *report)
        assert b"bad.npy" in one.stderr or b"worse.parquet" in one.stderr
        found = json.loads(report[1].read_text())
        became = [file["status"] for file in found["files"]]
        assert len(became) == 6
        assert all(found[status] == became.count(status) for status in STATUSES)
        assert found["failed"] >= 1
        assert found["unfinished"] >= 1
        out = tmp_path / f"out{jobs}"
        done = kact("batch", "relu", data, "-o", out, "-j", jobs, "--keep-going", code=1)
        lines = done.stderr.decode().splitlines()
        assert len(lines) == 3
        assert "bad.npy" in lines[0]
        assert "x/\\x1b[31m[bold]worse.parquet" in lines[1]
        assert lines[2] == "kact: error: 2 of 6 files failed"
        assert sorted(tree(out)) == ["a.npy", "x/b.npy", "x/t.csv", "x/y/c.npy"]


def test_axis_that_one_file_has_not_is_its_failure(data: Path, kact: Kact, tmp_path: Path) -> None:
    save(data / "deep.npy", 2, 3, 4)
    done = kact(
        "batch", "softmax(axis=2)", data, "--include", "*.npy", "-o", tmp_path / "out", "-k", code=1
    )
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 4
    assert all(f"{data}/" in line and "axis 2 is out of range" in line for line in lines[:3])
    assert list(tree(tmp_path / "out")) == ["deep.npy"]


def test_report_counts_what_is_there(kact: Kact, tmp_path: Path) -> None:
    bad, inf = float("nan"), float("inf")
    save(tmp_path / "in/n.npy", 1)
    np.save(tmp_path / "in/n.npy", np.array([[bad, 1.0, -inf], [inf, bad, 0.0]], ">f4"))
    np.save(tmp_path / "in/i.npy", np.arange(7))
    (tmp_path / "in/t.csv").write_text("id,v\n1,nan\n2,\n3,inf\n4,-inf\n")
    lists = pa.array([[1.0, bad], None, [], [inf]], pa.list_(pa.float64()))
    table = pa.table({"id": [1, 2, 3, 4], "l": lists, "h": pa.array([bad, None, 1, 2], "f4")})
    pq.write_table(table, tmp_path / "in/p.parquet")
    (tmp_path / "in/x.npy").write_bytes(b"")
    out, report = tmp_path / "out", tmp_path / "report.json"
    for jobs in (1, 2):
        args = ["batch", "softsign", tmp_path / "in", "-o", out, "-k", "--overwrite", "-j", jobs]
        kact(*args, "--report", report, code=1)
        found = json.loads(report.read_text())
        files = {Path(f["input"]).name: f for f in found["files"]}
        assert (found["done"], found["failed"], found["chain"]) == (4, 1, "softsign")
        assert files["x.npy"]["status"] == "failed"
        assert "x.npy" in files["x.npy"]["error"]
        counts = {n: (f["rows"], f["nan"], f["inf"]) for n, f in files.items() if "rows" in f}
        # softsign of an infinity is NaN
        assert counts == {
            "n.npy": (2, {"in": 2, "out": 4}, {"in": 2, "out": 0}),
            "i.npy": (7, {"in": 0, "out": 0}, {"in": 0, "out": 0}),
            "t.csv": (4, {"in": 1, "out": 3}, {"in": 2, "out": 0}),
            "p.parquet": (4, {"in": 2, "out": 3}, {"in": 1, "out": 0}),
        }
        size = (tmp_path / "in/n.npy").stat().st_size
        assert files["n.npy"]["bytes"] == {"in": size, "out": size}
        assert isinstance(files["n.npy"]["seconds"], float)
    kact("batch", "softsign", tmp_path / "in", "-o", out, "--report", report, "-k", code=2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("o.tsv", ("--delimiter", ";")),
        ("o.csv", ("--delimiter", ";", "--float-format", ".1%")),
        ("o.tsv", ()),
    ],
)
def test_an_output_is_counted_as_it_was_written(
    name: str, options: tuple[str, ...], kact: Kact, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("v;w\n1.5;nan\n2.5;0.5\n")
    run = ("apply", "relu", tmp_path / "t.csv", tmp_path / name, "--report", tmp_path / "r.json")
    kact(*run, *options)
    (file,) = json.loads((tmp_path / "r.json").read_text())["files"]
    assert (file["status"], file["rows"], file["nan"]["in"]) == ("done", 2, 1)
    assert file["nan"]["out"] == (0 if "--float-format" in options else 1)


def test_one_file_has_the_same_report(kact: Kact, refused: Kact, tmp_path: Path) -> None:
    source, out, report = tmp_path / "t.csv", tmp_path / "o.csv", tmp_path / "r.json"
    source.write_text("n,v\n1,nan\n2,\n5,inf\n4,-0.5\n")
    kact("batch", "relu", source, "-o", tmp_path / "many", "--report", report)
    many = json.loads(report.read_text())
    for name in ("apply", "chain"):
        args = (name, "relu", source, out, "--overwrite", "--report")
        done = kact(*args, report)
        one = json.loads(report.read_text())
        assert "column 'n' holds whole numbers" in done.stderr.decode()
        assert one["files"][0]["warnings"] == many["files"][0]["warnings"]
        assert one["files"][0].keys() == many["files"][0].keys()
        assert {k: v for k, v in one.items() if k != "files"} == {
            k: v for k, v in many.items() if k != "files"
        }
        assert json.loads(kact(*args, "-").stdout)["files"][0]["rows"] == 4
    kact("apply", "relu", source, tmp_path / "2.csv", "--report", report, "--jobs", "2")
    refused("apply", "relu", source, out, "--report", report, code=2)
    found = json.loads(report.read_text())
    assert (found["failed"], found["files"][0]["status"]) == (1, "failed")
    assert "o.csv exists" in found["files"][0]["error"]
    refused("apply", "relu", source, "--report", report, code=2, stdin=b"")
    again = kact("batch", "relu", source, "-o", tmp_path / "more", "--report", "-").stdout
    assert json.loads(again)["done"] == 1


def test_conversions_are_counted_too(kact: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1.0, np.nan], [np.inf, 2.0]]))
    for name, to in (("a.npy", "csv"), ("1/a.csv", "npy"), ("2/a.npy", "parquet")):
        number = "123"["anp".index(to[0]) if to[0] in "np" else 0]
        out = tmp_path / number
        args = ["batch", "relu", tmp_path / name, "--to", to, "-o", out]
        kact(*args, "--report", tmp_path / "r.json")
        (file,) = json.loads((tmp_path / "r.json").read_text())["files"]
        assert (file["rows"], file["nan"], file["inf"]) == (
            2,
            {"in": 1, "out": 1},
            {"in": 1, "out": 1},
        )


def test_warnings_name_their_files(data: Path, kact: Kact, tmp_path: Path) -> None:
    with open(data / "a.npy", "ab") as file:
        file.write(b"more")
    for jobs in (1, 2):
        args = ["batch", "relu", data, "-o", tmp_path / "out", "--overwrite", "-j", jobs]
        assert b"a.npy: 4 bytes after the tensor were ignored" in kact(*args).stderr
        done = kact(*args, "--quiet")
        assert not done.stderr + done.stdout
        strict = kact(*args[:-1], jobs, "--strict", "-k", "-o", tmp_path / f"s{jobs}", code=2)
        assert b"a.npy: 4 bytes after the tensor were ignored (--strict)" in strict.stderr
        assert len(tree(tmp_path / f"s{jobs}")) == 3


IMPATIENT = """
from kact_cli.cli import main, progress
progress.PATIENCE = progress.BAR_SECONDS = 0.0
main()
"""
"""A kact that shows its progress from the start, so that no test depends on how fast it works."""


def on_terminal(*args: str | Path) -> tuple[int, bytes]:
    """The exit code of kact, and what it wrote to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, *map(str, args)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm"),
    )
    os.close(theirs)
    shown = all_shown(ours)
    return process.wait(60), shown


def test_bar_on_a_terminal_unless_quiet(tmp_path: Path) -> None:
    for number in range(30):
        save(tmp_path / "in" / f"\x1b[31m[bold]{number}.npy", 5_000)
    args = ["batch", "softplus,tanh", tmp_path / "in", "-o", tmp_path / "out", "--jobs", "2"]
    code, shown = on_terminal(*args)
    assert code == 0
    assert b"\\x1b[31m[bold]" in shown
    assert b"\x1b[31m[bold]" not in shown
    assert b"/30 files" in shown
    assert b"files" not in on_terminal(*args, "--overwrite", "--quiet")[1]


def test_standard_error_that_fails_fails_nothing(data: Path, tmp_path: Path) -> None:
    (data / "bad.npy").touch()
    for number, more in enumerate((["--progress"], [])):
        with open("/dev/full", "wb") as full:
            args = ["batch", "relu", data, "-o", tmp_path / f"out{number}", "-k", *more]
            done = subprocess.run(command(*args), stderr=full, env=environment(), timeout=60)
        assert done.returncode == 1
        assert len(tree(tmp_path / f"out{number}")) == 4


def test_a_report_replaces_no_input_and_no_output(
    kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    save(tmp_path / "in.npy", 3)
    before = (tmp_path / "in.npy").read_bytes()
    (tmp_path / "link").symlink_to("in.npy")
    (tmp_path / "out").mkdir()
    cases = {"in.npy": 2, "link": 2, "x/../out/in.npy": 2, "gone/r.json": 1, "x": 1}
    (tmp_path / "x").mkdir()
    for report, code in cases.items():
        for command_ in (
            ["apply", "relu", "in.npy", "out/in.npy"],
            ["batch", "relu", "in.npy", "-oout"],
        ):
            said = refused(*command_, "--report", report, cwd=tmp_path, code=code).stderr
            assert report.encode() in said
    assert (tmp_path / "in.npy").read_bytes() == before
    assert list((tmp_path / "out").iterdir()) == []
    kact("apply", "relu", "in.npy", "/dev/null", "--report", "/dev/null", cwd=tmp_path)
    kact("batch", "relu", "in.npy", "-onew", "--report", "new/r.json", cwd=tmp_path)
    assert sorted(tree(tmp_path / "new")) == ["in.npy", "r.json"]

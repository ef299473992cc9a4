"""Many files in one run: which are taken, what each becomes, and what is said of the others."""

from __future__ import annotations

import gzip
import json
import os
import pty
import shutil
import subprocess
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kact_cli import Chain
from kact_cli.batch import inputs, ranges
from kact_cli.batch.inputs import Item, Selection
from kact_cli.batch.schedule import Batch
from kact_cli.errors import KactError
from kact_cli.files.object_store import Uri, parse
from kact_cli.files.temporary import temporary_prefix
from kact_cli.options import Options
from kact_cli.parallel.processes import Inline, Processes
from tests.tools.run import Kact, command, environment


def save(path: Path, *shape: int, dtype: str = "f4", seed: int = 0) -> np.ndarray[Any, Any]:
    """A tensor of normal numbers in a new file, directories and all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    with open(path, "wb") as file:
        np.save(file, array)
    return array


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory but the manifest, and what is in it."""
    found = {}
    for top, _, names in os.walk(directory):
        for path in (Path(top, name) for name in names if name != ".kact-batch.json"):
            found[str(path.relative_to(directory))] = path.read_bytes()
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three tensors and a table, nested."""
    for number, name in enumerate(("a.npy", "x/b.npy", "x/y/c.npy")):
        save(tmp_path / "data" / name, 4 + number, 5, seed=number)
    (tmp_path / "data/x/t.csv").write_text("id,v\n007,-1.5\nx,nan\n,2\n")
    return tmp_path / "data"


# Which files, and where they go


def test_directory_keeps_its_paths(data: Path, kact: Kact, tmp_path: Path) -> None:
    done = kact("batch", "elu(alpha=0.5),softmax", data, "-o", tmp_path / "out", "--jobs", 1)
    assert sorted(tree(tmp_path / "out")) == ["a.npy", "x/b.npy", "x/t.csv", "x/y/c.npy"]
    for name in ("a.npy", "x/b.npy", "x/y/c.npy"):
        kact("chain", "elu(alpha=0.5),softmax", data / name, tmp_path / "one.npy", "--overwrite")
        assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert done.stdout.startswith(b"4 files done")


def test_files_go_by_their_names_and_any_number_of_jobs_is_the_same(
    data: Path, kact: Kact, tmp_path: Path
) -> None:
    files = [data / "a.npy", data / "x/b.npy", data / "x/t.csv"]
    for jobs in (1, 2, 5):
        kact("batch", "selu", *files, "-o", tmp_path / str(jobs), "--jobs", jobs)
    assert sorted(tree(tmp_path / "1")) == ["a.npy", "b.npy", "t.csv"]
    assert tree(tmp_path / "1") == tree(tmp_path / "2") == tree(tmp_path / "5")


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ((), {"a.npy", "b/c.csv.gz", "b/d.npy", "e.PARQUET"}),
        (("--include", "*.npy"), {"a.npy", "b/d.npy"}),
        (("--include", "b/*"), {"b/README", "b/c.csv.gz", "b/d.npy"}),
        (("--exclude-path", "b"), {"a.npy", "e.PARQUET"}),
        (
            ("--include", "*.npy", "--include", "e*", "--exclude-path", "a*"),
            {"b/d.npy", "e.PARQUET"},
        ),
    ],
)
def test_globs_choose_files_of_a_directory(
    options: tuple[str, ...], taken: set[str], kact: Kact, tmp_path: Path
) -> None:
    names = ["a.npy", "b/README", "b/c.csv.gz", "b/d.npy", "e.PARQUET", ".hidden.npy", ".git/f.npy"]
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    out = tmp_path / "out"
    done = kact("batch", "relu", tmp_path / "in", "-o", out, "--dry-run", *options)
    lines = done.stdout.decode().splitlines()
    assert {line.split(" -> ")[0].removeprefix(f"{tmp_path}/in/") for line in lines[:-1]} == taken
    assert lines[-1] == f"{len(taken)} files, 0 bytes"
    assert not out.exists()


def test_output_inside_the_input_is_no_input(data: Path, kact: Kact) -> None:
    for more in ((), ("--skip-existing",)):
        kact("batch", "relu", data, "-o", data / "x" / "out", *more)
    assert len(tree(data / "x" / "out")) == 4


@pytest.mark.parametrize(
    ("given", "to", "said"),
    [
        (("d/a.npy", "e/a.npy"), None, "would both become"),
        (("d/a.npy", "d/a.csv"), "parquet", "would both become"),
        (("d", "e"), None, "would both become"),
        (("d", "f"), None, "to be a directory"),
    ],
)
def test_two_files_never_become_one(
    given: tuple[str, ...], to: str | None, said: str, refused: Kact, tmp_path: Path
) -> None:
    for name in ("d/a.npy", "e/a.npy", "f/a.npy/b.npy"):
        save(tmp_path / name, 3)
    (tmp_path / "d/a.csv").write_text("x\n1.5\n")
    more = ["--to", to] if to else []
    args = ["batch", "relu", *given, "-o", "out", *more]
    assert said in refused(*args, code=2, cwd=tmp_path).stderr.decode()
    assert not (tmp_path / "out").exists()


def test_one_file_named_twice_is_one(data: Path, kact: Kact, tmp_path: Path) -> None:
    kact("batch", "relu", data / "a.npy", data / "a.npy", "-o", tmp_path / "out")


def test_to_converts_and_changes_suffixes(data: Path, kact: Kact, tmp_path: Path) -> None:
    with gzip.open(data / "z.csv.gz", "wt") as file:
        file.write("v\n-1.5\n2\n")
    kact("batch", "relu", data, "-o", tmp_path / "out", "--to", "parquet", "--jobs", 2)
    names = ["a.parquet", "x/b.parquet", "x/t.parquet", "x/y/c.parquet", "z.parquet"]
    assert sorted(tree(tmp_path / "out")) == names
    assert pq.read_table(tmp_path / "out/z.parquet").to_pydict() == {"v": [0.0, 2.0]}
    assert pq.read_table(tmp_path / "out/x/t.parquet")["id"].to_pylist() == ["007", "x", None]


def test_an_input_is_never_an_output(data: Path, refused: Kact) -> None:
    before = tree(data)
    done = refused("batch", "relu", data, "-o", data, "--overwrite", code=2)
    assert b"is an input" in done.stderr
    assert tree(data) == before


@pytest.mark.parametrize(
    ("given", "said", "code"),
    [
        ("nothing", "no such file", 1),
        ("/dev/null", "no regular file", 1),
        ("empty", "no file to work on", 1),
        ("ftp://host/x.npy", "unknown scheme", 2),
        ("s3:///x.npy", "bucket is missing", 2),
    ],
)
def test_inputs_that_cannot_be(
    given: str, said: str, code: int, refused: Kact, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert (
        said
        in refused("batch", "relu", given, "-o", "out", code=code, cwd=tmp_path).stderr.decode()
    )


def test_file_uris_are_paths(data: Path, kact: Kact, tmp_path: Path) -> None:
    shutil.copy(data / "a.npy", data / "a b.npy")
    kact("batch", "relu", f"file://{data}/a%20b.npy", "-o", f"file://{tmp_path}/out")
    assert list(tree(tmp_path / "out")) == ["a b.npy"]


def test_uris_keep_their_keys() -> None:
    uri = parse("s3://bucket/a b%20c?.npy?region=x&scheme=http")
    assert uri == Uri("s3", "bucket", "a b%20c?.npy", "region=x&scheme=http")
    assert parse(uri.text) == uri
    assert str(uri) == "s3://bucket/a b%20c?.npy"
    assert parse("s3://bucket") / "x/y.npy" == Uri("s3", "bucket", "x/y.npy")
    assert parse("./s3:/x") == "./s3:/x"


# What is there already


def test_existing_outputs_are_refused_kept_or_replaced(
    data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kact("batch", "relu", data, "-o", out)
    whole = tree(out)
    assert b"exists; --skip-existing" in refused("batch", "relu", data, "-o", out, code=2).stderr
    (out / "a.npy").unlink()
    kept = os.stat(out / "x/b.npy").st_mtime_ns
    done = kact("batch", "relu", data, "-o", out, "--skip-existing")
    assert b"1 file done" in done.stdout
    assert b"3 left as they were" in done.stdout
    assert tree(out) == whole
    assert os.stat(out / "x/b.npy").st_mtime_ns == kept
    kact("batch", "relu", data, "-o", out, "--overwrite")
    assert tree(out) == whole
    assert os.stat(out / "x/b.npy").st_mtime_ns != kept
    assert not json.loads((out / ".kact-batch.json").read_text())["replacing"]


@pytest.mark.parametrize("how", ["--skip-existing", "--overwrite", None])
@pytest.mark.parametrize(
    "other", [["relu(alpha=0.5)"], ["relu", "--dtype", "float64"], ["relu", "--columns", "v"]]
)
def test_outputs_of_different_runs_are_not_mixed(
    other: list[str], how: str | None, data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kact("batch", "relu", data / "a.npy", "-o", out)
    before = tree(out)
    done = refused("batch", *other, data, "-o", out, *([how] if how else []), code=2)
    assert b"holds outputs of another run" in done.stderr
    assert tree(out) == before


def test_options_that_do_not_show_in_the_outputs_may_change(
    data: Path, kact: Kact, tmp_path: Path
) -> None:
    kact("batch", "relu", data / "a.npy", "-o", tmp_path / "out", "--jobs", 1)
    kact("batch", "relu()", data, "-o", tmp_path / "out", "--skip-existing", "-j", 2, "--fsync")


def test_outputs_of_unknown_making_are_not_kept(
    data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    save(tmp_path / "out/a.npy", 3)
    args = ["batch", "relu", data, "-o", tmp_path / "out"]
    assert b"what made it is not known" in refused(*args, "--skip-existing", code=2).stderr
    kact(*args, "--overwrite")


def test_unfinished_replacing_is_not_continued_as_if_all_were_new(
    data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kact("batch", "relu", data, "-o", out)
    (data / "x/b.npy").write_bytes(b"broken")
    refused("batch", "relu", data, "-o", out, "--overwrite")
    done = refused("batch", "relu", data, "-o", out, "--skip-existing", code=2)
    assert b"--overwrite was not finished" in done.stderr
    save(data / "x/b.npy", 3)
    kact("batch", "relu", data, "-o", out, "--overwrite")
    kact("batch", "relu", data, "-o", out, "--skip-existing")


def test_broken_manifest_is_an_error(data: Path, refused: Kact, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.kact-batch.json").write_text('{"kact": 1}')
    assert b"is broken" in refused("batch", "relu", data, "-o", tmp_path / "out").stderr


def test_what_a_killed_run_left_is_removed(data: Path, kact: Kact, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "x").mkdir(parents=True)
    left = out / "x" / f"{temporary_prefix('b.npy')}abc.tmp"
    others = out / "x" / f"{temporary_prefix('other.npy')}abc.tmp"
    left.touch()
    others.touch()
    kact("batch", "relu", data, "-o", out)
    assert not left.exists()
    assert others.exists()


# Failures, the report, what is shown


def test_first_failure_ends_the_run_and_all_are_listed_with_keep_going(
    data: Path, kact: Kact, refused: Kact, tmp_path: Path
) -> None:
    (data / "bad.npy").write_bytes(b"no numbers")
    (data / "x/\x1b[31m[bold]worse.parquet").write_bytes(b"PAR1")
    for jobs in (1, 2):
        one = refused("batch", "relu", data, "-o", tmp_path / "one", "-j", jobs, "--overwrite")
        assert b"bad.npy" in one.stderr or b"worse.parquet" in one.stderr
        out = tmp_path / f"out{jobs}"
        done = kact("batch", "relu", data, "-o", out, "-j", jobs, "--keep-going", code=1)
        lines = done.stderr.decode().splitlines()
        assert len(lines) == 3
        assert "bad.npy" in lines[0]
        assert "x/\\x1b[31m[bold]worse.parquet" in lines[1]
        assert lines[2] == "kact: 2 of 6 files failed"
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
        assert files["n.npy"]["seconds"] > 0
    kact("batch", "softsign", tmp_path / "in", "-o", out, "--report", report, "-k", code=2)


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
        strict = kact(*args[:-1], jobs, "--strict", "-k", "-o", tmp_path / f"s{jobs}", code=1)
        assert b"a.npy: 4 bytes after the tensor were ignored (--strict)" in strict.stderr
        assert len(tree(tmp_path / f"s{jobs}")) == 3


def on_terminal(*args: str | Path) -> tuple[int, bytes]:
    """The exit code of kact, and what it wrote to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*args), stdin=theirs, stdout=theirs, stderr=theirs, env=environment(TERM="xterm")
    )
    os.close(theirs)
    shown = b""
    try:
        while more := os.read(ours, 65536):
            shown += more
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    return process.wait(60), shown


def test_bar_on_a_terminal_unless_quiet(tmp_path: Path) -> None:
    for number in range(30):
        save(tmp_path / "in" / f"\x1b[31m[bold]{number}.npy", 500_000)
    chain = ",".join(["softplus,tanh"] * 10)  # more than a second of work
    args = ["batch", chain, tmp_path / "in", "-o", tmp_path / "out", "--jobs", "2"]
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


def test_options_that_exclude_each_other(data: Path, refused: Kact) -> None:
    refused("batch", "relu", data, "-o", "x", "--skip-existing", "--overwrite", code=2)
    refused("batch", "relu", data, "-o", "x", "--scheduler", "tcp://localhost:1", "-j", 2, code=2)
    refused("batch", "relu", data, code=2)


# Large files in ranges


@pytest.mark.parametrize(
    ("chain", "shape", "order"),
    [
        ("tanh", (1_000_000,), "C"),
        ("softmax", (3000, 700), "C"),
        ("softmax(axis=0),elu", (3000, 700), "C"),
        ("softmax(axis=None),softmax(axis=1)", (3000, 700), "F"),
        ("softmax(axis=1)", (40, 500, 100), "F"),
        ("relu", (0, 4), "C"),
    ],
)
@pytest.mark.parametrize("jobs", [2, 3])
def test_ranges_give_the_bytes_of_one_worker(
    chain: str,
    shape: tuple[int, ...],
    order: str,
    jobs: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    array = save(tmp_path / "in/a.npy", *shape)
    np.save(tmp_path / "in/a.npy", np.asfortranarray(array) if order == "F" else array)
    monkeypatch.setattr("kact_cli.engine.plan.UNIT_BYTES", 100_000)
    monkeypatch.setattr(ranges, "CUT_BYTES", 0)
    options = Options(chunk_bytes=50_000)
    outputs = []
    for workers in (Inline(), Processes(jobs)):
        out = tmp_path / type(workers).__name__
        items = inputs.find([str(tmp_path / "in")], str(out), Selection(), None)
        Batch(Chain.parse(chain.replace("None", "none")), options, items).run(workers)
        outputs.append(tree(out))
    assert outputs[0] == outputs[1]
    assert outputs[0].keys() == {"a.npy"}


def test_many_workers_share_one_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "CUT_BYTES", 1)
    array = save(tmp_path / "a.npy", 20_000_000)
    item = Item(str(tmp_path / "a.npy"), str(tmp_path / "b.npy"), array.nbytes)
    seen: list[int] = []
    futures: list[Future[Any]] = []

    class Counting(Processes):
        def submit(self, *call: Any) -> Future[Any]:
            futures.append(super().submit(*call))
            seen.append(sum(not future.done() for future in futures))
            return futures[-1]

    Batch(Chain.parse("relu"), Options(), [item]).run(Counting(3))
    assert max(seen) == 3
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), np.maximum(array, 0))


def test_broken_large_file_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "CUT_BYTES", 1)
    save(tmp_path / "a.npy", 1000)
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    items = inputs.find([str(tmp_path / "b.npy")], str(tmp_path / "out"), Selection(), None)
    with pytest.raises(KactError, match=r"b\.npy is truncated"):
        Batch(Chain.parse("relu"), Options(), items).run(Processes(2))
    assert not tree(tmp_path / "out")


@pytest.mark.parametrize(("share", "threads"), [(1, 3), (20, 1)])
def test_table_that_outweighs_all_others_gets_threads(
    share: int, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kact_cli.batch.schedule.CUT_BYTES", 1)
    table = pa.table({"x": np.random.default_rng(0).normal(size=100_000)})
    for number in range(share):
        pq.write_table(table, tmp_path / f"{number}.parquet")
    given: list[int | None] = []

    class Seeing(Processes):
        def submit(self, function: Any, /, *args: Any) -> Future[Any]:
            given.append(args[0].options.jobs)
            return super().submit(function, *args)

    items = inputs.find([str(tmp_path)], str(tmp_path / "out"), Selection(), None)
    Batch(Chain.parse("relu"), Options(), items).run(Seeing(3))
    assert given == [threads] * share
    found = pq.read_table(tmp_path / "out/0.parquet")["x"].to_numpy()
    np.testing.assert_array_equal(found, np.maximum(table["x"].to_numpy(), 0))

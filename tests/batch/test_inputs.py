"""Which files of many are taken, and what each becomes."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kact_cli.batch.inputs import Selection, _walk, find
from kact_cli.files.object_store import Uri, parse
from tests.tools.run import Kact, tree
from tests.tools.tensors import save

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


def test_directories_within_one_another_are_taken_to_any_depth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = ["d"] * 1100
    monkeypatch.chdir(tmp_path)
    for name in deep:
        os.mkdir(name)
        os.chdir(name)
    Path("x.npy").touch()
    try:
        found = find([str(tmp_path)], str(tmp_path / "out"), Selection(), None)
        assert [item.source for item in found] == [os.path.join(tmp_path, *deep, "x.npy")]
    finally:  # pytest, which removes it with shutil, would go no deeper than 1,000
        Path("x.npy").unlink()
        for name in deep:
            os.chdir("..")
            os.rmdir(name)


def test_files_of_a_directory_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    names = ["a.npy", "b/c.npy", "b/d/e.npy", "b/f.npy", "g.npy", "h/a.npy"]
    for name in reversed(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b/again").symlink_to(tmp_path)
    taken = _walk(str(tmp_path), Selection(), None)
    assert [relative for _, relative, *_ in taken] == names


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


def test_options_that_exclude_each_other(data: Path, refused: Kact) -> None:
    refused("batch", "relu", data, "-o", "x", "--skip-existing", "--overwrite", code=2)
    refused("batch", "relu", data, "-o", "x", "--scheduler", "tcp://localhost:1", "-j", 2, code=2)
    refused("batch", "relu", data, code=2)

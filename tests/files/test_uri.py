"""URIs as INPUT and OUTPUT of every command, and their secrets, which nobody sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from kact_cli import apply
from kact_cli.cli import cli
from kact_cli.errors import DataError, KactError, UsageError, without_secrets
from kact_cli.files import object_store
from kact_cli.files.source import open_source
from kact_cli.files.target import Target

X = np.random.default_rng(0).normal(0, 3, (20, 4)).astype("f4")


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `s3://bucket/` stands for, where no object store is to be had."""
    place = tmp_path / "bucket"
    place.mkdir()
    there = SubTreeFileSystem(str(tmp_path), LocalFileSystem())
    monkeypatch.setattr(
        object_store, "_file_system", lambda _s, name, _q: (there, name.rpartition("@")[2])
    )
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    np.save(place / "x.npy", X)
    pq.write_table(pa.table({"a": X[:, 0], "b": X[:, 1]}), place / "t.parquet")
    (place / "t.csv").write_text("a,b\n1.5,-2.5\n")
    return place


def run(*args: str) -> Result:
    done = CliRunner().invoke(cli, args)
    assert isinstance(done.exception, SystemExit | KactError | None), done.exception
    return done


WAYS = [
    ("s3://bucket/x.npy", "s3://bucket/deep/y.npy"),
    ("s3://bucket/t.parquet", "s3://bucket/y.parquet"),
    ("s3://bucket/t.csv", "s3://bucket/y.csv.gz"),
    ("s3://bucket/t.csv", "s3://bucket/y.parquet"),
    ("{here}/bucket/x.npy", "s3://bucket/y.npy"),
    ("s3://bucket/x.npy", "{here}/y.npy"),
    ("file://{here}/bucket/x.npy", "file://{here}/bucket/y.npy"),
    ("s3://bucket/x.npy?region=us-east-1", "s3://bucket/y.npy?region=us-east-1"),
]


@pytest.mark.parametrize(("source", "target"), WAYS)
@pytest.mark.parametrize("command", [("apply", "relu"), ("chain", "relu,softmax:axis=0")])
def test_a_uri_goes_in_and_out(
    bucket: Path, source: str, target: str, command: tuple[str, str]
) -> None:
    here = bucket.parent
    source, target = source.format(here=here), target.format(here=here)
    (bucket / "deep").mkdir()
    assert run(*command, source, target, "-q").exit_code == 0
    again = run(*command, source, target, "-q")
    assert isinstance(again.exception, UsageError)
    assert "--overwrite" in str(again.exception)
    assert run(*command, source, target, "-q", "--overwrite").exit_code == 0
    local = target.replace("s3://", f"{here}/").replace("file://", "").partition("?")[0]
    if source.partition("?")[0].endswith("npy"):
        assert np.allclose(np.load(local), apply(command[1], X), 1e-6)
    assert list((here / "temporary").iterdir()) == []


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_workers_read_what_has_no_name(bucket: Path, jobs: str) -> None:
    wide = np.tile(X, (100_000, 1))
    np.save(bucket / "wide.npy", wide)
    done = run("apply", "relu", "s3://bucket/wide.npy", "s3://bucket/y.npy", "--jobs", jobs)
    assert done.exit_code == 0, done.exception
    assert np.array_equal(np.load(bucket / "y.npy"), apply("relu", wide))


def test_what_reads_takes_uris(bucket: Path) -> None:
    assert "s3://bucket/x.npy: npy" in run("inspect", "s3://bucket/x.npy").output
    assert "rows" in run("inspect", "--stats", "s3://bucket/t.parquet").output
    same = run("compare", "s3://bucket/x.npy", f"{bucket}/x.npy")
    assert same.exit_code == 0, same.output
    assert "shape (20, 4)" in run("explain", "softmax", "s3://bucket/x.npy").output
    shown = run("apply", "relu", "s3://bucket/x.npy", "--preview", "result").output
    assert "all 20 rows" in shown


def test_what_fails_leaves_nothing(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bucket / "bad.npy").write_bytes(b"\x93NUMPY\1\0")
    for source in ("bad.npy", "absent.npy"):
        done = run("apply", "relu", f"s3://bucket/{source}", "s3://bucket/y.npy")
        assert isinstance(done.exception, DataError)
        assert str(done.exception).startswith(f"s3://bucket/{source}")

    def broken(*_: object) -> None:
        raise OSError("the store is full")

    monkeypatch.setattr(object_store, "_put", broken)
    done = run("apply", "relu", "s3://bucket/x.npy", "s3://bucket/y.npy")
    assert str(done.exception) == "s3://bucket/y.npy: the store is full"
    assert not (bucket / "y.npy").exists()
    assert list((bucket.parent / "temporary").iterdir()) == []


SECRETS = [
    ("s3://KEY:SECRET@bucket/x.npy", "s3://bucket/x.npy"),
    ("s3://KEY:SEC/RET+x@bucket/x.npy", "s3://bucket/x.npy"),
    ("'s3://KEY:SECRET@bucket' is no 'gs://KEY@other'", "'s3://bucket' is no 'gs://other'"),
    ("hdfs://user@host:8020/x@y", "hdfs://host:8020/x@y"),
    ("s3://bucket/x@y.npy", "s3://bucket/x@y.npy"),
    ("a@b.c", "a@b.c"),
]


@pytest.mark.parametrize(("text", "shown"), SECRETS)
def test_a_secret_goes_from_any_text(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_no_message_names_a_secret(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, report, out = "s3://KEY:SECRET@bucket", bucket.parent / "report", bucket.parent / "out"
    batch = ("batch", "relu", f"{uri}/", "--output-dir", str(out))

    def hidden(text: str) -> None:
        assert "SECRET" not in text
        assert "KEY" not in text

    def refuses(_s: str, authority: str, _q: str) -> None:
        raise OSError(f"cannot open s3://{authority}, key SECRET")

    for args in (
        ("apply", "relu", f"{uri}/x.npy", "-v"),
        ("inspect", f"{uri}/absent.npy"),
        ("apply", "relu", f"{bucket}/x.npy", f"{uri}/x.npz"),
        ("apply", "relu", f"{bucket}/x.npy", "foo://KEY:SECRET@x/y?secret_key=SECRET"),
        ("apply", "relu", "s3://KEY:SEC/SECRET@bucket/x.npy"),
        (*batch, "--dry-run"),
        (*batch, "--jobs", "1", "-v", "--report", str(report)),
        (*batch, "--jobs", "1", "--keep-going"),
        ("compare", f"{uri}/x.npy", f"{uri}/x.npy"),
        ("explain", "relu", f"{uri}/x.npy"),
        ("explain", "relu", f"{uri}/x.npy", "--json"),
    ):
        done = run(*args)
        hidden(f"{done.output}{done.stderr}{done.exception}")
    hidden(report.read_text())
    hidden("".join(path.read_text() for path in out.rglob("*.json")))
    monkeypatch.setattr(object_store, "_file_system", refuses)
    for place in (open_source, lambda path: Target(path).__enter__()):
        with pytest.raises(DataError) as refusal:
            place(f"{uri}/x.npy")
        hidden(str(refusal.value))


SLIPS = [
    ("s3:/bucket/a.npy", "s3://bucket/a.npy"),
    ("gs:/KEY:SECRET@bucket/a.npy", "gs://bucket/a.npy"),
    ("hdfs:/deep/a.npy", "hdfs:///deep/a.npy"),
    ("file:/deep/a.npy", "file:///deep/a.npy"),
]


@pytest.mark.parametrize(("slip", "meant"), SLIPS)
def test_a_missing_slash_is_seen(
    bucket: Path, monkeypatch: pytest.MonkeyPatch, slip: str, meant: str
) -> None:
    monkeypatch.chdir(bucket)
    for args in (
        ("apply", "relu", slip, "y.npy"),
        ("apply", "relu", "x.npy", slip),
        ("batch", "relu", slip, "-o", "out"),
        ("batch", "relu", "x.npy", "-o", slip),
    ):
        said = run(*args).exception
        assert isinstance(said, UsageError)
        assert str(said) == f"{slip.partition('/')[0]}/ lacks a slash; did you mean {meant}?"
    (bucket / slip).parent.mkdir(parents=True)
    assert run("apply", "relu", "x.npy", slip).exit_code == 0

"""A directory for a batch, a bucket of an S3 server, a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.tools.dask import Cluster, running
from tests.tools.s3 import KEYS, ODD, Bucket, serving
from tests.tools.tensors import normal, npy, save


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three tensors and a table, nested."""
    for number, name in enumerate(("a.npy", "x/b.npy", "x/y/c.npy")):
        save(tmp_path / "data" / name, 4 + number, 5, seed=number)
    (tmp_path / "data/x/t.csv").write_text("id,v\n007,-1.5\nx,nan\n,2\n")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server."""
    with serving(tmp_path_factory.mktemp("moto") / "log") as address:
        yield address


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of every test, and of the kact that it starts."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(endpoint: str, aws: None, request: pytest.FixtureRequest) -> Iterator[Bucket]:
    client = boto3.client("s3", endpoint_url=endpoint, region_name=KEYS["AWS_REGION"])
    yield Bucket(client, f"bucket-{abs(hash(request.node.name)):x}")
    client.close()


@pytest.fixture
def objects(bucket: Bucket) -> dict[str, bytes]:
    """Objects below `in/`: nested, of odd names, a table, and some that take no part."""
    files = {
        "a.npy": npy(normal(10, 3)),
        f"x/{ODD}": npy(normal(7, 3, seed=1)),
        "x/y/t.csv": b"id,v\n007,-1.5\nx,\n",
        "x/README.txt": b"nothing",
    }
    for name, content in files.items():
        bucket.put(f"in/{name}", content)
    bucket.put("inside.npy", npy(normal(3)))
    del files["x/README.txt"]
    return files


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Dask cluster of two workers, which no test may kill."""
    with running(tmp_path_factory.mktemp("cluster") / "dask", "a", "b") as cluster:
        yield cluster

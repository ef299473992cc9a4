"""Object stores, against a server that speaks S3: moto's, as a process on loopback."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import boto3
import numpy as np
import pytest

from tests.tools.run import MIB, Kact, environment, start, tree, wait_until
from tests.tools.s3 import KEYS, ODD, Bucket
from tests.tools.tensors import normal, npy, save, zeros

Refused = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_from_a_bucket_to_a_bucket_is_as_from_files_to_files(
    jobs: int, bucket: Bucket, objects: dict[str, bytes], kact: Kact, tmp_path: Path
) -> None:
    for name, content in objects.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    args = ["batch", "elu,softmax", "--jobs", jobs]
    kact(*args, tmp_path / "in", "-o", tmp_path / "local")
    kact(*args, f"s3://{bucket.name}/in", "-o", f"s3://{bucket.name}/out/", TMPDIR=str(tmp_path))
    assert sorted(bucket.keys("out/")) == sorted(
        [f"out/{name}" for name in objects] + ["out/.kact-batch.json"]
    )
    for name in objects:
        assert bucket.get(f"out/{name}") == (tmp_path / "local" / name).read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"in", "local"}


def test_from_a_bucket_to_files_and_back_with_conversion_and_report(
    bucket: Bucket, objects: dict[str, bytes], kact: Kact, tmp_path: Path
) -> None:
    local = tmp_path / "local"
    report = tmp_path / "report.json"
    one = f"s3://{bucket.name}/in/x/{ODD}"
    kact("batch", "relu", one, "-o", local, "--to", "parquet", "--report", report)
    (name,) = tree(local)
    assert name == ODD.replace(".npy", ".parquet")
    (file,) = json.loads(report.read_text())["files"]
    assert (file["input"], file["rows"]) == (one, 7)
    kact("batch", "relu", local, "-o", f"s3://{bucket.name}/back", "--to", "npy")
    array = np.load(io.BytesIO(bucket.get(f"back/{ODD}")))
    np.testing.assert_array_equal(array, np.maximum(np.load(io.BytesIO(objects[f"x/{ODD}"])), 0))


def test_large_object_is_uploaded_in_parts(bucket: Bucket, kact: Kact, tmp_path: Path) -> None:
    array = save(tmp_path / "a.npy", 30, 300_000)
    kact("batch", "relu", tmp_path / "a.npy", "-o", f"s3://{bucket.name}")
    head = bucket.client.head_object(Bucket=bucket.name, Key="a.npy")
    assert int(head["ETag"].strip('"').rpartition("-")[2]) > 1
    found = np.load(io.BytesIO(bucket.get("a.npy")))
    np.testing.assert_array_equal(found, np.maximum(array, 0))
    assert not bucket.uploads()


def test_failed_unit_uploads_nothing_and_is_named(
    bucket: Bucket, objects: dict[str, bytes], kact: Kact
) -> None:
    whole = npy(normal(3_000_000))
    bucket.put("in/short.npy", whole[:-1])
    args = ["batch", "relu", f"s3://{bucket.name}/in", "-o", f"s3://{bucket.name}/out", "-k"]
    done = kact(*args, code=1)
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"kact: error: s3://{bucket.name}/in/short.npy is truncated")
    assert not bucket.keys("out/short")
    assert not bucket.uploads()
    # Repaired, the rest is done, and nothing else
    bucket.put("in/short.npy", whole)
    again = kact(*args, "--skip-existing")
    assert again.stdout.startswith(b"1 file done")
    assert b"3 left as they were" in again.stdout
    assert bucket.keys("out/short") == ["out/short.npy"]


def test_existing_objects_and_other_chains_are_refused(
    bucket: Bucket, objects: dict[str, bytes], kact: Kact, refused: Refused
) -> None:
    to = ["-o", f"s3://{bucket.name}/out"]
    kact("batch", "relu", f"s3://{bucket.name}/in", *to)
    before = bucket.get("out/a.npy")
    done = refused("batch", "relu", f"s3://{bucket.name}/in", *to, code=2)
    assert f"s3://{bucket.name}/out/a.npy exists" in done.stderr.decode()
    done = refused("batch", "elu", f"s3://{bucket.name}/in", *to, "--skip-existing", code=2)
    assert "there the chain is relu, here elu" in done.stderr.decode()
    assert bucket.get("out/a.npy") == before
    kact("batch", "relu", f"s3://{bucket.name}/in", *to, "--overwrite")


def test_output_below_the_input_is_no_input(
    bucket: Bucket, objects: dict[str, bytes], kact: Kact
) -> None:
    for _ in range(2):
        args = ["batch", "relu", f"s3://{bucket.name}/in", "-o", f"s3://{bucket.name}/in/out"]
        kact(*args, "--skip-existing")
    assert len(bucket.keys("in/out/")) == len(objects) + 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_stopped_upload_is_never_visible(
    number: int, jobs: str, bucket: Bucket, tmp_path: Path
) -> None:
    zeros(tmp_path / "a.npy", "|i1", 160 * MIB)
    args = ["batch", "relu", tmp_path / "a.npy", "-o", f"s3://{bucket.name}/out", "--jobs", jobs]
    (tmp_path / "tmp").mkdir()
    env = environment(TMPDIR=str(tmp_path / "tmp"))
    process = start(*args, env=env, start_new_session=True)
    assert wait_until(lambda: "out/a.npy" in [u["Key"] for u in bucket.uploads()], 60)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    wait_until(lambda: not list((tmp_path / "tmp").iterdir()), 5)
    assert not list((tmp_path / "tmp").rglob("*"))
    time.sleep(1)
    assert bucket.keys() == ["out/.kact-batch.json"]


def test_errors_name_the_uri(
    bucket: Bucket, objects: dict[str, bytes], refused: Refused, kact: Kact, tmp_path: Path
) -> None:
    out = ["-o", tmp_path / "out"]
    done = refused("batch", "relu", f"s3://{bucket.name}/none.npy", *out)
    assert f"s3://{bucket.name}/none.npy: no such file" in done.stderr.decode()
    done = refused("batch", "relu", "s3://no-such-bucket-here/a.npy", *out)
    assert "s3://no-such-bucket-here/a.npy: no such file" in done.stderr.decode()
    save(tmp_path / "a.npy", 3)
    done = refused("batch", "relu", tmp_path / "a.npy", "-o", "s3://no-such-bucket-here/o")
    assert "s3://no-such-bucket-here/o" in done.stderr.decode()
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    done = refused(
        *("batch", "relu", f"s3://{bucket.name}/in", *out),
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        AWS_MAX_ATTEMPTS="1",
    )
    silent = (
        f"s3://{bucket.name}/in: no answer from the store at 127.0.0.1:{port}: could not connect"
    )
    assert silent in done.stderr.decode()


def test_credentials_come_from_the_environment(
    bucket: Bucket, objects: dict[str, bytes], endpoint: str, refused: Refused, kact: Kact
) -> None:
    iam = boto3.client("iam", endpoint_url=endpoint, region_name=KEYS["AWS_REGION"])
    iam.create_user(UserName="kact")
    key = iam.create_access_key(UserName="kact")["AccessKey"]
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="kact", PolicyName="all", PolicyDocument=policy)
    iam.close()

    def unchecked(actions: str) -> None:
        """Have the server let so many more actions pass before it looks at keys."""
        kind = {"Content-Type": "application/octet-stream"}
        url = f"{endpoint}/moto-api/reset-auth"
        urlopen(Request(url, data=actions.encode(), headers=kind)).close()

    args = ["batch", "relu", f"s3://{bucket.name}/in", "-o", f"s3://{bucket.name}/out"]
    unchecked("0")
    try:
        done = refused(*args)
        assert f"s3://{bucket.name}/out: " in done.stderr.decode()
        kact(
            *args,
            AWS_ACCESS_KEY_ID=key["AccessKeyId"],
            AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"],
        )
    finally:
        unchecked("inf")
    assert len(bucket.keys("out/")) == len(objects) + 1


def said(script: str, uri: str) -> str:
    """What a Python script of its own process prints of a URI."""
    run = [sys.executable, "-c", script, uri]
    done = subprocess.run(run, capture_output=True, env=environment(), timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


REPLACED = """
import os, sys, boto3
from kact_cli.files import object_store as remote
from kact_cli.errors import DataError
uri, size = remote.parse(sys.argv[1]), 20 * 2**20
store = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
def put(data):
    store.put_object(Bucket=uri.authority, Key=uri.path, Body=data * size)
put(b"a")
print(remote.fetch(uri, os.open(os.devnull, os.O_WRONLY)) == size)
remote.write_full = lambda *_: put(b"b")
try:
    remote.fetch(uri, 1)
except DataError as e:
    print(e)
"""


def test_object_that_is_replaced_meanwhile_is_no_mixture(bucket: Bucket) -> None:
    """Even by one of the same size, within the second that its time is told in."""
    uri = f"s3://{bucket.name}/a.npy"
    assert said(REPLACED, uri) == f"True\n{uri}: changed while it was read\n"


BREAKING = """
import sys
from kact_cli.files import object_store as remote
from kact_cli.errors import DataError
def copy(_, write, **__):
    write(bytes(25 * 2**20))
    raise OSError("the disk is broken")
remote.copy = copy
try:
    remote.put("/dev/null", remote.parse(sys.argv[1]))
except DataError as e:
    print(e)
"""


def test_upload_that_fails_is_never_visible(bucket: Bucket) -> None:
    """Not even when the process ends as others do, and so lets go of everything that is open."""
    uri = f"s3://{bucket.name}/a.npy"
    assert said(BREAKING, uri) == f"{uri}: the disk is broken\n"
    assert not bucket.keys()

"""An S3 server of its own, moto's, as a process on loopback, and its buckets."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tools.run import wait_until

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
ODD = "a b%20c?[x]\x1bü.npy"
"""A key that has to be quoted in more than one way."""


def listening(port: int) -> bool:
    """Whether something answers at a port."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """The address of a server that runs meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    run = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as file:
        server = subprocess.Popen(run, stdout=file, stderr=file)
        try:
            assert wait_until(lambda: listening(port), 60)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()


class Bucket:
    """A bucket of its own, and what is in it, as another client sees it."""

    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name
        client.create_bucket(Bucket=name)

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return data

    def keys(self, prefix: str = "") -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix).get("Contents", [])
        return [entry["Key"] for entry in found]

    def uploads(self) -> list[Any]:
        """Multipart uploads that were begun and neither ended nor aborted."""
        listed = self.client.list_multipart_uploads(Bucket=self.name)
        uploads: list[Any] = listed.get("Uploads", [])
        return uploads

"""What is told of a store that does not answer, or lets nobody in."""

from __future__ import annotations

import pyarrow.fs
import pytest

from kact_cli.files import object_store
from tests.tools.run import run_here

WHERE = " (credentials and region come from the environment: see man kact-batch)"
REFUSALS = [
    ("s3", "When reading key 'a': AWS Error ACCESS_DENIED during HeadObject operation: No", WHERE),
    ("gs", "google::cloud::Status(UNAUTHENTICATED: Could not create a OAuth2 access token)", WHERE),
    ("abfs", "GetProperties failed. Azure Error: [AuthorizationFailure] 403", WHERE),
    ("s3", "AWS Error NO_SUCH_BUCKET during HeadBucket operation: credentials", ""),
    ("s3", "AWS Error NETWORK_CONNECTION: curlCode: 60, SSL peer certificate was not OK", ""),
]


def told(scheme: str, said: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What kact makes of what Arrow says of an input, without the input's name."""

    def refuses(*_: str) -> None:
        raise OSError(said)

    monkeypatch.setattr(object_store, "_file_system", refuses)
    place = f"{scheme}://b/"
    start = f"kact: error: {place}"
    runs = (("apply", "relu", f"{place}x.npy"), ("batch", "relu", place, "-o", "out"))
    errors = [run_here(*args)[1] for args in runs]
    assert [error.startswith(start) for error in errors] == [True, True]
    return [error.removeprefix(start).partition(": ")[2].rstrip() for error in errors]


@pytest.mark.parametrize(("scheme", "said", "hint"), REFUSALS)
def test_a_store_that_lets_nobody_in_is_told_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, scheme: str, said: str, hint: str
) -> None:
    assert told(scheme, said, monkeypatch) == [said + hint] * 2


AWS = "When resolving region for bucket 'b': AWS Error NETWORK_CONNECTION during HeadBucket: "
SILENT = [
    (
        "s3",
        f"{AWS}curlCode: 6, Could not resolve hostname; Details: Could not resolve host: b.s3.org",
        " at b.s3.org: could not resolve hostname (the network, or AWS_ENDPOINT_URL?)",
    ),
    (
        "s3",
        f"{AWS}curlCode: 7, Could not connect to server; Details: Failed to connect to ::1:90 after"
        " 0 ms: Could not connect to server",
        " at ::1:90: could not connect to server (the network, or AWS_ENDPOINT_URL?)",
    ),
    (
        "s3",
        f"{AWS}curlCode: 28, Timeout was reached",
        ": timeout was reached (the network, or AWS_ENDPOINT_URL?)",
    ),
    (
        "gs",
        "google::cloud::Status(UNAVAILABLE: Retry policy exhausted, with a last message of "
        "PerformWork() - CURL error [6]=Could not resolve hostname error_info={reason=})",
        ": could not resolve hostname (the network?)",
    ),
    (
        "abfs",
        "GetProperties failed for 'https://a.net/c/x'. Azure Error: [] Fail to get a new connection"
        " for: https://a.net. Could not resolve hostname",
        " at a.net: could not resolve hostname (the network?)",
    ),
]


@pytest.mark.parametrize(("scheme", "said", "short"), SILENT)
def test_a_store_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, scheme: str, said: str, short: str
) -> None:
    assert told(scheme, said, monkeypatch) == [f"no answer from the store{short}"] * 2


def test_a_signature_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "UploadFrom failed for 'https://a.net/c/x?sv=1&sig=SECRET%3D'. Azure Error: [] 500"
    assert told("abfs", said, monkeypatch) == [said.replace("SECRET%3D", "***")] * 2


QUERIES = [
    ("gs", "", "?retry_limit_seconds=60"),
    ("gcs", "project_id=p", "?project_id=p&retry_limit_seconds=60"),
    ("gs", "retry_limit_seconds=5", "?retry_limit_seconds=5"),
    ("s3", "", ""),
    ("s3", "region=r", "?region=r"),
]


@pytest.mark.parametrize(("scheme", "query", "asked"), QUERIES)
def test_no_store_is_waited_for_for_long(
    scheme: str, query: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[str] = []

    class Opened:
        from_uri = staticmethod(asked_for.append)

    monkeypatch.setattr(pyarrow.fs, "FileSystem", Opened)
    object_store._file_system.__wrapped__(scheme, "b", query)
    assert asked_for == [f"{scheme}://b/{asked}"]

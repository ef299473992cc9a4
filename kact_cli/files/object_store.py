"""Files in object stores and other file systems, by URI, through `pyarrow.fs`.

An object is read into a temporary file before any work and written from one after it: reading to
and fro in it costs nothing then, and it becomes visible only when it is complete. In S3 and GCS
that is so because an upload appears when it ends; elsewhere a temporary name is renamed. So also in
Azure, where Arrow begins an upload with an empty object. It renames there in accounts with a
hierarchical namespace only: in others nothing can be written whole, and so nothing is written.

Credentials, regions and endpoints come from the environment, as for each store's own tools
(AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL; GOOGLE_APPLICATION_CREDENTIALS;
AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import unquote

from kact_cli.errors import DataError, KactError, UsageError, prefixed
from kact_cli.files.descriptors import copy, write_full
from kact_cli.messages import display

SCHEMES = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")
_WHOLE = ("s3", "gs", "gcs")
"""Schemes whose stores show an object when its upload ends."""
_SERVERS = ("hdfs", "viewfs")
"""Schemes whose URIs name a server, which may have a port, or none."""
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(?:/(.*))?", re.S)
_ONE_SLASH = re.compile(r"([A-Za-z0-9]+):/(?!/)(.*)", re.S)
_REFUSED = re.compile(
    "AWS Error (ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|"
    "INVALID_SIGNATURE|MISSING_AUTHENTICATION_TOKEN|UNRECOGNIZED_CLIENT)"
    "|Status\\((UNAUTHENTICATED|PERMISSION_DENIED)|OAuth2"
    "|Azure Error: \\[(No|Invalid)?Auth"
)
"""What Arrow says where the store refuses the credentials, or the region, or misses them."""
_NO_ANSWER = re.compile(
    "could( not|n't) (resolve (host|proxy)( ?name)?|connect to server)|timeout was reached", re.I
)
"""What curl says, for each store, where nobody is reached."""
_HOST = re.compile(r"(?:resolve host: |Failed to connect to |for: https?://)([\w.:-]*\w)")
_HINT = " (credentials and region come from the environment: see man kact-batch)"
_QUERY = re.compile(r"\?((?:[a-z_]+=[^&/?]*)(?:&[a-z_]+=[^&?]*)*)$")
_NO_RENAME = (
    "an Azure account without a hierarchical namespace cannot rename, so that nothing can be put "
    "there whole: write to a file, and upload that"
)
_GCS_PATIENCE = "retry_limit_seconds=60"
"""For how long a request to GCS is tried again: the default is a quarter of an hour."""
PIECE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Uri:
    """`scheme://authority/path?query`; the path is the key as it is, without any escapes."""

    scheme: str
    authority: str
    path: str
    query: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}/{self.path}"

    def __truediv__(self, relative: str) -> Uri:
        return replace(self, path="/".join(p for p in (self.path.rstrip("/"), relative) if p))

    @property
    def text(self) -> str:
        """What `Uri.parse` gives this back from."""
        return f"{self}?{self.query}" if self.query else str(self)


def is_uri(path: str) -> bool:
    """Whether `path` names something by URI, not a local file."""
    return _URI.fullmatch(path) is not None


def parse(text: str) -> Uri | str:
    """A URI, or for `file://` and what is no URI the local path.

    Raises UsageError for a scheme that is not known, and for a known one with one slash, where
    there is no such directory.
    """
    match = _URI.fullmatch(text)
    if match is None:
        slip = _ONE_SLASH.fullmatch(text)
        scheme = slip[1].lower() if slip else ""
        if slip and scheme in ("file", *SCHEMES) and not os.path.isdir(f"{slip[1]}:"):
            slashes = "///" if scheme in ("file", *_SERVERS) else "//"
            meant = display(f"{scheme}:{slashes}{slip[2]}")
            # Not the text itself: its secrets are only known where there are two slashes
            raise UsageError(f"{slip[1]}:/ lacks a slash; did you mean {meant}?")
        return text
    scheme, authority, path = match[1].lower(), match[2], match[3] or ""
    if scheme == "file":
        if authority not in ("", "localhost"):
            raise UsageError(f"{display(text)}: a file:// URI has three slashes: file:///path")
        return "/" + unquote(path)
    if scheme not in SCHEMES:
        known = ", ".join(f"{s}://" for s in ("file", *SCHEMES))
        shown = display(text.partition("?")[0])
        raise UsageError(f"{shown}: unknown scheme '{scheme}'; there are {known}")
    if ":" in authority.rpartition("@")[2] and scheme not in _SERVERS:
        raise UsageError(
            f"{scheme}://: a bucket's name has no colon; a / in a secret key is written %2F"
        )
    if not authority and scheme not in _SERVERS:
        raise UsageError(f"{display(text)}: a bucket is missing")
    query = _QUERY.search(path)
    return Uri(
        scheme, authority, path[: query.start()] if query else path, query[1] if query else ""
    )


@functools.cache
def _file_system(scheme: str, authority: str, query: str) -> tuple[Any, str]:
    """The file system of a bucket or server, and the path of its root there; one a process."""
    from pyarrow import fs

    if scheme in ("gs", "gcs") and "retry_limit_seconds=" not in query:
        query = "&".join([*filter(None, [query]), _GCS_PATIENCE])
    found: tuple[Any, str]
    found = fs.FileSystem.from_uri(f"{scheme}://{authority}/{'?' + query if query else ''}")
    return found


def _open(uri: Uri) -> tuple[Any, str]:
    """The file system, and the path in it."""
    file_system, root = _file_system(uri.scheme, uri.authority, uri.query)
    return file_system, f"{root.rstrip('/')}/{uri.path}".rstrip("/")


@contextlib.contextmanager
def _named(uri: Uri) -> Iterator[None]:
    """Put the URI before what Arrow says is wrong, as one line without the URI's secrets.

    Where the store lets nobody in, the message ends with where credentials come from; where it
    does not answer, Arrow's many words become the host.
    """
    import pyarrow as pa

    try:
        with prefixed(display(str(uri)), OSError, pa.ArrowException):
            yield
    except KactError as e:
        hidden = str(e)
        key, _, secret = uri.authority.rpartition("@")[0].partition(":")
        if secret:
            hidden = hidden.replace(secret, "***").replace(key, "***")
        hidden = re.sub(r"\b(sig|client_secret)=[^&\s'\"]+", r"\1=***", hidden)
        said = str(e.__cause__)
        if silent := _NO_ANSWER.search(said):
            hidden = f"{display(str(uri))}: {_unreached(uri, said, silent[0].lower())}"
        elif _REFUSED.search(said):
            hidden += _HINT
        if hidden == str(e):
            raise
        raise type(e)(hidden) from e


def _unreached(uri: Uri, said: str, why: str) -> str:
    """That nobody answers: at which host, where Arrow says it, and what there is to look at."""
    host = _HOST.search(said)
    where = f" at {host[1]}" if host else ""
    asked = "the network, or AWS_ENDPOINT_URL?" if uri.scheme == "s3" else "the network?"
    return f"no answer from the store{where}: {why} ({asked})"


@dataclass(frozen=True)
class Found:
    """What there is at a URI: its size in bytes, None for a directory; when it was modified."""

    uri: Uri
    size: int | None
    changed: int | None = None


def look(uri: Uri) -> Found | None:
    """What is at `uri`, or None. Raises DataError where the store cannot be asked."""
    with _named(uri):
        file_system, path = _open(uri)
        info = file_system.get_file_info(path)
        if info.type.name == "NotFound":
            return None
        return Found(uri, info.size if info.type.name == "File" else None, info.mtime_ns)


def listing(uri: Uri) -> Iterator[tuple[str, int, int | None]]:
    """Every file below `uri`: its path from there, its size, when it was modified (ns)."""
    from pyarrow import fs

    with _named(uri):
        file_system, path = _open(uri)
        selector = fs.FileSelector(path, recursive=True, allow_not_found=True)
        for info in file_system.get_file_info(selector):
            if info.type.name == "File":
                yield info.path[len(path) :].lstrip("/"), info.size, info.mtime_ns


def fetch(uri: Uri, fd: int) -> int:
    """Write the object at `uri` to the file open as `fd`, in pieces; returns its size in bytes.

    Raises DataError where another has been put in its place meanwhile: each piece is asked for by
    itself, and may be of the one or of the other.
    """
    with _named(uri):
        file_system, path = _open(uri)
        with file_system.open_input_file(path) as source:
            version = _version(source)
            total = copy(source.readinto, partial(_spool, fd), piece=PIECE_BYTES)
        with file_system.open_input_file(path) as source:
            if _version(source) != version:
                raise DataError("changed while it was read")
    if total != version[0]:
        raise DataError(f"{display(str(uri))}: {total:,} of {version[0]:,} bytes came")
    return total


def _version(source: Any) -> tuple[int, object, object]:
    """What tells an open object from others of its name: size, time, and where there is one a hash.

    The time is in whole seconds. HDFS tells neither, but reads on in the file that was opened.
    """
    about = source.metadata()
    return source.size(), about.get("Last-Modified"), about.get("ETag")


def _spool(fd: int, data: memoryview) -> None:
    with prefixed("temporary file", OSError):
        write_full(fd, data)


def put(source: str, uri: Uri) -> int:
    """Write the local file `source` to `uri`, whole or not at all; returns its size in bytes."""
    with _named(uri), open(source, "rb", buffering=0) as file:
        return _put(uri, file.readinto)


def _put(uri: Uri, read: Callable[[memoryview], int]) -> int:
    file_system, path = _open(uri)
    if uri.scheme in _WHOLE:
        return _upload(file_system, path, read)
    directory = path.rpartition("/")[0]
    temporary = f"{directory}/.kact-{secrets.token_hex(6)}.tmp"
    if (
        uri.scheme in _SERVERS
    ):  # Azure needs none, and Arrow would make a container that is not there
        file_system.create_dir(directory, recursive=True)
    try:
        total = _upload(file_system, temporary, read)
        file_system.move(temporary, path)
    except BaseException as e:
        with contextlib.suppress(Exception):  # what is told is why it failed
            file_system.delete_file(temporary)
        if isinstance(e, NotImplementedError):
            raise DataError(_NO_RENAME) from e
        raise
    return total


def _upload(file_system: Any, path: str, read: Callable[[memoryview], int]) -> int:
    stream = file_system.open_output_stream(path)
    try:
        total = copy(read, stream.write, piece=PIECE_BYTES)
        stream.close()
    except BaseException:
        _abandon(stream)
        raise
    return total


def _abandon(stream: Any) -> None:
    """Never let go of an upload that failed: that would close it, and show what there is of it.

    Not even when the process ends: Arrow, which has no call to abort an upload, waits for ever
    where a stream is closed after its file system.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(stream))


def read_bytes(uri: Uri) -> bytes | None:
    """The content of a small object; None where there is none."""
    with _named(uri):
        file_system, path = _open(uri)
        try:
            with file_system.open_input_file(path) as source:
                return bytes(source.readall())
        except FileNotFoundError:
            return None

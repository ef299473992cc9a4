"""Archives of tensors made and read without kact: .npz by zipfile, safetensors by hand."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.tools.tensors import npy

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


def npz(arrays: Mapping[str, Any], *, deflate: bool = False) -> bytes:
    """An .npz of arrays, and of members that are bytes."""
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, array in arrays.items():
            if isinstance(array, bytes):
                archive.writestr(name, array)
            else:
                archive.writestr(f"{name}.npy", npy(array))
    return file.getvalue()


def read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return dict(archive)


def safetensors(tensors: Mapping[str, Any], metadata: Any = None) -> bytes:
    """A safetensors file of arrays, or of (dtype, shape, bytes)."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, tensor in tensors.items():
        if isinstance(tensor, np.ndarray):
            dtype = next(k for k, v in DTYPES.items() if np.dtype(v) == tensor.dtype)
            tensor = (dtype, tensor.shape, tensor.tobytes())
        offsets = [len(data), len(data) + len(tensor[2])]
        header[name] = {"dtype": tensor[0], "shape": list(tensor[1]), "data_offsets": offsets}
        data += tensor[2]
    return framed(json.dumps(header).encode(), data)


def framed(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A header, its length (or another) before it, and the data."""
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def read_safetensors(path: Path) -> tuple[dict[str, tuple[str, list[int], bytes]], Any]:
    """The tensors as (dtype, shape, bytes), in the order of the header, and the metadata."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    metadata = header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        found[name] = (entry["dtype"], entry["shape"], raw[start + first : start + last])
    return found, metadata

"""Tensors in .npy files, as NumPy writes them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

X = np.array([[-2.0, -0.5, 0.0], [1.0, 7.0, np.inf]], "f4")
Y = np.maximum(X, 0)
"""What relu makes of X."""
BIG = np.random.default_rng(0).normal(size=(3, 700_001)).astype("f4")


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    """The array as a .npy file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def raw(text: bytes | str, version: bytes = b"\x01\x00", data: bytes = b"") -> bytes:
    """A .npy file with that header text, well-formed or not."""
    text = text.encode("latin-1") if isinstance(text, str) else text
    width = 2 if version[0] == 1 else 4
    return b"\x93NUMPY" + version + len(text).to_bytes(width, "little") + text + data


def says(shape: str, descr: str = "'<f4'", order: str = "False") -> str:
    """The text of a header."""
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def normal(*shape: int, dtype: str = "f4", seed: int = 0) -> NDArray[Any]:
    """A tensor of normal numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def save(path: Path, *shape: int, dtype: str = "f4", seed: int = 0) -> NDArray[Any]:
    """A tensor of normal numbers in a new file of any name, its directories made as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = normal(*shape, dtype=dtype, seed=seed)
    with path.open("wb") as file:  # np.save would add a suffix
        np.save(file, array)
    return array


def zeros(path: Path, dtype: str, length: int) -> None:
    """A tensor of zeros of any length, in a sparse file."""
    head = {"descr": dtype, "fortran_order": False, "shape": (length,)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        file.truncate(file.tell() + length * np.dtype(dtype).itemsize)


def holds(path: Path, wanted: np.ndarray = Y) -> bool:
    """Whether the file has exactly these values."""
    return np.array_equal(np.load(path), wanted)

"""A small tensor and one larger than any buffer, as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tools.tensors import BIG, X


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.npy"
    np.save(path, X)
    return path


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.npy"
    np.save(path, BIG)
    return path

"""A small tensor as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tools.tensors import X


@pytest.fixture
def source(tmp_path: Path) -> Path:
    np.save(tmp_path / "in.npy", X)
    return tmp_path / "in.npy"

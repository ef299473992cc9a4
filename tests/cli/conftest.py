"""A small tensor as a file, and a large one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tools.tensors import X


@pytest.fixture
def source(tmp_path: Path) -> Path:
    np.save(tmp_path / "in.npy", X)
    return tmp_path / "in.npy"


@pytest.fixture(scope="session")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "big.npy"
    np.save(path, np.random.default_rng(0).normal(size=(1 << 14, 500)).astype("f4"))
    return path

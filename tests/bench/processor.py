"""The processor that a benchmark runs on, and the one that it can be made to pass for."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

DISABLE = "NPY_DISABLE_CPU_FEATURES"


def processor() -> str:
    """Its name, its number of cores, and the features that NumPy uses beyond its baseline."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    facts = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    named = [facts.get(k, "?") for k in ("model name", "cpu family", "model")]
    used = " ".join(_dispatched()) or "baseline alone"
    return "{} (family {}, model {}), {} cores; {}".format(*named, os.cpu_count(), used)


def without_avx512() -> dict[str, str]:
    """The environment in which NumPy and torch take this processor for one without AVX-512."""
    names = [name for name in _dispatched() if name.startswith("AVX512") or name == "X86_V4"]
    torch = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    return {**os.environ, DISABLE: " ".join(names), **torch}


def _dispatched() -> list[str]:
    """The features that NumPy chooses code by, has here, and was not told to leave."""
    core = import_module("numpy._core._multiarray_umath")
    return [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]

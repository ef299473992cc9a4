"""Archives in a batch: each is a file like any other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kact_cli.parallel import processes
from tests.tools.archives import npz, read_npz, read_safetensors, safetensors
from tests.tools.run import leftovers, names, run_here
from tests.tools.tables import convert
from tests.tools.tensors import X, npy

MEMBERS = {"a": X, "b": -X, "ids": np.arange(4)}
BROKEN = npz({"a": X})[:-10]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory with an archive of each kind and a .npy."""
    directory = tmp_path / "in"
    directory.mkdir()
    (directory / "stored.npz").write_bytes(npz(MEMBERS))
    (directory / "packed.npz").write_bytes(npz(MEMBERS, deflate=True))
    (directory / "w.safetensors").write_bytes(safetensors(MEMBERS, {"of": "a test"}))
    (directory / "x.npy").write_bytes(npy(X))
    return directory


def test_a_worker_has_no_workers_of_its_own(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large archive that is all that is left to do gets threads."""
    with processes.Processes(1) as workers:
        assert workers.submit(processes.is_worker).result()
    assert not processes.is_worker()
    monkeypatch.setattr(processes, "is_worker", lambda: True)
    monkeypatch.setattr(processes, "Processes", None)
    monkeypatch.setattr("kact_cli.transform.tensor_files.UNIT_BYTES", 1)
    for name in ("stored.npz", "w.safetensors", "x.npy"):
        convert("softmax", source / name, tmp_path / name, jobs=2)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_each_is_what_it_is_by_itself(source: Path, jobs: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run_here("batch", "softmax", source, "-o", out, "--jobs", jobs, "-q")[0] == 0
    assert names(out) == [".kact-batch.json", *names(source)]
    for name in names(source):
        alone = tmp_path / f"alone{Path(name).suffix}"
        convert("softmax", source / name, alone, overwrite=True)
        assert (out / name).read_bytes() == alone.read_bytes()
    assert read_npz(out / "packed.npz")["ids"].tolist() == [0, 1, 2, 3]
    assert read_safetensors(out / "w.safetensors")[1] == {"of": "a test"}


def test_members_are_chosen_and_counted(source: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    words = ("batch", "relu", source, "-o", out, "-c", "b", "--exclude-path", "x.npy", "-q")
    assert run_here(*words, "--report", report)[0] == 0
    for entry in json.loads(report.read_text())["files"]:
        assert entry["status"] == "done"
        assert (entry["rows"], entry["nan"]["out"], entry["inf"]) == (2, 0, {"in": 1, "out": 0})
    found = read_npz(out / "stored.npz")
    assert np.array_equal(found["a"], X)
    assert np.array_equal(found["b"], np.maximum(-X, 0))


def test_a_broken_one_fails_alone(source: Path, tmp_path: Path) -> None:
    (source / "broken.npz").write_bytes(BROKEN)
    out = tmp_path / "out"
    code, said = run_here("batch", "relu", source, "-o", out, "--keep-going", "-q")
    assert code == 1
    assert "broken.npz is no sound zip archive" in said
    assert names(out) == [".kact-batch.json", *(n for n in names(source) if n != "broken.npz")]
    assert not leftovers(out)


def test_what_is_done_is_left_and_what_changed_is_done_again(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("batch", "relu", source, "-o", out, "-q")
    assert run_here(*words)[0] == 0
    before = {name: (out / name).stat().st_mtime_ns for name in names(source)}
    (source / "stored.npz").write_bytes(npz({"a": X + 1, "more": X}))
    assert run_here(*words, "--update")[0] == 0
    changed = {n for n in names(source) if (out / n).stat().st_mtime_ns != before[n]}
    assert changed == {"stored.npz"}
    assert read_npz(out / "stored.npz").keys() == {"a", "more"}


def test_one_format_for_all(source: Path, tmp_path: Path) -> None:
    (source / "x.npy").unlink()
    out = tmp_path / "out"
    assert run_here("batch", "relu", source, "-o", out, "--to", "safetensors", "-q",
                    "--exclude-path", "packed.npz")[0] == 0  # fmt: skip
    assert names(out) == [".kact-batch.json", "stored.safetensors", "w.safetensors"]
    tensors, _ = read_safetensors(out / "stored.safetensors")
    assert tensors["a"] == ("F32", [2, 3], np.maximum(X, 0).tobytes())

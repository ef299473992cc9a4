"""A Dask cluster does what `--jobs` does: a scheduler and workers as processes on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from tests.tools.dask import Cluster, running
from tests.tools.run import MIB, Kact, leftovers, start, tree, wait_until
from tests.tools.tensors import save

# Long enough for something to happen in its midst
SLOW = ",".join(["softplus,tanh,softplus,sigmoid"] * 2)


def test_two_workers_give_the_bytes_of_one_process(
    cluster: Cluster, kact: Kact, tmp_path: Path
) -> None:
    for number in range(20):
        save(tmp_path / "in" / f"d{number % 3}" / f"{number}.npy", 1000 * number, 3, seed=number)
    (tmp_path / "in/t.csv").write_text("id,v\n1,0.5\n2,\n")
    # Large enough to be cut into ranges, with a pass for the statistics
    save(tmp_path / "in/large.npy", 17 * MIB, dtype="f8")
    (tmp_path / "in/bad.npy").write_bytes(b"none")
    args = ["batch", "elu,softmax(axis=0)", "in", "-k", "--report", tmp_path / "report.json"]
    one = kact(*args, "-o", "one", "--jobs", 1, cwd=tmp_path, code=1)
    # From a relative path: the workers stand elsewhere
    two = kact(*args, "-o", "two", "--scheduler", cluster.address, cwd=tmp_path, code=1)
    assert len(two.stderr.splitlines()) == len(one.stderr.splitlines()) == 2
    assert b"bad.npy is not a .npy file" in two.stderr
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert len(tree(tmp_path / "two")) == 22


def test_work_of_a_lost_worker_is_done_by_another(kact: Kact, tmp_path: Path) -> None:
    with running(tmp_path / "dask", "a") as cluster:
        lose_a_worker(cluster, cluster.worker("b"), kact, tmp_path)


def lose_a_worker(
    cluster: Cluster, lost: subprocess.Popen[bytes], kact: Kact, tmp_path: Path
) -> None:
    for number in range(10):
        save(tmp_path / "in" / f"{number}.npy", 2 * MIB, dtype="f8", seed=number)
    save(tmp_path / "in/large.npy", 17 * MIB, dtype="f8")
    args = ["batch", SLOW, tmp_path / "in"]
    kact(*args, "-o", tmp_path / "one", "--jobs", 1)
    out = tmp_path / "two"
    process = start(*args, "-o", out, "--scheduler", cluster.address)

    def busy() -> bool:
        """Whether the worker has a file of the output open."""
        links = []
        for entry in os.scandir(f"/proc/{lost.pid}/fd"):
            try:
                links.append(os.readlink(entry))
            except OSError:  # it is closed by now
                continue
        return any(link.startswith(str(out)) for link in links)

    assert wait_until(lambda: len(list(out.glob("*.npy"))) >= 3 and busy(), 30)
    lost.kill()
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors.decode()
    assert not errors
    assert tree(out) == tree(tmp_path / "one")
    assert not leftovers(out)


def test_ctrl_c_ends_it(cluster: Cluster, tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / "in" / f"{number}.npy", 2 * MIB, dtype="f8", seed=number)
    args = ["batch", SLOW, tmp_path / "in", "-o", tmp_path / "out"]
    process = start(*args, "--scheduler", cluster.address)
    assert wait_until(lambda: len(leftovers(tmp_path)) > 0, 30)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.startswith(b"kact: interrupted; ")
    assert errors.count(b"\n") == 1
    # What a worker had begun it ends or gives up; nothing stays half done
    assert wait_until(lambda: not leftovers(tmp_path), 10)


def test_scheduler_that_is_not_there(refused: Kact, tmp_path: Path) -> None:
    save(tmp_path / "a.npy", 3)
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    args = ["batch", "relu", tmp_path / "a.npy", "-o", tmp_path / "out"]
    done = refused(*args, "--scheduler", f"tcp://127.0.0.1:{port}")
    assert f"no Dask scheduler at tcp://127.0.0.1:{port}" in done.stderr.decode()
    assert not (tmp_path / "out").exists()

"""The temporary file beside an output, while others remove what killed runs have left there."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kact_cli.files import temporary
from kact_cli.files.target import Target
from kact_cli.files.temporary import create_beside, remove_abandoned
from tests.tools.run import leftovers, names


def test_what_nobody_holds_is_removed(tmp_path: Path) -> None:
    fd, path = create_beside(str(tmp_path), "out.npy", 0o600)
    remove_abandoned(path)
    assert os.path.exists(path)
    os.close(fd)
    remove_abandoned(path)
    assert not os.path.exists(path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    precious, link = tmp_path / "precious", tmp_path / ".kact-x.tmp"
    precious.write_bytes(b"precious")
    link.symlink_to(precious)
    remove_abandoned(str(link))
    assert names(tmp_path) == [".kact-x.tmp", "precious"]


@pytest.mark.parametrize(("step", "overwrite"), [("link", False), ("replace", True)])
def test_an_output_is_held_until_it_is_in_its_place(
    step: str, overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., None] = getattr(os, step)

    def placed(path: str, final: str) -> None:
        remove_abandoned(path)
        real(path, final)

    monkeypatch.setattr(os, step, placed)
    with Target(str(tmp_path / "out"), overwrite=overwrite) as target:
        target.write(b"whole")
    assert (tmp_path / "out").read_bytes() == b"whole"
    assert names(tmp_path) == ["out"]


def test_a_new_one_that_is_taken_for_abandoned_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []
    real = fcntl.flock

    def take() -> None:
        """What `remove_abandoned` does, slowly."""
        taken.extend(leftovers(tmp_path))
        other = os.open(taken[0], os.O_RDWR)
        real(other, fcntl.LOCK_EX)
        locked.set()
        time.sleep(0.05)
        os.unlink(taken[0])
        os.close(other)

    def lock(fd: int, operation: int) -> Any:
        if not taken:
            threading.Thread(target=take).start()
            assert locked.wait(10)
        return real(fd, operation)

    locked = threading.Event()
    monkeypatch.setattr(temporary.fcntl, "flock", lock)
    fd, path = create_beside(str(tmp_path), "out.npy", 0o600)
    os.close(fd)
    assert leftovers(tmp_path) == [Path(path)]
    assert taken != [Path(path)]

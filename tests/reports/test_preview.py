"""The preview: its numbers are those that the output would have, or there are none."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import numpy as np
import pytest

from kact_cli import apply
from kact_cli.chain import Chain
from kact_cli.cli.screen.preview import lines
from kact_cli.cli.screen.show import cells
from kact_cli.errors import UsageError
from kact_cli.options import Options
from kact_cli.reports.preview import SAMPLE, preview
from tests.tools.run import Kact, all_shown, command, environment
from tests.tools.tables import measured, write

CHAIN = Chain.parse("relu(max_value=6),softmax")


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", [(20, 10), (5,), (700_000, 3), (3, 4, 5), (1, 2)], ids=str)
def test_rows_of_a_tensor(tmp_path: Path, shape: tuple[int, ...], order: str) -> None:
    x = np.random.default_rng(0).normal(0, 3, shape).astype("f4")
    np.save(tmp_path / "x.npy", np.asarray(x, order=order))
    whole = Chain.parse("relu,tanh") if len(shape) == 1 else CHAIN
    found = preview(whole, str(tmp_path / "x.npy"), Options(), each=True)
    expected = [x, *(apply(Chain(whole.steps[: n + 1]), x) for n in range(2))]
    assert found.rows[0] == 0
    assert found.rows[-1] == shape[0] - 1
    assert [layer.label for layer in found.layers] == ["in", *map(str, whole.steps)]
    for layer, array in zip(found.layers, expected, strict=True):
        assert np.array_equal(
            np.array(layer.rows), array[list(found.rows)].reshape(len(found.rows), -1)
        )
    if x.size <= SAMPLE:
        assert found.sampled == found.total == shape[0]
        assert found.summary.mean == pytest.approx(expected[-1].astype(float).mean())
    else:
        assert found.sampled < shape[0] == found.total


def test_down_the_rows_it_is_the_whole_or_nothing(tmp_path: Path) -> None:
    chain, path = Chain.parse("softmax:axis=0"), tmp_path / "x.npy"
    x = np.random.default_rng(0).normal(0, 3, (50, 4))
    np.save(path, x)
    found = preview(chain, str(path), Options())
    assert np.array_equal(np.array(found.layers[1].rows), apply(chain, x)[list(found.rows)])
    np.save(path, np.zeros((SAMPLE // 2, 3)))
    with pytest.raises(UsageError, match="OUTPUT"):
        preview(chain, str(path), Options())


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows", "csv"])
@pytest.mark.parametrize("spec", ["elu,softmax", "softmax:axis=0,tanh"])
def test_rows_of_a_table(kact: Kact, tmp_path: Path, suffix: str, spec: str) -> None:
    path = write(measured(), tmp_path / f"t.{suffix}", 1000)
    options = Options(columns=("logit_a", "logit_b"))
    found = preview(Chain.parse(spec), str(path), options)
    kact("chain", spec, path, tmp_path / f"o.{suffix}", "-c", "logit_*")
    again = preview(Chain.parse("relu"), str(tmp_path / f"o.{suffix}"), options)
    assert found.rows == again.rows == (0, 1, 2, 2997, 2998, 2999)
    out, back = (np.array(p.layers[n].rows, float) for p, n in ((found, 1), (again, 0)))
    assert out == pytest.approx(back, rel=1e-14, nan_ok=True)  # sums may run in another order
    piped = kact("chain", spec, "-c", "logit_*", "--preview", "result", stdin=path.read_bytes())
    named = kact("chain", spec, "-c", "logit_*", "--preview", "result", path)
    assert piped.stdout == named.stdout


def test_a_large_table_says_that_it_is_a_sample(tmp_path: Path) -> None:
    import pyarrow as pa

    path = write(pa.table({"x": np.zeros(SAMPLE + 70_000)}), tmp_path / "t.parquet", 200_000)
    found = preview(Chain.parse("tanh"), str(path), Options())
    assert found.sampled < SAMPLE + 70_000
    assert any("a sample of" in line for line, _ in lines(found, 80))
    with pytest.raises(UsageError, match="OUTPUT"):
        preview(Chain.parse("softmax:axis=0"), str(path), Options())


@pytest.mark.parametrize("width", [40, 80, 140])
def test_it_fits_the_window(kact: Kact, tmp_path: Path, width: int) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(0, 1e-9, (30, 200)))
    done = kact(
        "chain", "relu:alpha=0.1:max_value=6,softmax", "--preview", "after-each",
        tmp_path / "x.npy", COLUMNS=str(width),
    )  # fmt: skip
    shown = done.stdout.decode().splitlines()
    assert max(map(len, shown[1:])) <= width
    assert max(map(len, shown)) > width - 17


@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (5, 0)], ids=str)
def test_next_to_nothing(kact: Kact, tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "x.npy", np.zeros(shape))
    kact("apply", "tanh", "--preview", "result", tmp_path / "x.npy")


def test_a_terminal_gets_a_preview_and_no_bytes(tmp_path: Path) -> None:
    np.save(tmp_path / "x\x1b[2J.npy", np.zeros((2, 2)))
    ours, theirs = pty.openpty()
    done = subprocess.run(
        command("apply", "sigmoid", tmp_path / "x\x1b[2J.npy"),
        stdout=theirs, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        env=environment(NO_COLOR="1"), timeout=60,
    )  # fmt: skip
    os.close(theirs)
    shown = all_shown(ours).decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert "0.5" in shown
    assert "nothing was written; name an OUTPUT" in shown
    assert "\x1b" not in shown


def test_with_an_output_there_is_none(refused: Kact, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    args = ("--preview", "result", tmp_path / "x.npy", tmp_path / "y.npy")
    refused("apply", "tanh", *args, code=2)


def labelled(tmp_path: Path) -> Path:
    """A table with ids, labels of wide characters, numbers and lists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    numbers = pa.array(rng.normal(0, 3, 20 * 16).astype("f4"))
    columns = {
        "customer": [f"cust-{i:05}" for i in range(20)],
        "name": ["cat", "ねこ猫", None, "dog"] * 5,
        "a logit of a long name": rng.normal(size=20),
        "embedding": pa.FixedSizeListArray.from_arrays(numbers, 16),
    }
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("width", "expected", "least"),
    [
        (40, ["cust-00000", "..."], 0),
        (80, ["cust-00000", "cat", "a logit of a long name"], 1),
        (140, ["cust-00000", "cat", "a logit of a long name"], 6),
    ],
)
def test_ids_and_labels_are_shown(
    tmp_path: Path, width: int, expected: list[str], least: int
) -> None:
    found = preview(CHAIN, str(labelled(tmp_path)), Options())
    shown = [line for line, _ in lines(found, width)]
    assert max(map(cells, shown)) <= width
    assert all(any(word in line for line in shown[1:]) for word in expected)
    named = [line for line in shown if "cust-" in line]
    lists = [line[line.index("[") :] for line in named if "[" in line]
    assert min([line.count(",") for line in lists], default=0) >= least
    assert len({cells(line) for line in named}) == 1  # wide characters take two


def test_columns_of_any_type_are_kept(tmp_path: Path) -> None:
    import datetime

    import pyarrow as pa
    import pyarrow.parquet as pq

    day = datetime.date(2026, 1, 2)
    columns = {
        "day": pa.array([day, None]),
        "at": pa.array([-(2**62), 2**62], pa.timestamp("ns")),
        "raw": pa.array([b"\xff\x00", b"\x1b[2J"]),
        "of": pa.array([{"a": 1}, None]),
        "n": pa.array([2**60, None]),
        "x": pa.array([0.5, None]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = preview(Chain.parse("tanh"), str(tmp_path / "t.parquet"), Options())
    assert found.kept == ("day", "at", "raw", "of", "n")
    assert [row[0] for row in found.kept_rows] == ["2026-01-02", None]
    assert [row[4] for row in found.kept_rows] == [2**60, None]
    assert not any("\x1b" in line for line, _ in lines(found, 140))

"""kact and its peers side by side, as whole processes.

    pip install -e '.[bench]'
    python tests/bench/compare.py [--rounds 5] [--scale 1] [--only WORD] [--peers LIST] [--data DIR]
                                  [--existing] [--before CHECKOUT] [--baseline]

Makes the data once, runs kact and each peer alternately, checks that their outputs agree, and
prints a Markdown table: kact's median time and peak memory, and for each peer the median of the
ratios kact / peer, round by round (below 1: kact is faster); behind a slash that of the processor
seconds of all threads, which other work on the machine disturbs less. Files are in the page cache.
Outputs are new files, or with `--existing` replace those of the round before. "no arithmetic" is
kact with an activation that leaves everything as it is; `--before` takes another checkout of kact
for a peer. With `--baseline` NumPy and torch (and no others) do without AVX-512.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from statistics import median

from peers import FIVE
from processor import processor, without_avx512

HERE = Path(__file__).parent
KACT = f"{sys.executable} -m kact_cli"
ACTIVATIONS = (
    "relu", "sigmoid", "softmax", "softplus", "softsign", "tanh", "selu", "elu", "exponential",
)  # fmt: skip
NPY_PEERS = ("numpy", "torch", "numexpr", "onnxruntime")
# onnxruntime has no others in float64.
ONNX_FLOAT64 = ("relu", "sigmoid", "softmax", "tanh", "exponential")
TABLE_PEERS = ("polars", "duckdb", "pandas")
MILLER_STEPS = "; ".join(f"$x{i} = 1 / (1 + exp(-$x{i}))" for i in range(8))


@dataclass(frozen=True)
class Job:
    """One line of the table: kact's command and the peers', each writing a file of its own."""

    name: str
    suffix: str
    kact: str
    peers: dict[str, str]
    tolerance: float | None = 2e-5
    """How far the outputs may lie apart, relatively; None: they are not compared."""


@dataclass
class Result:
    """The runs of a job: seconds, processor seconds and MiB of each command, round by round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    processor: dict[str, list[float]] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)


def jobs(data: Path) -> Iterator[Job]:
    """Every comparison, in the order of the table."""

    def script(peer: str, name: str, source: str, out: str) -> str:
        return f"{sys.executable} {HERE / 'peers.py'} {peer} {name} {data / source} {out}"

    def npy(name: str, source: str, spec: str, label: str) -> Job:
        peers = {"cp": f"cp {data / source} {{out}}"}
        peers["no arithmetic"] = f"{KACT} chain linear --overwrite {data / source} {{out}}"
        lacks = {"numexpr": name.startswith("softmax")}
        lacks["onnxruntime"] = source == "f8.npy" and name not in ONNX_FLOAT64
        for peer in NPY_PEERS:
            if not lacks.get(peer):
                peers[peer] = script(peer, name, source, "{out}")
        command = f"{KACT} chain {spec} --overwrite {data / source} {{out}}"
        # Down millions of rows, NumPy and others add float32 one after another
        return Job(label, ".npy", command, peers, 1e-2 if name == "softmax0" else 2e-5)

    for name in ACTIVATIONS:
        yield npy(name, "f4.npy", name, f"npy float32 {name}")
    yield npy("five", "f4.npy", ",".join(FIVE), "npy float32 five steps")
    yield npy("softmax0", "f4.npy", "softmax:axis=0", "npy float32 softmax(axis=0)")
    for width in (10, 100, 1000, 50_000):
        yield npy("softmax", f"w{width}.npy", "softmax", f"npy float32 softmax of {width:,}")
    for name in ACTIVATIONS:
        yield npy(name, "f8.npy", name, f"npy float64 {name}")
    source = data / "f4.npy"
    pipe = f"cat {source} | {KACT} apply relu > {{out}}"
    cats = {"cat | cat": f"cat {source} | cat > {{out}}"}
    yield Job("pipe relu", ".npy", pipe, cats, tolerance=None)
    for archive, name in product(("f4.npz", "f4.safetensors"), ("relu", "sigmoid", "softmax")):
        command = f"{KACT} chain {name} --overwrite"
        plain = {"its .npy": f"{command} --to npy {data / 'f4.npy'} {{out}}"}
        suffix, command = Path(archive).suffix, f"{command} {data / archive} {{out}}"
        yield Job(f"{suffix[1:]} {name}", suffix, command, plain, tolerance=None)
    for table in ("text.parquet", "lists.parquet", "wide.csv"):
        replacing = f"{KACT} chain sigmoid --columns 'x*' --overwrite {data / table} {{out}}"
        adding = replacing.replace("--overwrite", "--suffix _p --overwrite")
        peers = {"replacing": replacing}
        yield Job(f"{table} --suffix", Path(table).suffix, adding, peers, tolerance=None)
    for table, steps in (
        ("wide.parquet", ("sigmoid", "softmax")),
        ("narrow.parquet", ("sigmoid",)),
        ("hundreds.parquet", ("sigmoid", "softmax")),
        ("text.parquet", ("sigmoid",)),
        ("lists.parquet", ("softmax",)),
        ("wide.csv", ("sigmoid",)),
    ):
        for name in steps:
            peers = {peer: script(peer, name, table, "{out}") for peer in TABLE_PEERS}
            if (table, name) == ("hundreds.parquet", "softmax"):
                # An expression for each column of all the others: they run out of 24 GiB
                del peers["polars"], peers["duckdb"]
            if table.endswith(".csv") and shutil.which("mlr"):
                peers["miller"] = f"mlr --csv put '{MILLER_STEPS}' {data / table} > {{out}}"
            command = f"{KACT} chain {name} --columns 'x*' --overwrite {data / table} {{out}}"
            yield Job(f"{table} {name}", Path(table).suffix, command, peers)
    yield from reading(data)
    tiny = f"{KACT} apply relu --overwrite {data / 'tiny.npy'} {{out}}"
    imports = {"import numpy, click": f"{sys.executable} -c 'import numpy, click'"}
    yield Job("start: a tiny .npy", ".npy", tiny, imports, tolerance=None)
    click = {"import click": f"{sys.executable} -c 'import click'"}
    yield Job("start: kact --help", ".txt", f"{KACT} --help > {{out}}", click, tolerance=None)


def reading(data: Path) -> Iterator[Job]:
    """What is read and summed up: two files compared, one described."""
    for suffix, first, compared_by, described_by in (
        (".npy", "f4", ("allclose", "numpy"), ("numpy",)),
        (".parquet", "wide", ("polars",), ("polars", "duckdb", "pandas")),
    ):
        one, other = data / f"{first}{suffix}", data / f"{first}-near{suffix}"
        for name, command, peers, files in (
            ("compare", "compare --max-ulp 4", compared_by, f"{one} {other}"),
            ("inspect --stats", "inspect --stats", described_by, f"{one}"),
        ):
            scripts = {
                peer: f"{sys.executable} {HERE / 'reading.py'} {name.split()[0]} {peer} {files}"
                for peer in peers
            }
            scripts = {peer: f"{script} > {{out}}" for peer, script in scripts.items()}
            kact = f"{KACT} {command} {files} > {{out}}"
            yield Job(f"{one.name} {name}", ".txt", kact, scripts, tolerance=None)


class Failed(Exception):
    """A command failed, as an older kact's may, or its output is another."""


def run(command: str, out: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak MiB of one run that writes `out`."""
    line = ("" if "|" in command else "exec ") + command.format(out=out)
    dropped = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    start = time.perf_counter()
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", line], environment)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise Failed(f"failed: {line}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measure(job: Job, rounds: int, place: Path, *, existing: bool) -> Result:
    """Run kact and the peers in turn, after a round that is not counted but checked."""
    commands = {"kact": job.kact, **job.peers}
    outs = {name: place / f"{i}{job.suffix}" for i, name in enumerate(commands)}
    result = Result(
        *({name: [] for name in commands} for _ in range(2)), dict.fromkeys(commands, 0)
    )
    try:
        for number in range(rounds + 1):
            for name, command in commands.items():
                if number and not existing:
                    outs[name].unlink(missing_ok=True)
                seconds, processor, peak = run(command, outs[name])
                if number:
                    result.seconds[name].append(seconds)
                    result.processor[name].append(processor)
                    result.peak[name] = max(result.peak[name], peak)
            if number == 0 and job.tolerance is not None:
                for name in set(commands) - {"kact", "cp", "no arithmetic", "before"}:
                    check = [sys.executable, str(HERE / "peers.py"), "check", str(job.tolerance)]
                    if subprocess.run([*check, str(outs["kact"]), str(outs[name])]).returncode:
                        raise Failed(f"the output of {name} is not kact's")
    finally:
        for out in outs.values():
            out.unlink(missing_ok=True)
    return result


def line(job: Job, result: Result) -> str:
    """The job's row of the table."""
    mine = result.seconds["kact"]
    cells = [job.name, f"{median(mine):.2f} s", f"{result.peak['kact']:.0f} MiB"]
    ratios = []
    for name in job.peers:
        ratio, work = (
            median(a / b for a, b in zip(figures["kact"], figures[name], strict=True))
            for figures in (result.seconds, result.processor)
        )
        ratios.append(f"{ratio:.2f}/{work:.2f} x {name} ({result.peak[name]:.0f} MiB)")
    return f"| {' | '.join(cells)} | {', '.join(ratios)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--peers", default="", help="some of them, comma-separated")
    parser.add_argument("--data", type=Path, default=Path(".bench"))
    parser.add_argument("--before", type=Path, help="an older checkout of kact, as a peer")
    parser.add_argument("--existing", action="store_true", help="outputs replace older ones")
    parser.add_argument("--baseline", action="store_true", help="as without AVX-512")
    chosen = parser.parse_args()
    if chosen.baseline:
        arguments = [a for a in sys.argv if a != "--baseline"]
        os.execve(sys.executable, [sys.executable, *arguments], without_avx512())
    # Another process makes the data: this one stays small, for its memory is its children's floor
    make = [sys.executable, str(HERE / "data.py"), str(chosen.data), str(chosen.scale)]
    subprocess.run(make, check=True)
    missing = {p for p in (*NPY_PEERS, *TABLE_PEERS) if find_spec(p) is None}
    print(f"{processor()}{''.join(f'; no {p} here' for p in sorted(missing))}\n")
    print("| job | kact | peak | kact's time / the peer's (its peak) |\n|---|---|---|---|")
    for job in jobs(chosen.data.resolve()):
        if chosen.before:
            older = job.kact.replace(
                KACT, f"env PYTHONSAFEPATH=1 PYTHONPATH={chosen.before.resolve()} {KACT}"
            )
            job = replace(job, peers={**job.peers, "before": older})
        wanted = chosen.peers.split(",") if chosen.peers else list(job.peers)
        some = {n: c for n, c in job.peers.items() if n in wanted and n not in missing}
        job = replace(job, peers=some)
        if chosen.only in job.name and job.peers:
            try:
                row = line(job, measure(job, chosen.rounds, chosen.data, existing=chosen.existing))
            except Failed as e:
                row = f"| {job.name} | | | {e} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()

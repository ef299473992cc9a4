"""The files and the commands that every kind of trouble is tried on."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.tools.archives import npz, safetensors
from tests.tools.tensors import npy
from tests.trust.child import Ended, Running, start

Tree = dict[str, bytes]
"""Files by their path from the case's directory."""


@dataclass(frozen=True)
class Command:
    """kact with arguments, in a directory with some files of `files`.

    A name `x` stands for itself in `args`. `output` is what it makes, None: standard output, which
    is the file `out` where `redirected`. `stdin` comes through a pipe, or (`<`) from the file.
    `old` says that there is an output to be replaced; `ends` are the codes of work that is done.
    """

    name: str
    args: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str | None = "out"
    stdin: str | None = None
    redirected: bool = False
    old: bool = False
    ends: tuple[int, ...] = (0,)

    def prepare(self, place: Path, version: int = 0) -> Tree:
        """Make the directory, with the files of that version, and say what is in it."""
        shutil.rmtree(place, ignore_errors=True)
        (place / "tmp").mkdir(parents=True)
        made = files(version)
        for name in self.inputs:
            path = place / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(made[Path(name).name])
        if self.old and self.output:
            (place / self.output).write_bytes(b"what was there before")
        return tree(place)

    def start(self, place: Path, **how: Any) -> Running:
        """Start it, where its directory has been prepared."""
        stdin: bytes | str | None = None
        if self.stdin is not None:
            path = place / self.stdin.removeprefix("<")
            stdin = str(path) if self.stdin.startswith("<") else path.read_bytes()
        out = str(place / "out") if self.redirected else None
        return start(self.args, place, stdin=stdin, stdout=out, **how)

    def run(self, place: Path, **how: Any) -> Ended:
        return self.start(place, **how).wait()

    def results(self, place: Path, version: int = 0) -> tuple[Tree, bytes]:
        """What a run without any trouble leaves, and prints."""
        self.prepare(place, version)
        ended = self.run(place)
        assert ended.code == 0, (self.name, ended.line)
        return tree(place), ended.out


def tree(place: Path) -> Tree:
    """What is in a directory."""
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }


def table(version: int, rows: int) -> pa.Table:
    """An id, text, floats with nulls, lists; of each version other numbers in as many bytes."""
    rng = np.random.default_rng(version)
    # Three decimals and a sign: as many bytes in a CSV, whatever the version
    numbers = rng.integers(1000, 9999, (2, rows)) / 1000 * rng.choice([-1.0, 1.0], (1, rows))
    mask = np.arange(rows) % 7 == 0
    return pa.table(
        {
            "id": pa.array(np.arange(rows) + 100_000),
            "text": [f"text {i % 97:04}" for i in range(rows)],
            "a": pa.array(numbers[0].astype("f4")),
            "b": pa.array(numbers[1], mask=mask),
            "lists": pa.array([[float(x), 1.5] for x in numbers[0]], pa.list_(pa.float32())),
        }
    )


@cache
def files(version: int) -> Tree:
    """Every input, by name."""
    rows = 2000
    rng = np.random.default_rng(10 + version)
    tensor = rng.normal(size=(300, 20)).astype("f4")
    whole, long = table(version, rows), table(version, 9000)
    flat = long.select(["id", "text", "a"])
    text = csv_of(flat)
    members = {"a": tensor, "i": (tensor[:9] * 100).astype("i4"), "b": tensor[:70]}
    return {
        "c.npy": npy(tensor),
        "f.npy": npy(np.asfortranarray(tensor)),
        "i.npy": npy((tensor * 100).astype("i2")),
        "d.npz": npz(members, deflate=True),
        "s.npz": npz(members),
        "m.safetensors": safetensors(members, {"made": "by hand"}),
        "t.csv": text,
        "short.csv": csv_of(flat.slice(0, 300)),
        "t.csv.gz": gzip.compress(text, 1, mtime=0),
        "t.csv.zst": pa.Codec("zstd").compress(text, asbytes=True),
        "t.parquet": parquet(whole, row_group_size=500),
        "z.parquet": parquet(
            whole, row_group_size=700, compression="zstd", write_page_index=True, version="1.0",
            write_page_checksum=True, use_dictionary=["text"],
        ),
        "t.arrow": arrow(whole, 500, stream=False),
        "t.arrows": arrow(whole, 500, stream=True),
    }  # fmt: skip


def csv_of(made: pa.Table) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(made.column_names)
    columns = [
        [f"{x:+.3f}" for x in c.to_pylist()] if pa.types.is_floating(c.type) else c.to_pylist()
        for c in made.columns
    ]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()


def parquet(made: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(made, file, **options)
    return file.getvalue()


def arrow(made: pa.Table, rows: int, *, stream: bool) -> bytes:
    file = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(file, made.schema) as writer:
        writer.write_table(made, rows)
    return file.getvalue()


DOWN = "relu,softmax(axis=0)"
"""Two passes over the input."""


def _commands() -> list[Command]:
    made = []
    small = ("--chunk-size", "4KiB")
    names = ("c.npy", "f.npy", "i.npy", "d.npz", "s.npz", "m.safetensors", "t.csv", "t.csv.gz",
             "t.csv.zst", "t.parquet", "z.parquet", "t.arrow", "t.arrows")  # fmt: skip
    tensors = ("npy", "npz", "safetensors")
    for name in names:
        suffix = name.partition(".")[2]
        out, more = f"out.{suffix}", small if suffix in tensors else ("-c", "a")
        for chain in ("sigmoid", DOWN):
            made.append(
                Command(f"{name} {chain}", ("chain", chain, name, out, *more), (name,), out)
            )
        old = ("chain", "relu", name, out, "--overwrite", "--fsync", *more)
        made.append(Command(f"{name} over", old, (name,), out, old=True))
        piped, file = (("chain", DOWN, "-", target, *more) for target in ("-", out))
        made.append(Command(f"{name} redirected", piped, (name,), "out", name, redirected=True))
        made.append(Command(f"{name} file", file, (name,), out, "<" + name))
        made.append(Command(f"{name} stats", ("inspect", "--stats", name), (name,), None))
    for source, target, *more in (
        ("t.parquet", "out.arrow", "-c", "a"),
        ("t.arrow", "out.parquet", "-c", "a"),
        ("t.arrows", "out.arrows", "-c", "a,b"),
        ("t.csv", "out.parquet"),
        ("c.npy", "out.csv"),
        ("t.parquet", "out.parquet", "--dtype", "float64", "-c", "a"),
        ("t.csv", "out.npy"),
        ("c.npy", "out.npz"),
        ("s.npz", "out.safetensors"),
        ("m.safetensors", "out.npz"),
    ):
        args = ("chain", DOWN, source, target, *more)
        made.append(Command(f"{source} to {target}", args, (source,), target))
    jobs = ("chain", DOWN, "c.npy", "out.npy", "--jobs", "2", *small)
    made.append(Command("c.npy processes", jobs, ("c.npy",), "out.npy"))
    inputs = ("in/c.npy", "in/short.csv", "in/t.parquet")
    for more in ((), ("--jobs", "2")):
        args = ("batch", "sigmoid", "in", "--output-dir", "out", *more)
        made.append(Command(f"batch{' '.join(more)}", args, inputs, "out/c.npy"))
    both = ("compare", "c.npy", "f.npy")
    made.append(Command("compare", both, ("c.npy", "f.npy"), None, ends=(0, 1)))
    return made


COMMANDS = _commands()

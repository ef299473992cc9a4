"""Broken files: sound ones with one to three things changed that their format gives a meaning."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from kact_cli.formats.parquet.metadata import thrift
from kact_cli.formats.parquet.metadata.thrift_reader import read_struct
from tests.tools import archives
from tests.tools.tensors import npy as npy_of
from tests.trust import inputs

NUMBERS = (0, 1, -1, 2, 3, 7, 8, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, -(2**31), 2**32 - 1,
           2**40, 2**62, 2**63 - 1, -(2**63))  # fmt: skip
CELLS = ("", '"', '""', '"a', 'b"', ",", "\n", "\r\n", "\r", "\0", "1e999", "-1e-999", "nan", "inf",
         "-", "+1", " 1", "1 ", "0x10", "1_0", "1d0", "é", "\x1b[31m", "1,5", '"1.5"', "٣", "1e",
         ".", "-.5e-3", "9" * 40, "NULL", "true", "\ufeff")  # fmt: skip
DESCRIPTIONS = ("<f4", ">f4", "<f8", "<f2", "|b1", "<i8", ">u2", "|V2", "|O", "<M8[s]", "<c8", "f4",
                "<f16", "", "<U3", "float32", "=f4", "|i1", "<f4 ", "<b1")  # fmt: skip
SHAPES = ("(2, 3, 4)", "(24,)", "()", "(0, 5)", "(-1,)", "(2, 3, 4, 1)", "[2, 3, 4]", "(True, 3)",
          "(2.0, 3)", "24", "None", "(4611686018427387905, 4)", f"({'1, ' * 70})",
          f"(1{'0' * 30},)", "(2, 3, 40)", "(24)", "(2, 3L, 4L)", "(12, 2)")  # fmt: skip


@cache
def table(rows: int = 40) -> pa.Table:
    """Small, so that what is changed matters."""
    made = inputs.table(0, rows)
    return made.set_column(1, "text", made["text"].dictionary_encode())


def npy(rng: random.Random) -> bytes:
    dtype = rng.choice(("<f4", ">f8", "<f2", "<i4"))
    array = np.arange(-12, 12).reshape(2, 3, 4).astype(dtype)
    data = npy_of(np.asfortranarray(array) if rng.random() < 0.3 else array)
    if rng.random() < 0.3:
        return damaged(data, rng)
    order = rng.choice(("True", "False", "False", "1", "None", "'C'"))
    shape = rng.choice((*SHAPES, f"({rng.choice(NUMBERS)}, 4)"))
    descr = rng.choice(DESCRIPTIONS) if rng.random() < 0.5 else dtype
    fields = [f"'descr': {descr!r}", f"'fortran_order': {order}", f"'shape': {shape}"]
    if rng.random() < 0.1:
        fields.append(rng.choice(("'x': 1", fields[0], "**{}", "1: 2", "")))
    if rng.random() < 0.1:
        fields.pop(rng.randrange(len(fields)))
    text = "{" + ", ".join(fields) + "}" + rng.choice(("", "\n", " " * 60 + "\n", "\0"))
    major = rng.choice((1, 1, 1, 1, 2, 3, 0, 4, 255))
    width = 2 if major == 1 else 4
    length = len(text.encode()) if rng.random() < 0.9 else rng.choice(NUMBERS) & 0xFFFF
    start = b"\x93NUMPY" + bytes([major, rng.choice((0, 0, 0, 1))])
    body = data[-24 * array.itemsize :]
    body = body[: rng.choice((len(body), len(body), 5, 0))] + b"x" * (rng.random() < 0.1)
    return start + length.to_bytes(width, "little") + text.encode() + body


def npz(rng: random.Random) -> bytes:
    x = np.arange(-6, 6, dtype="f4").reshape(3, 4)
    members: dict[str, object] = {"a": x, "i": x.astype("i2"), "b": x[0].astype(">f8"), "n": b"x"}
    if rng.random() < 0.3:
        members["a.npy"] = npy(rng)
        del members["a"]
    data = bytearray(archives.npz(members, deflate=rng.random() < 0.5))
    if rng.random() < 0.2:
        return damaged(bytes(data), rng)
    for _ in range(rng.randint(0 if "a.npy" in members else 1, 2)):
        starts = [i for i in range(len(data) - 4) if data[i : i + 2] == b"PK" and data[i + 2] < 9]
        at, width = rng.choice(starts) + rng.randrange(4, 46), rng.choice((1, 2, 4))
        _put(data, at, width, rng)
    return bytes(data)


def safetensors(rng: random.Random) -> bytes:
    x = np.arange(-6, 6, dtype="f4").reshape(3, 4)
    data = archives.safetensors({"a": x, "i": x.astype("i4"), "b": x[0].astype("f8")})
    if rng.random() < 0.2:
        return damaged(data, rng)
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    for _ in range(rng.randint(1, 2)):
        whole = [e for e in header.values() if e and len(e.get("data_offsets") or ()) == 2]
        entry, number = rng.choice(whole or [{"data_offsets": [0, 0]}]), rng.choice(NUMBERS)
        match rng.randrange(6):
            case 0:
                entry["dtype"] = rng.choice(("F64", "F16", "BF16", "BOOL", "F8_E4M3", "", None, 3))
            case 1:
                entry["shape"] = rng.choice(([4, 3], [12], [], [0], [number], None, [2.0], "12"))
            case 2:
                entry["data_offsets"][rng.randrange(2)] = number
            case 3:
                entry["data_offsets"] = rng.choice(([], [0], [48, 0], None, [0, 48, 96]))
            case 4:
                entry[rng.choice(("x", "dtype", "shape"))] = number
            case 5:
                name = rng.choice(("__metadata__", "", "a/b", "\x1b", "é"))
                header[name] = rng.choice(({}, {"a": 1}, entry, None))
    text = json.dumps(header).encode()
    if rng.random() < 0.1:
        text = damaged(text, rng)
    wrong = rng.choice(NUMBERS) % (1 << 64) if rng.random() < 0.05 else None
    return archives.framed(text, body, wrong)


def csv(rng: random.Random) -> bytes:
    records = [["id", "a", "b", "text"]]
    records += [[str(n + 3), f"{n / 7:.3f}", f"-{n}.5", f"t{n}"] for n in range(20)]
    for _ in range(rng.randint(1, 3)):
        record = rng.choice([record for record in records if record])
        what = rng.random()
        if what < 0.6:
            record[rng.randrange(len(record))] = rng.choice(CELLS)
        elif what < 0.8 and len(record) > 1:
            record.insert(0, "1") if rng.random() < 0.5 else record.pop()
        else:
            records.insert(rng.randrange(len(records)), rng.choice(([], [""], ["", "", "", ""])))
    end = rng.choice(("\n", "\n", "\r\n"))
    text = end.join(",".join(record) for record in records) + end * (rng.random() < 0.8)
    data = text.encode()
    return damaged(data, rng) if rng.random() < 0.15 else data


def arrow(rng: random.Random, *, stream: bool) -> bytes:
    data = bytearray(_arrow(stream, rng.choice((None, None, "lz4", "zstd"))))
    if rng.random() < 0.3:
        return damaged(bytes(data), rng)
    for _ in range(rng.randint(1, 3)):
        _overwrite(data, rng)
    return bytes(data)


@cache
def _arrow(stream: bool, codec: str | None) -> bytes:
    made = table()
    sink = pa.BufferOutputStream()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(sink, made.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(made, 20)
    return sink.getvalue().to_pybytes()


def _overwrite(data: bytearray, rng: random.Random) -> None:
    """Another number in an aligned place: a FlatBuffer's field, an offset, a length."""
    width = rng.choice((1, 2, 4, 4, 8, 8))
    _put(data, rng.randrange(len(data) // width) * width, width, rng)


def _put(data: bytearray, at: int, width: int, rng: random.Random) -> None:
    """Another number in a place, one that means something or lies near the old one."""
    old = int.from_bytes(data[at : at + width], "little")
    new = rng.choice((*NUMBERS, old + 1, old - 1, old + 8, old * 2, old << 8))
    new_bytes = (new % (1 << 8 * width)).to_bytes(width, "little")
    data[at : at + width] = new_bytes[: len(data[at : at + width])]


def parquet(rng: random.Random) -> bytes:
    data = _parquet(
        row_group_size=rng.choice((15, 40)), compression=rng.choice(("none", "snappy", "zstd")),
        write_page_checksum=rng.random() < 0.3, write_page_index=rng.random() < 0.5,
        data_page_version=rng.choice(("1.0", "2.0")),
    )  # fmt: skip
    if rng.random() < 0.3:
        return damaged(data, rng)
    length = int.from_bytes(data[-8:-4], "little")
    body, footer = bytearray(data[: -8 - length]), read_struct(data[-8 - length : -8])[0]
    for _ in range(rng.randint(1, 2)):
        if rng.random() < 0.3:
            _overwrite(body, rng)
        else:
            _change_field(footer, rng)
    new = thrift.write_struct(footer)
    return bytes(body) + new + len(new).to_bytes(4, "little") + b"PAR1"


@cache
def _parquet(**options: object) -> bytes:
    return inputs.parquet(table(), **options)


def _change_field(footer: thrift.Struct, rng: random.Random) -> None:
    """Give one field of the footer, however deep, another value, or take it away."""
    found, field = rng.choice([(s, f) for s in _structs(footer) for f in s])
    kind, value = found[field]
    if rng.random() < 0.15:
        del found[field]
    elif isinstance(value, bool):
        found[field] = (thrift.FALSE if value else thrift.TRUE), not value
    elif isinstance(value, int):
        bits = {thrift.I32: 32, thrift.I64: 64, thrift.I16: 16}.get(kind, 7)
        new = rng.choice((*NUMBERS, value + 1, value - 1, value * 2))
        found[field] = kind, (new + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
    elif isinstance(value, bytes):
        found[field] = kind, damaged(value, rng) if value else b"x\xff"
    elif isinstance(value, thrift.Items) and value.values:
        at = rng.randrange(len(value.values))
        change: Callable[[], Any] = rng.choice(
            (
                lambda: value.values.pop(at),
                lambda: value.values.append(value.values[at]),
                lambda: rng.shuffle(value.values),
            )
        )
        change()


def _structs(found: Any) -> Iterator[thrift.Struct]:
    """A structure and every one within it."""
    if isinstance(found, thrift.Struct):
        yield found
        for _, value in found.values():
            yield from _structs(value)
    elif isinstance(found, thrift.Items):
        for value in found.values:
            yield from _structs(value)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes as a bad disk or transfer leaves them: flipped, cut, doubled, zeroed."""
    made = bytearray(data)
    at = rng.randrange(len(made))
    size = rng.choice((1, 2, 8, 64))
    match rng.randrange(5):
        case 0:
            made[at] ^= 1 << rng.randrange(8)
        case 1:
            del made[at:]
        case 2:
            del made[at : at + size]
        case 3:
            made[at:at] = made[at : at + size]
        case 4:
            made[at : at + size] = bytes(len(made[at : at + size]))
    return bytes(made)


MAKERS: dict[str, Callable[[random.Random], bytes]] = {
    "npy": npy,
    "npz": npz,
    "safetensors": safetensors,
    "csv": csv,
    "parquet": parquet,
    "arrow": lambda rng: arrow(rng, stream=False),
    "arrows": lambda rng: arrow(rng, stream=True),
}

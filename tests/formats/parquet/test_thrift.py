"""Structures are read and written back as the same bytes; broken ones are a DataError."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.errors import DataError
from kact_cli.formats.parquet.metadata.thrift import (
    BINARY,
    BYTE,
    DOUBLE,
    FALSE,
    I16,
    I32,
    I64,
    LIST,
    MAP,
    SET,
    STRUCT,
    TRUE,
    UUID,
    Items,
    Pairs,
    Struct,
    write_struct,
)
from kact_cli.formats.parquet.metadata.thrift_reader import MAX_DEPTH, read_numbers, read_struct
from tests.tools.parquet import FILES

INTEGERS = {I16: 15, I32: 31, I64: 63}


def values(kind: int) -> st.SearchStrategy[Any]:
    """Values of a wire type, as they stand in a list."""
    if kind in INTEGERS:
        return st.integers(-(2 ** INTEGERS[kind]), 2 ** INTEGERS[kind] - 1)
    if kind in (TRUE, FALSE, BYTE):
        return st.integers(0, 255)
    if kind in (DOUBLE, UUID):
        width = 8 if kind == DOUBLE else 16
        return st.binary(min_size=width, max_size=width)
    if kind == BINARY:
        return st.binary(max_size=200)
    if kind == STRUCT:
        return st.deferred(structs)
    leaf = st.sampled_from([TRUE, BYTE, I16, I32, I64, DOUBLE, BINARY, UUID, STRUCT])
    if kind in (LIST, SET):
        return leaf.flatmap(lambda k: st.lists(values(k), max_size=20).map(partial(Items, k)))
    pairs = st.tuples(leaf, leaf).flatmap(
        lambda ks: st.builds(
            Pairs,
            st.just(ks),
            st.lists(st.tuples(values(ks[0]), values(ks[1])), min_size=1, max_size=3),
        )
    )
    return st.just(Pairs((0, 0), [])) | pairs


def fields() -> st.SearchStrategy[tuple[int, Any]]:
    kinds = st.sampled_from([BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID])
    booleans = st.sampled_from([(TRUE, True), (FALSE, False)])
    return booleans | kinds.flatmap(lambda kind: st.tuples(st.just(kind), values(kind)))


def structs() -> st.SearchStrategy[Struct]:
    ids = st.integers(-(2**15), 2**15 - 1) | st.integers(1, 30)
    return st.dictionaries(ids, fields(), max_size=4).map(Struct)


@given(structs())
def test_any_structure_is_read_as_it_was_written(struct: Struct) -> None:
    data = write_struct(struct)
    found, end = read_struct(b"before" + data + b"after", 6)
    assert found == struct
    assert end == 6 + len(data)


def footer(path: Path) -> bytes:
    data = path.read_bytes()
    return data[-8 - int.from_bytes(data[-8:-4], "little") : -8]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_real_footers_are_written_as_the_same_bytes(path: Path) -> None:
    data = footer(path)
    struct, end = read_struct(data)
    assert write_struct(struct) == data[:end]
    starts: list[int] = []

    def visit(fields: Struct, at: int) -> tuple[bytes, int]:
        assert fields.structs(2)
        starts.append(at)
        after = read_numbers(data, at, {}, [], [])
        return data[at:after], after

    kept, _ = read_struct(data, items={4: visit})
    assert [read_struct(data, at)[0] for at in starts] == struct.structs(4)
    assert write_struct(kept) == data[:end]


def test_fields_that_are_put_take_the_place_of_their_id() -> None:
    struct = Struct({1: (I32, 1), 9: (I32, 9)})
    struct.put(4, I64, 4)
    struct.put(1, I32, 5)
    assert list(struct.items()) == [(1, (I32, 5)), (4, (I64, 4)), (9, (I32, 9))]


@st.composite
def changed_footers(draw: st.DrawFn) -> bytes:
    changed = bytearray(footer(draw(st.sampled_from(FILES))))
    for _ in range(draw(st.integers(1, 4))):
        changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    return bytes(changed)[: draw(st.integers(0, len(changed)) | st.just(len(changed)))]


@pytest.mark.parametrize(
    "broken", [st.binary(max_size=300), changed_footers()], ids=["any", "of footers"]
)
def test_broken_bytes_are_a_structure_or_a_data_error(broken: st.SearchStrategy[bytes]) -> None:
    outcomes = Counter[str]()

    @given(broken)
    def read(data: bytes) -> None:
        try:
            read_struct(data)
            outcomes["structure"] += 1
        except DataError:
            outcomes["error"] += 1

    read()
    assert min(outcomes["structure"], outcomes["error"]) > 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends too early"),
        (b"\x15", "ends too early"),
        (b"\x18\xff\xff\xff\xff\x0f", "ends too early"),
        (b"\x19\xfc\xff\xff\xff\xff\x7f", "ends too early"),
        (b"\x1b\xff\xff\xff\xff\x7f\x55", "ends too early"),
        (b"\x17\x00\x00", "ends too early"),
        (b"\x16" + b"\xff" * 12, "more than 64 bits"),
        (b"\x16" + b"\xff" * 9 + b"\x7f", "more than 64 bits"),
        (b"\x1c" * 5000, "nested too deep"),
        (b"\x19" + b"\x19" * 5000, "nested too deep"),
        (b"\x1b" + b"\x01\xbb" * 5000, "nested too deep"),
        (b"\x1e\x00", "no wire type 14"),
        (b"\x15\x02\x05\x02\x02\x00", "field 1 twice"),
    ],
)
def test_broken_bytes_are_named(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_struct(data)


def test_deep_structures_are_read_up_to_the_limit() -> None:
    data = b"\x1c" * MAX_DEPTH + b"\x00" * (MAX_DEPTH + 1)
    assert write_struct(read_struct(data)[0]) == data


def test_a_claim_of_many_values_stops_before_they_take_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kact_cli.formats.parquet.metadata.thrift_reader.MAX_VALUES", 1000)
    with pytest.raises(DataError, match="more than 1,000 values"):
        read_struct(b"\x19\xfc" + b"\xe9\x07" + b"\x00" * 2000)


@pytest.mark.parametrize("ask", ["integer", "binary", "struct", "structs", "integers"])
def test_a_field_of_another_type_is_a_data_error(ask: str) -> None:
    struct = Struct({1: (DOUBLE, b"12345678"), 2: (LIST, Items(BINARY, [b"x"]))})
    with pytest.raises(DataError, match="field 1 is of another type"):
        getattr(struct, ask)(1)
    if ask in ("structs", "integers"):
        with pytest.raises(DataError, match="field 2 is a list of another type"):
            getattr(struct, ask)(2)

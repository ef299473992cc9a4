"""Headers that are mutated or made of anything: a DataError and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.errors import DataError
from kact_cli.formats.npy import HEADER_LIMIT, Header, read_header
from tests.tools.tensors import npy, raw, says


def only_data_errors(read: Callable[[int], bytes]) -> Header | None:
    try:
        return read_header(read)
    except DataError as e:
        message = str(e)
    assert "\n" not in message
    assert len(message) < 500
    return None


GOOD = [raw(says("(3, 4)")), raw(says("(3L,)"), b"\x02\x00"), npy(np.ones((2, 3, 4), ">i8"))]


@given(st.data())
def test_mutated_headers_raise_nothing_but_data_errors(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(GOOD)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "insert", "delete"]))
        some = data.draw(st.binary(min_size=1, max_size=4))
        if kind == "set":
            content[at] = some[0]
        elif kind == "insert":
            content[at:at] = some
        elif kind == "cut" and at:
            del content[at:]
        elif len(content) > 1:
            del content[at]
    only_data_errors(io.BytesIO(bytes(content)).read)


LITERALS = st.recursive(
    st.sampled_from(
        [
            "1",
            "-1",
            "True",
            "None",
            "'<f4'",
            "1e999",
            "0xffffffffffffffffffff",
            "''",
            "b'x'",
            "1j",
            "...",
            "__import__",
            "3L",
            "01",
            "1_0",
            "f'{1}'",
            "'\\q'",
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda v: f"({', '.join(v)},)" if v else "()"),
        st.lists(inner, max_size=4).map(lambda v: f"[{', '.join(v)}]"),
        st.lists(inner, max_size=3).map(lambda v: f"{{{', '.join(v)}}}"),
        st.tuples(inner, st.sampled_from("+-*"), inner).map("".join),
        st.tuples(inner, inner).map(lambda p: f"{{{p[0]}: {p[1]}}}"),
    ),
    max_leaves=12,
)


@given(descr=LITERALS, order=LITERALS, shape=LITERALS)
def test_any_literals_in_a_header_raise_nothing_but_data_errors(
    descr: str, order: str, shape: str
) -> None:
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"
    only_data_errors(io.BytesIO(raw(text)).read)
    only_data_errors(io.BytesIO(raw(says(shape))).read)
    only_data_errors(io.BytesIO(raw(says("(3,)", descr))).read)


@given(st.binary(max_size=80))
def test_any_bytes_raise_nothing_but_data_errors(content: bytes) -> None:
    for start_ in (b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b"\x93NUMPY\x03\x00"):
        only_data_errors(io.BytesIO(start_ + content).read)


def test_no_more_than_the_limit_is_read() -> None:
    asked: list[int] = []

    def read(count: int) -> bytes:
        asked.append(count)
        return b"\x93NUMPY\x02\x00"[:count] if len(asked) == 1 else b"\xff" * count

    assert only_data_errors(read) is None
    assert sum(asked) <= HEADER_LIMIT + 12

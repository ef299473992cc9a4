"""Every column of numbers takes part, however they are encoded, and what cannot is told why."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kact_cli.errors import UsageError
from kact_cli.options import Options
from kact_cli.reports.numbers import OpenTable, numeric, open_numbers
from kact_cli.tables.arrays import values
from kact_cli.tables.columns import ColumnBlock
from tests.tools.job import run
from tests.tools.run import run_here
from tests.tools.tables import convert, read_ipc, write

F32, F64 = pa.float32(), pa.float64()
NUMBERS = [1.5, None, -2.25, -2.25, 0.5, None, -0.0, 3.0]
WHOLE = [3, None, -2, -2, 0, None, 7, 7]


def views(type_: pa.DataType) -> pa.Array:
    """Lists that overlap, lie in no order, and of which one that is null has a size."""
    offsets, sizes = [2, 0, 1, 3, 0, 4, 2, 0], [2, 3, 0, 1, 2, 0, 1, 2]
    index = pa.int64() if pa.types.is_large_list_view(type_) else pa.int32()
    return type(pa.array([], type_)).from_arrays(
        pa.array(offsets, index), pa.array(sizes, index), pa.array([1.0, -2.0, None, 4.0], F32),
        type=type_, mask=pa.array([n == 4 for n in range(8)]),
    )  # fmt: skip


ENCODED: dict[str, Callable[[], pa.Array]] = {
    "dictionary": lambda: pa.array(NUMBERS, F32).dictionary_encode(),
    "null in a dictionary": lambda: pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None, 0, 2, 1, 0, 0], pa.int8()), pa.array([1.5, None, -2.0], F64)
    ),
    "dictionary of whole numbers": lambda: pa.array(WHOLE, pa.int16()).dictionary_encode(),
    "runs": lambda: pc.run_end_encode(pa.array(NUMBERS, F32)),
    "runs of whole numbers": lambda: pc.run_end_encode(pa.array(WHOLE, pa.int64())),
    "runs of decimals": lambda: pc.run_end_encode(
        pa.array([x and Decimal(x) for x in WHOLE], pa.decimal128(9, 2))
    ),
    "views": lambda: views(pa.list_view(F32)),
    "large views": lambda: views(pa.large_list_view(F32)),
    "lists of int8": lambda: pa.array([[1, None], [], None, [-3], [5, 6], None, [0], [1]],
                                      pa.list_(pa.int8())),
    "lists of bool": lambda: pa.array([[True, None], [], None, [False]] * 2, pa.list_(pa.bool_())),
    "lists of decimals": lambda: pa.array([[Decimal(1), None], [], None, [Decimal("-1.5")]] * 2,
                                          pa.large_list(pa.decimal128(9, 2))),
    "tensors of uint8": lambda: pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.uint8(), (2,)),
        pa.array([[1, 2], [3, 4], None, [5, 6]] * 2, pa.list_(pa.uint8(), 2)),
    ),
}  # fmt: skip


def in_python(chain: str, value: Any) -> Any:
    """relu or tanh of a number, a list or nothing."""
    if value is None or isinstance(value, list):
        return value and [in_python(chain, v) for v in value]
    return max(float(value), 0.0) if chain == "relu" else float(np.tanh(float(value)))


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("chain", ["relu", "tanh"])
@pytest.mark.parametrize("more", [{}, {"suffix": "_y"}], ids=["in place", "beside"])
@pytest.mark.parametrize("cuts", [(), (1, 2, 6)], ids=["whole", "sliced"])
def test_encoded_numbers(name: str, chain: str, more: dict[str, str], cuts: tuple[int]) -> None:
    array = ENCODED[name]()
    table = pa.table({"x": array, "t": list("abcdefgh")})
    done = run(chain, table, cuts, columns=("x",), **more)
    made = done["x_y" if more else "x"]
    found = made.combine_chunks().to_pylist() if made.num_chunks else []
    expected = [in_python(chain, value) for value in array.to_pylist()]
    assert [f is None for f in found] == [e is None for e in expected]
    for f, e in zip(found, expected, strict=True):
        assert f is None or np.allclose(
            np.array(f, float), np.array(e, float), 2e-3, equal_nan=True
        )
    assert done["t"].equals(table["t"])
    assert not more or done["x"].to_pylist() == array.to_pylist()


@pytest.mark.parametrize("chain", ["softmax", "softmax(axis=0)"])
def test_encoded_columns_beside_plain_ones(chain: str) -> None:
    plain = {"a": pa.array(NUMBERS, F32), "b": pa.array(NUMBERS[::-1], F32)}
    encoded = pa.table({"a": plain["a"].dictionary_encode(), "b": pc.run_end_encode(plain["b"])})
    assert run(chain, encoded, [3]).equals(run(chain, pa.table(plain), [3]))


@pytest.mark.parametrize(
    ("precision", "scale"),
    [(9, 2), (15, 15), (18, 3), (18, 18), (38, 0), (38, 10), (38, 38), (5, -3)],
)
@pytest.mark.parametrize("width", [32, 64, 128, 256])
@given(st.lists(st.integers(0, 10**38 - 1) | st.none(), min_size=1, max_size=20))
def test_decimals_are_rounded_once(
    width: int, precision: int, scale: int, unscaled: list[int | None]
) -> None:
    make: Any = getattr(pa, f"decimal{width}", None)
    if make is None or precision > {32: 9, 64: 18}.get(width, 38):
        return
    with localcontext() as context:
        context.prec = 60
        exact = [
            None if n is None else Decimal(n % 10**precision * (1 - 2 * (n < 0))) for n in unscaled
        ]
        exact = [None if n is None else n.scaleb(-scale) for n in exact]
        exact += [None if value is None else -value for value in exact]
    array = pa.array([None, *exact], make(precision, scale))[1:]
    for got, value in zip(values(array).tolist(), exact, strict=True):
        assert value is None or got == float(value)


def test_decimals_are_said_once(tmp_path: Path) -> None:
    prices = [Decimal("1.10"), None]
    table = pa.table(
        {"a": pa.array(prices, pa.decimal128(18, 3)), "b": pa.array(prices), "t": [1, 2]}
    )
    source = write(table, tmp_path / "in.parquet")
    words = ("apply", "relu", source, tmp_path / "o.parquet", "--overwrite")
    line = (
        "kact: warning: each of the columns a, b holds decimals, whose results are float64; "
        "--dtype float64 says that this is meant\n"
    )
    assert run_here(*words) == (0, line)
    assert run_here(*words, "--strict")[0] == 2
    assert run_here(*words, "--strict", "--dtype", "float64") == (0, "")
    assert run_here(*words, "--strict", "--exclude", "a,b", "-c", "t") == (0, "")


REFUSED = {
    "text": (pa.string(), "is string, not numeric"),
    "times": (pa.timestamp("s"), "is timestamp[s], not numeric"),
    "words": (pa.dictionary(pa.int8(), pa.string()), "not numeric"),
    "a struct": (pa.struct({"k": F32}), "whose fields are named one by one, as x.k"),
    "a map": (pa.map_(pa.string(), F32), "whose numbers kact does not compute"),
    "lists of structs": (pa.list_(pa.struct({"k": F32})), "whose numbers kact does not compute"),
    "encoded lists": (
        pa.list_(pa.dictionary(pa.int8(), F32)),
        "whose numbers kact does not compute",
    ),
    "an extension": (pa.bool8(), "whose numbers kact does not compute"),
    "runs of words": (pa.run_end_encoded(pa.int16(), pa.string()), "not numeric"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_computed_is_told_why(name: str) -> None:
    type_, said = REFUSED[name]
    with pytest.raises(UsageError, match="column 'x' is ") as caught:
        run("relu", pa.schema([("x", type_), ("y", F32)]).empty_table(), columns=("x",))
    assert str(caught.value).endswith(said)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ENCODED)
def test_inspect_and_compare_read_them(name: str, tmp_path: Path) -> None:
    array = ENCODED[name]()
    source = write(pa.table({"x": array}), tmp_path / "in.arrow")
    with open_numbers(str(source)) as numbers:
        assert isinstance(numbers, OpenTable)
        assert numeric(numbers.columns, Options()) == [0]
        (block,) = next(numbers.reader.numbers([0]))
        assert isinstance(block, ColumnBlock)
        assert block.rows == 8
    assert run_here("compare", source, source)[0] == 0
    assert run_here("inspect", "--stats", source)[0] == 0


def test_encoded_numbers_go_to_every_format(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([1.5, -2.0], F32).dictionary_encode()})
    source = write(table, tmp_path / "in.arrow")
    for to in ("parquet", "csv", "npy", "arrows"):
        convert("relu", source, tmp_path / f"o.{to}")
    assert read_ipc(tmp_path / "o.arrows") == pa.table({"a": pa.array([1.5, 0.0], F32)})
    assert (tmp_path / "o.csv").read_text() == "a\n1.5\n0.0\n"
    assert np.load(tmp_path / "o.npy").tolist() == [[1.5], [0.0]]

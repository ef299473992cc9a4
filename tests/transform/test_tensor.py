"""chain(whole) == concat(chain(chunks)): over shapes, axes, orders, dtypes and chunk sizes."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kact_cli.engine.plan
from kact_cli import apply
from kact_cli.chain import Chain
from kact_cli.options import Options
from kact_cli.transform.route import transform
from tests.tools.tensors import npy

ELEMENTWISE = [
    "relu",
    "relu(0.1,6,-0.5)",
    "sigmoid",
    "softplus",
    "softsign",
    "tanh",
    "selu",
    "elu(alpha=0.3)",
    "exponential",
]


def reference(chain: Chain, x: np.ndarray) -> np.ndarray:
    """The chain in float64, each elementwise step as kact does it on the whole tensor."""
    y = x.astype("f8")
    for step in chain.steps:
        if step.axis_name:
            axes = step.axis if step.axis is not None else tuple(range(y.ndim))
            with np.errstate(all="ignore"):
                e = np.exp(y - y.max(axes, keepdims=True)) if y.size else y
                y = e / e.sum(axes, keepdims=True)
        else:
            y = apply(Chain((step,)), y)
    return y


def run(chain: Chain, x: np.ndarray, *, pipes: str = "", **options: Any) -> np.ndarray:
    """The chain file to file; `pipes` names the ends that are pipes."""
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory, "in.npy"), Path(directory, "out.npy")
        got: list[bytes] = []
        threads = []
        if "in" in pipes:
            os.mkfifo(source)
            threads.append(threading.Thread(target=source.write_bytes, args=(npy(x),)))
        else:
            source.write_bytes(npy(x))
        if "out" in pipes:
            os.mkfifo(target)
            threads.append(threading.Thread(target=lambda: got.append(target.read_bytes())))
        for thread in threads:
            thread.start()
        transform(chain, str(source), str(target), Options(**options))
        for thread in threads:
            thread.join()
        result: np.ndarray = np.load(io.BytesIO(got[0] if got else target.read_bytes()))
        return result


@st.composite
def tensors(draw: st.DrawFn, dtypes: tuple[str, ...] = ("f2", "f4", "f8")) -> np.ndarray:
    shape = tuple(draw(st.lists(st.sampled_from([0, 1, 1, 2, 3, 5, 9]), max_size=5)))
    dtype = draw(st.sampled_from("<>")) + draw(st.sampled_from(dtypes))
    scale = draw(st.sampled_from([0.1, 1, 4, 30]))
    x = np.random.default_rng(draw(st.integers(0, 99))).normal(size=shape) * scale
    return np.asarray(x.astype(dtype), order=draw(st.sampled_from("CF")))


@st.composite
def softmaxes(draw: st.DrawFn, rank: int) -> str:
    axes = st.sampled_from(range(-rank, rank))
    several = st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True)
    one = (
        st.one_of(
            st.just("none"), axes.map(str), several.map(lambda a: f"({','.join(map(str, a))},)")
        )
        if rank
        else st.just("none")
    )
    return f"softmax({draw(one)})"


CHUNKS = st.one_of(st.none(), st.sampled_from([1, 4, 8, 16, 40, 100, 1000, 2**20]))
PIPES = st.sampled_from(["", "in", "out", "in out"])


@given(
    tensors(("f2", "f4", "f8", "i4", "u1")),
    st.lists(st.sampled_from(ELEMENTWISE), min_size=1, max_size=3),
    CHUNKS,
    PIPES,
)
def test_elementwise_chains_are_the_same_bits_for_any_cut(
    x: np.ndarray, steps: list[str], chunk: int | None, pipes: str
) -> None:
    chain = Chain.parse(",".join(steps))
    y, whole = run(chain, x, pipes=pipes, chunk_bytes=chunk), apply(chain, x)
    assert (y.dtype, y.shape) == (whole.dtype, x.shape)
    assert y.tobytes() == whole.tobytes()


@given(st.data(), tensors(), CHUNKS, PIPES)
def test_softmax_over_any_axes_and_cut(
    data: st.DataObject, x: np.ndarray, chunk: int | None, pipes: str
) -> None:
    chain = Chain.parse(data.draw(softmaxes(x.ndim)))
    y, exact = run(chain, x, pipes=pipes, chunk_bytes=chunk), reference(chain, x)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    if not x.size:
        return
    axes = chain.steps[0].axis
    axes = axes if axes is not None else tuple(range(x.ndim))
    distance = np.abs(x.astype("f8") - x.astype("f8").max(axes, keepdims=True))
    unit = 2.0**-23 if x.dtype.itemsize <= 4 else 2.0**-52
    # The promise is float32's; float64 and its reference both add in float64, as wide as there is
    least = 4 if x.dtype.itemsize <= 4 else 16
    bound = (least + distance / 2) * unit * exact
    if x.dtype.itemsize == 2:
        bound += np.spacing(exact.astype("f2")).astype("f8")
    tiny = np.finfo(x.dtype).smallest_normal
    assert (np.abs(y - exact) <= bound + tiny).all()


@pytest.mark.parametrize("state", [None, 64])
@given(st.data(), tensors(("f4", "f8")), CHUNKS, PIPES)
def test_several_softmaxes_and_stages(
    state: int | None, data: st.DataObject, x: np.ndarray, chunk: int | None, pipes: str
) -> None:
    steps = data.draw(
        st.lists(
            st.one_of(softmaxes(x.ndim), st.sampled_from(ELEMENTWISE[:4])), min_size=2, max_size=4
        )
    )
    chain = Chain.parse(",".join(steps))
    with pytest.MonkeyPatch.context() as patch:
        if state:
            patch.setattr(kact_cli.engine.plan, "STATE_BYTES", state)
        y = run(chain, x, pipes=pipes, chunk_bytes=chunk)
    rtol = 1e-4 if x.dtype.itemsize == 4 else 1e-12
    np.testing.assert_allclose(y, reference(chain, x), rtol=rtol, atol=1e-30)


@pytest.mark.parametrize("pipes", ["", "in", "out", "in out"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((400_003, 4), 0),
        ((4, 300_001), -1),
        ((50, 7, 3001), (0, 2)),
        ((900_001,), 0),
        ((3, 5, 70_001), 1),
    ],
)
@pytest.mark.parametrize("order", "CF")
def test_tensors_of_many_chunks(shape: tuple[int, ...], axis: Any, order: str, pipes: str) -> None:
    x = np.asarray(np.random.default_rng(5).normal(size=shape).astype("f4") * 3, order=order)
    text = f"softmax(axis={axis}),tanh".replace(" ", "")
    y = run(Chain.parse(text), x, pipes=pipes, chunk_bytes=65_536)
    wanted = reference(Chain.parse(text), x)
    np.testing.assert_allclose(y, wanted, rtol=3e-6)


@pytest.mark.parametrize("chunk", [None, 1, 12, 1000])
def test_nan_and_infinities_in_streamed_groups(chunk: int | None) -> None:
    inf, nan = np.inf, np.nan
    x = np.array([[1, nan, 2], [inf, 0, 1], [-inf, -inf, -inf], [-inf, 0, -inf], [1e38, -1e38, 0]])
    for axis, tensor in ((1, x), (0, x.T)):
        y = run(Chain.parse(f"softmax({axis})"), tensor.astype("f4"), chunk_bytes=chunk)
        y = y if axis else y.T
        assert np.isnan(y[:3]).all()
        assert y[3:].tolist() == [[0, 1, 0], [1, 0, 0]]


def test_many_zeros_in_float16() -> None:
    y = run(Chain.parse("softmax"), np.zeros(100_000, "f2"), chunk_bytes=4096)
    assert np.unique(y).tolist() == [np.float16(1e-5)]


def test_five_million_equal_values() -> None:
    y = run(Chain.parse("softmax"), np.zeros(5_000_000, "f4"))
    np.testing.assert_allclose(y, 2e-7, rtol=4 * 2.0**-23)

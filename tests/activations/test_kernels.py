"""Edge cases of the elementwise kernels: NaN, inf, -0.0, subnormals, odd parameters, any cut."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import kact_cli
from kact_cli.activations import ACTIVATIONS
from tests.tools.numbers import ELEMENTWISE, Array, apply, run_kernel

INF, NAN = math.inf, math.nan
FLOATS = [np.float32, np.float64]
RELU = ACTIVATIONS["relu"]

odd = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.1, -0.5, 2.0, 6.0, INF, -INF, NAN, 1e-40, 1e300])
ends = st.sampled_from([-0.0, INF, -INF, NAN, 1e-40, -1e-40, 3e38, -3e38]).map(np.float32)
parameters = st.fixed_dictionaries(
    {}, optional={"alpha": odd, "max_value": st.none() | odd, "threshold": odd}
)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_in_is_nan_out_whatever_its_sign_and_place(name: str, dtype: Any) -> None:
    x = np.linspace(-99, 99, 67, dtype=dtype)
    x[::3] = NAN
    x[::6] = -x[::6]
    assert np.array_equal(np.isnan(apply(name, x)), np.isnan(x))


@pytest.mark.parametrize("dtype", [np.float16, *FLOATS])
@pytest.mark.parametrize(
    ("name", "at_minus_inf", "at_inf"),
    [
        ("relu", 0, INF),
        ("sigmoid", 0, 1),
        ("softplus", 0, INF),
        ("softsign", NAN, NAN),
        ("tanh", -1, 1),
        ("selu", -1.7580993408473768, INF),
        ("elu", -1, INF),
        ("exponential", 0, INF),
        ("leaky_relu", -INF, INF),
        ("relu6", 0, 6),
        ("celu", -1, INF),
        ("gelu", NAN, INF),
        ("silu", NAN, INF),
        ("mish", NAN, INF),
        ("hard_silu", NAN, INF),
        ("hard_sigmoid", 0, 1),
        ("sparse_sigmoid", 0, 1),
        ("hard_tanh", -1, 1),
        ("log_sigmoid", -INF, 0),
        ("squareplus", 0, INF),
        ("sparse_plus", 0, INF),
        ("hard_shrink", -INF, INF),
        ("soft_shrink", -INF, INF),
        ("tanh_shrink", -INF, INF),
        ("threshold", 0, INF),
        ("linear", -INF, INF),
        ("rescaling", -INF, INF),
    ],
)
def test_at_the_infinities(name: str, at_minus_inf: float, at_inf: float, dtype: Any) -> None:
    got = apply(name, np.array([-INF, INF], dtype))
    np.testing.assert_array_equal(got, np.array([at_minus_inf, at_inf], dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["relu", "softsign", "tanh", "selu", "elu"])
def test_subnormals_are_not_flushed(name: str, dtype: Any) -> None:
    tiny = np.finfo(dtype).smallest_subnormal * np.array([1, 2, 1000], dtype)
    scale = 1.0507009873554805 if name == "selu" else 1
    np.testing.assert_array_equal(apply(name, tiny), (tiny * scale).astype(dtype))


@pytest.mark.parametrize(("dtype", "x"), [(np.float32, -100.0), (np.float64, -740.0)])
@pytest.mark.parametrize("name", ["sigmoid", "softplus", "exponential"])
def test_small_results_reach_the_subnormals(name: str, dtype: Any, x: float) -> None:
    assert 0 < apply(name, np.array([x], dtype))[0] < np.finfo(dtype).smallest_normal


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["tanh", "softsign", "elu", "selu"])
def test_the_sign_of_zero_survives_odd_functions(name: str, dtype: Any) -> None:
    zeros = np.array([0.0, -0.0], dtype)
    if name in ("tanh", "softsign"):
        assert np.signbit(apply(name, zeros)).tolist() == [False, True]
    np.testing.assert_array_equal(apply(name, zeros), zeros)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shape", [(), (0,), (0, 5), (1,), (3, 1, 2)])
def test_any_shape(name: str, shape: tuple[int, ...]) -> None:
    assert apply(name, np.zeros(shape, np.float32)).shape == shape


@settings(max_examples=200)
@given(
    name=st.sampled_from(ELEMENTWISE),
    x=st.sampled_from(FLOATS).flatmap(
        lambda t: hnp.arrays(t, st.integers(1, 300), elements=st.floats(-120, 120, width=32) | ends)
    ),
    cut=st.integers(1, 80),
    values=parameters,
)
def test_no_cut_into_tiles_changes_a_bit(
    name: str, x: Array, cut: int, values: dict[str, Any]
) -> None:
    activation = ACTIVATIONS[name]
    mine = {p.name: values[p.name] for p in activation.parameters if p.name in values}
    whole = run_kernel(activation, x, **mine)
    tiles = [run_kernel(activation, x[i : i + cut], **mine) for i in range(0, x.size, cut)]
    bits = np.concatenate(tiles).view(f"u{x.itemsize}")
    nan = np.isnan(whole)
    assert np.array_equal(bits[~nan], whole.view(f"u{x.itemsize}")[~nan])
    assert np.isnan(np.concatenate(tiles)[nan]).all()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, *FLOATS])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_no_neighbour_changes_a_bit(name: str, dtype: Any, exact: bool) -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(0, scale, 300) for scale in (1e-3, 1, 10, 80)]).astype(dtype)
    bits = f"u{x.itemsize}"
    want = kact_cli.apply(name, x, exact=exact).view(bits)
    for far in (100, -100, 6e4, -6e4, INF, -INF, NAN):
        got = kact_cli.apply(name, np.append(x, dtype(far)), exact=exact)[:-1]
        assert np.array_equal(got.view(bits), want), far
    alone = [kact_cli.apply(name, x[i : i + 1], exact=exact)[0] for i in range(0, x.size, 29)]
    assert np.array_equal(np.array(alone).view(bits), want[::29])


def keras_relu(
    x: Array, alpha: float = 0, max_value: float | None = None, threshold: float = 0
) -> Array:
    """The branches of tf_keras's relu, one statement each."""
    convert: Any = x.dtype.type
    if alpha != 0 and max_value is None and threshold == 0:
        return np.where(x > 0, x, x * convert(alpha))
    below = np.maximum(convert(threshold) - x, 0)
    x = x * (x > convert(threshold)).astype(x.dtype) if threshold != 0 else np.maximum(x, 0)
    if max_value is not None:
        x = np.maximum(np.minimum(x, convert(max_value)), 0)
    return x - convert(alpha) * below if alpha != 0 else x


@pytest.mark.parametrize("dtype", FLOATS)
@given(values=parameters)
def test_relu_takes_the_branches_of_keras(dtype: Any, values: dict[str, Any]) -> None:
    x = np.array([-INF, -7, -1, -0.5, -1e-42, -0.0, 0, 1e-42, 0.1, 0.5, 1, 6, 9, INF, NAN], dtype)
    with np.errstate(all="ignore"):
        want = keras_relu(x, **values)
    np.testing.assert_array_equal(run_kernel(RELU, x, **values), want)


def test_relu_with_a_threshold_gives_minus_zero_and_nan_for_minus_inf() -> None:
    got = apply("relu", np.array([-INF, -2, 0, 4, 5, 6], np.float32), threshold=5.0)
    np.testing.assert_array_equal(got, [NAN, 0, 0, 0, 0, 6])
    assert np.signbit(got).tolist()[1:] == [True, False, False, False, False]


@pytest.mark.parametrize("exact", [False, True])
def test_the_threshold_is_rounded_to_the_dtype_of_the_tensor(exact: bool) -> None:
    x = np.array([0.3, 0.2998, 1], np.float16)
    assert float(x[0]) > 0.3
    got = kact_cli.apply("relu(alpha=1,threshold=0.3)", x, exact=exact)
    np.testing.assert_array_equal(got, keras_relu(x, alpha=1, threshold=0.3))
    assert got[0] == 0


def whole_relu(x: int, alpha: int, max_value: int | None, threshold: int, info: Any) -> int:
    if x > threshold:
        y = max(x, 0) if threshold == 0 or max_value is not None else x
        y = y if max_value is None else min(y, max(max_value, 0))
    else:
        y = alpha * (x - threshold)
    return min(max(y, int(info.min)), int(info.max))


whole = st.one_of(
    st.integers(-4, 4), st.integers(-300, 300), st.integers(-(2**66), 2**66), st.just(10**300)
)


@given(
    data=st.data(),
    dtype=st.sampled_from(["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]),
    alpha=whole,
    max_value=st.none() | whole,
    threshold=whole,
)
def test_relu_of_integers_is_exact_and_saturates(
    data: st.DataObject, dtype: str, alpha: int, max_value: int | None, threshold: int
) -> None:
    info = np.iinfo(dtype)
    ends = st.sampled_from([int(info.min), int(info.max), 0])
    x = data.draw(st.lists(st.integers(int(info.min), int(info.max)) | ends, max_size=20))
    values = {"alpha": alpha, "max_value": max_value, "threshold": threshold}
    assert RELU.keeps_integers(values)
    got = run_kernel(RELU, np.array(x, dtype), **values)
    assert got.tolist() == [whole_relu(v, alpha, max_value, threshold, info) for v in x]


@pytest.mark.parametrize(
    ("values", "want"),
    [
        ({"threshold": -5}, [0, -4, -1, 3]),
        ({"threshold": -5, "max_value": 2}, [0, 0, 0, 2]),
        ({"threshold": -2, "alpha": 3}, [-9, -6, -1, 3]),
        ({"threshold": 2, "alpha": 100}, [-128, -128, -128, 3]),
        ({"max_value": -7, "alpha": -1}, [5, 4, 1, 0]),
        ({"alpha": -100}, [127, 127, 100, 3]),
    ],
)
def test_relu_of_integers(values: dict[str, Any], want: list[int]) -> None:
    got = apply("relu", np.array([-5, -4, -1, 3], np.int8), **values)
    np.testing.assert_array_equal(got, np.array(want, np.int8), strict=True)


@pytest.mark.parametrize("alpha", [INF, NAN, -INF, 0.0, -2.0])
def test_elu_leaves_the_positive_part_alone_whatever_alpha(alpha: float) -> None:
    x = np.array([-3, -1, 2, 1e30, INF], np.float32)
    got = apply("elu", x, alpha=alpha)
    np.testing.assert_array_equal(got[2:], x[2:])
    np.testing.assert_array_equal(got[:2], np.float32(alpha) * np.expm1(x[:2]))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_booleans_and_integers_are_computed_in_the_float_they_become(name: str) -> None:
    for tensor in (np.array([True, False]), np.array([3, 0], np.int16), np.array([-5], np.int64)):
        if ACTIVATIONS[name].keeps_integers({}) and tensor.dtype.kind != "b":
            continue
        values = {"alpha": 0.5} if name == "relu" else {}
        promoted = tensor.astype(np.result_type(tensor, np.float32))
        np.testing.assert_array_equal(
            apply(name, tensor, **values), apply(name, promoted, **values), strict=True
        )

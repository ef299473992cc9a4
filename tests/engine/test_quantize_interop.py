"""Quantised chains against ONNX Runtime's operators and against TFLite's stated rules.

ONNX Runtime's DequantizeLinear and QuantizeLinear are kact's, bit for bit. Between them it has
functions of its own in float32, some ULP off: where one of those is the nearest float32, the
integer is kact's. With 8 bits that is everywhere in these tests, with 16 bits all but 0.2 %, which
are one off. Its QLinearSoftmax divides by 1 / floor(1 / scale) instead of the scale, which is the
same for 1 / 256.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from kact_cli import apply
from kact_cli.engine.quantize import Affine, dequantized, quantize
from kact_cli.formats.quantization import parse_quantization
from kact_cli.types import Array, Quantization

pytestmark = pytest.mark.interop

OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
    "relu": ("Relu", {}),
    # As float32 has 0.1, which is what an attribute is
    "relu(alpha=0.10000000149011612)": ("LeakyRelu", {"alpha": 0.1}),
    "softmax": ("Softmax", {"axis": -1}),
}
QLINEAR = {"Sigmoid": {}, "LeakyRelu": {"alpha": 0.1}, "Softmax": {"axis": -1, "opset": 13}}


def quantized(scale: float, zero: int) -> Quantization:
    return parse_quantization(f"{scale!r},{zero}", "--quantize-in")


def run(nodes: list[Any], x: Array, constants: dict[str, Array], outputs: dict[str, Any]) -> Any:
    """What ONNX Runtime computes; the model is not optimised."""
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    h, kinds = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype
    infos = [h.make_tensor_value_info(n, kinds(np.dtype(t)), x.shape) for n, t in outputs.items()]
    graph = h.make_graph(
        nodes,
        "quantised",
        [h.make_tensor_value_info("x", kinds(x.dtype), x.shape)],
        infos,
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    sets = [h.make_opsetid("", 21), h.make_opsetid("com.microsoft", 1)]
    model = h.make_model(graph, opset_imports=sets, ir_version=10)
    choices = runtime.SessionOptions()
    choices.intra_op_num_threads, choices.log_severity_level = 1, 3
    choices.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(
        model.SerializeToString(), choices, providers=["CPUExecutionProvider"]
    )
    return session.run(list(outputs), {"x": x})


def node(*args: Any, **attributes: Any) -> Any:
    return pytest.importorskip("onnx").helper.make_node(*args, **attributes)


def cases(dtype: str, chain: str) -> list[tuple[Array, Quantization, Quantization]]:
    """Every integer, under a few scales and zero points, as wide as the results are."""
    rng, info = np.random.default_rng(0), np.iinfo(dtype)
    found = []
    for number in range(4 if info.bits == 8 else 1):
        x = np.arange(info.min, info.max + 1).astype(dtype)
        if chain == "softmax":
            x = rng.integers(info.min, info.max + 1, (100, 40)).astype(dtype)
        middle = (info.max + int(info.min)) // 2 + 1
        zero = int(rng.integers(info.min, info.max + 1)) if number else middle
        scale = float(np.float32(rng.uniform(1, 12) / (info.max - middle)))
        given = quantized(scale, zero)
        y = apply(chain, x, quantize_in=given)
        out = float(np.float32(np.ptp(y) / (info.max - int(info.min)) / rng.uniform(0.5, 1.5)))
        least = int(np.clip(info.min - np.round(y.min() / out), info.min, info.max))
        found.append((x, given, quantized(out, least)))
    return found


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
@pytest.mark.parametrize("chain", OPERATORS)
def test_dequantize_compute_quantize(chain: str, dtype: str) -> None:
    operator, attributes = OPERATORS[chain]
    for x, given, result in cases(dtype, chain):
        mine = apply(chain, x, quantize_in=given, quantize_out=result)
        constants = {
            "s": np.array(given.scale[0], "f4"),
            "z": np.array(given.zero_point[0], dtype),
            "t": np.array(result.scale[0], "f4"),
            "w": np.array(result.zero_point[0], dtype),
        }
        nodes = [
            node("DequantizeLinear", ["x", "s", "z"], ["d"]),
            node(operator, ["d"], ["e"], **attributes),
            node("QuantizeLinear", ["e", "t", "w"], ["y"]),
        ]
        d, e, y = run(nodes, x, constants, {"d": "f4", "e": "f4", "y": dtype})
        assert np.array_equal(d.view(np.uint32), dequantized(x, given).view(np.uint32))
        of_its_own = np.empty(x.shape, dtype)
        affine = Affine.of(result, (), (), None)
        quantize(e.copy(), affine, of_its_own, half_away=False)
        assert np.array_equal(y, of_its_own)
        nearest = e == apply(chain, d, exact=True)
        assert np.array_equal(y[nearest], mine[nearest])
        apart = np.abs(y.astype(int) - mine)
        assert apart.max() <= (0 if x.itemsize == 1 else 1)
        assert np.count_nonzero(apart) <= 0.002 * x.size
        if x.itemsize == 1 and operator in QLINEAR:
            more = QLINEAR[operator]
            one = node(
                f"QLinear{operator}", ["x", "s", "z", "t", "w"], ["y"],
                domain="com.microsoft", **more,
            )  # fmt: skip
            (q,) = run([one], x, constants, {"y": dtype})
            if operator == "Softmax":
                whole = quantized(1 / math.floor(1 / result.scale[0]), result.zero_point[0])
                mine = apply(chain, x, quantize_in=given, quantize_out=whole)
            assert np.array_equal(q, mine)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_scale_for_each_index(axis: int) -> None:
    rng = np.random.default_rng(axis)
    x = rng.integers(-128, 128, (4, 5, 6)).astype(np.int8)
    scales = rng.uniform(0.01, 0.1, x.shape[axis]).astype("f4")
    zeros = rng.integers(-9, 9, len(scales)).astype(np.int8)
    one = Quantization(tuple(scales.tolist()), tuple(zeros.tolist()), axis=axis)
    nodes = [
        node("DequantizeLinear", ["x", "s", "z"], ["d"], axis=axis),
        node("Tanh", ["d"], ["e"]),
        node("QuantizeLinear", ["e", "s", "z"], ["y"], axis=axis),
    ]
    (y,) = run(nodes, x, {"s": scales, "z": zeros}, {"y": "i1"})
    assert np.array_equal(y, apply("tanh", x, quantize_in=one, quantize_out=one))


# TFLite's quantisation specification fixes the result's scale and zero point, and its kernels for
# int8 are tables of 256, made in float32: transform((q - zero) * scale) / scale', rounded away from
# zero in the middle (std::round), saturated. Its softmax has a table of exp((q - max) * scale).
TFLITE = {"sigmoid": ("1/256", -128), "tanh": ("1/128", 0)}


@pytest.mark.parametrize("chain", TFLITE)
@pytest.mark.parametrize("scale", [0.0235, 0.047, 0.0627451, 0.1])
@pytest.mark.parametrize("zero", [-128, -5, 0, 40])
def test_tflite_tables_of_int8(chain: str, scale: float, zero: int) -> None:
    power, out_zero = TFLITE[chain]
    x = np.arange(-128, 128).astype(np.int8)
    real = (x.astype("f4") - np.float32(zero)) * np.float32(scale)
    with np.errstate(over="ignore"):
        y = np.tanh(real) if chain == "tanh" else np.float32(1) / (np.float32(1) + np.exp(-real))
    scaled = y * np.float32(float(power[2:]))
    expected = [math.copysign(math.floor(abs(v) + 0.5), v) + out_zero for v in scaled.tolist()]
    result = parse_quantization(f"{power},{out_zero}", "--quantize-out")
    away = Quantization(result.scale, result.zero_point, half_away=True)
    got = apply(chain, x, quantize_in=quantized(scale, zero), quantize_out=away)
    assert np.array_equal(got, np.clip(expected, -128, 127))


@pytest.mark.parametrize("scale", [0.0235, 0.1, 0.5])
def test_tflite_softmax_of_int8(scale: float) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (500, 40)).astype(np.int8)
    table = np.exp(-np.float32(scale) * np.arange(256, dtype="f4"))
    terms = table[x.max(axis=1, keepdims=True).astype(int) - x]
    sums = terms.sum(axis=1, keepdims=True, dtype="f4")
    expected = np.floor(terms / sums * np.float32(256) + np.float32(0.5)) - 128
    away = Quantization((1 / 256,), (-128,), half_away=True)
    got = apply("softmax", x, quantize_in=quantized(scale, 3), quantize_out=away)
    assert np.array_equal(got, np.clip(expected, -128, 127))

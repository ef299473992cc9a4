"""The table of activations itself."""

from __future__ import annotations

import inspect
from itertools import groupby
from typing import Annotated, Any

import numpy as np
import pytest

from kact_cli.activations import (
    ACTIVATIONS,
    Activation,
    Doc,
    activation,
    along_axis,
    elementwise,
    find,
)
from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Value, forget
from kact_cli.chain import Chain
from kact_cli.engine.apply import apply
from kact_cli.engine.rounding import recompute

# Keras 2's, and those that Keras 3 adds.
KERAS: dict[str, dict[str, Value]] = {
    "relu": {"alpha": 0.0, "max_value": None, "threshold": 0.0},
    "sigmoid": {},
    "softmax": {"axis": -1},
    "softplus": {},
    "softsign": {},
    "tanh": {},
    "selu": {},
    "elu": {"alpha": 1.0},
    "exponential": {},
    "gelu": {"approximate": False},
    "hard_sigmoid": {"alpha": 0.2, "beta": 0.5},
    "linear": {},
    "mish": {},
    "silu": {"alpha": 1.0},
    "hard_silu": {},
    "leaky_relu": {"negative_slope": 0.2},
    "relu6": {},
    "celu": {"alpha": 1.0},
    "log_sigmoid": {},
    "log_softmax": {"axis": -1},
    "hard_tanh": {},
    "hard_shrink": {"threshold": 0.5},
    "soft_shrink": {"threshold": 0.5},
    "tanh_shrink": {},
    "threshold": {"threshold": 0.0, "default_value": 0.0},
    "squareplus": {"b": 4},
    "sparse_plus": {},
    "sparse_sigmoid": {},
    "sparsemax": {"axis": -1},
    "rescaling": {"scale": 1.0, "offset": 0.0},
}
ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "identity": "linear"}


def test_names_parameters_and_defaults_are_those_of_keras() -> None:
    table = {a.name: {p.name: p.default for p in a.parameters} for a in ACTIVATIONS.values()}
    assert {name: table[name] for name in KERAS} == KERAS


def test_what_belongs_together_is_listed_together() -> None:
    groups = [group for group, _ in groupby(a.group for a in ACTIVATIONS.values())]
    assert len(groups) == len(set(groups))
    assert "Others" not in groups


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_the_same_activation_in_every_spelling(alias: str) -> None:
    for name in (alias, alias.upper(), alias.replace("_", "-")):
        found = find(name)
        assert found is ACTIVATIONS[ALIASES[alias]]
        assert str(Chain.parse(name)) == ALIASES[alias]


def test_every_kernel_of_the_package_is_registered() -> None:
    modules = [m for package in (elementwise, along_axis) for m in vars(package).values()]
    kernels = {
        name: f
        for module in filter(inspect.ismodule, modules)
        for name, f in inspect.getmembers(module, inspect.isfunction)
        if f.__module__ == module.__name__
        and not name.startswith("_")
        and list(inspect.signature(f).parameters)[:3] == ["x", "tmp", "m"]
        and f.__doc__.count("\n\n") > 1
    }
    assert kernels == {name: a.kernel for name, a in ACTIVATIONS.items()}


@pytest.mark.parametrize("a", ACTIVATIONS.values(), ids=lambda a: a.name)
def test_each_is_documented(a: Any) -> None:
    assert a.summary.endswith(".")
    assert a.formula
    assert not a.formula.endswith(".")
    assert f"keras.activations.{a.name}" in a.notes or "http" in a.notes or "layers." in a.notes
    for p in a.parameters:
        assert p.help.endswith(".")


@pytest.mark.parametrize("a", ACTIVATIONS.values(), ids=lambda a: a.name)
def test_names_and_aliases_of_parameters_are_unique(a: Any) -> None:
    names = [name for p in a.parameters for name in p.names]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() for name in names)
    assert all(a.parameter(name) in a.parameters for name in names)
    assert a.parameter("no_such") is None


def test_relu_knows_the_name_of_keras_3_for_alpha() -> None:
    parameter = ACTIVATIONS["relu"].parameter("negative_slope")
    assert parameter is not None
    assert parameter.name == "alpha"


def test_which_parameters_are_more_than_numbers() -> None:
    every = {(a.name, p.name): p for a in ACTIVATIONS.values() for p in a.parameters}
    assert every["relu", "max_value"].optional
    assert not every["relu", "alpha"].optional
    assert every["gelu", "approximate"].is_flag
    assert not every["gelu", "approximate"].optional
    assert every["softmax", "axis"].is_axis
    for a in ACTIVATIONS.values():
        assert bool(a.streamed) == bool(a.exactly)
        assert a.axis or not a.streamed


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("a", ACTIVATIONS.values(), ids=lambda a: a.name)
def test_floats_keep_their_dtype_and_byte_order(a: Any, dtype: str) -> None:
    values = {p.name: p.default for p in a.parameters}
    assert a.result_dtype(np.dtype(dtype), values) == np.dtype(dtype)


@pytest.mark.parametrize(
    ("values", "result"),
    [
        ({"alpha": 0.0, "max_value": None, "threshold": 0.0}, ">i2"),
        ({"alpha": -2.0, "max_value": 6, "threshold": 1e300}, ">i2"),
        ({"alpha": 0.5, "max_value": None, "threshold": 0.0}, ">f4"),
        ({"alpha": 0.0, "max_value": float("inf"), "threshold": 0.0}, ">f4"),
        ({"alpha": 0.0, "max_value": None, "threshold": float("nan")}, ">f4"),
    ],
)
def test_relu_keeps_integers_if_its_parameters_are_whole(values: Any, result: str) -> None:
    relu = ACTIVATIONS["relu"]
    assert relu.result_dtype(np.dtype(">i2"), values) == np.dtype(result)


def test_integers_and_booleans_become_what_numpy_makes_of_them_with_float32() -> None:
    tanh, relu = ACTIVATIONS["tanh"], ACTIVATIONS["relu"]
    dtypes = {"bool": "f4", "i1": "f4", "u2": "f4", "i4": "f8", "u8": "f8"}
    assert {d: tanh.result_dtype(np.dtype(d), {}) for d in dtypes} == dtypes
    assert relu.result_dtype(np.dtype(bool), KERAS["relu"]) == np.dtype("f4")


def test_a_name_can_be_declared_only_once() -> None:
    def relu(x: Tile, tmp: Tile, /) -> None:
        """Another relu.

        x
        """

    with pytest.raises(ValueError, match="declared twice"):
        activation(relu)


def test_a_name_that_no_spelling_finds_is_refused() -> None:
    def Upper(x: Tile, tmp: Tile, /) -> None:
        """A kernel.

        x
        """

    with pytest.raises(ValueError, match="has to be called upper"):
        activation(Upper)


def test_a_parameter_without_help_is_an_error() -> None:
    def undocumented(x: Tile, tmp: Tile, /, *, alpha: float = 1.0) -> None:
        """A kernel.

        x
        """

    with pytest.raises(TypeError, match="alpha needs Annotated"):
        assert Activation(undocumented).parameters


def test_one_function_is_all_that_a_new_activation_takes() -> None:
    def cubed_tanh(
        x: Tile,
        tmp: Tile,
        m: Math,
        /,
        *,
        scale: Annotated[float, Doc("Scale.", aliases=("s",))] = 1.0,
    ) -> None:
        """Cubed tanh.

        scale * tanh(x) ** 3

        A note.
        """
        m.tanh(x, tmp)
        np.multiply(tmp, tmp, out=x)
        x *= tmp
        x *= scale

    try:
        assert activation(cubed_tanh) is cubed_tanh
        a = ACTIVATIONS["cubed_tanh"]
        assert (a.summary, a.formula) == ("Cubed tanh.", "scale * tanh(x) ** 3")
        assert a.notes == "A note."
        assert a.parameters[0].names == ("scale", "s")
        assert not a.keeps_integers({"scale": 1.0})
        x = np.linspace(-3, 3, 101, dtype=np.float32)
        np.testing.assert_allclose(apply("cubed_tanh(0.3)", x), 0.3 * np.tanh(x) ** 3, rtol=1e-6)
        # Exactly, with nothing else written
        want = [float(v) for v in recompute(x, Chain.parse("cubed_tanh(0.3)").steps, x.dtype)]
        np.testing.assert_array_equal(
            apply("cubed_tanh(0.3)", x, exact=True), np.array(want).astype(np.float32)
        )
    finally:
        forget("cubed_tanh")

"""Activations by the names that they have elsewhere, for whoever asks kact for one of them.

A name that kact has comes before these tables.
"""

from __future__ import annotations

SPELLINGS = {
    "leakyrelu": "leaky_relu --alpha 0.3 as Keras's layer has it by default, in PyTorch with a "
    "slope of 0.01, in a chain leaky_relu(0.01)",
    "lrelu": "leaky_relu, in PyTorch with a slope of 0.01, in a chain leaky_relu(0.01)",
    "thresholded_relu": "relu --threshold 1, in a chain relu(threshold=1)",
    "quick_gelu": "silu --alpha 1.702, in a chain silu(alpha=1.702)",
    "gelu_new": "gelu --approximate, in a chain gelu(approximate=true)",
    "gelu_tanh": "gelu --approximate, in a chain gelu(approximate=true)",
    "gelu_fast": "gelu --approximate, in a chain gelu(approximate=true)",
    "gelu_pytorch_tanh": "gelu --approximate, in a chain gelu(approximate=true)",
    "gelu_erf": "gelu",
    "softmin": "a softmax of -x, in a chain rescaling(scale=-1),softmax",
    "scale": "rescaling",
    "exp": "exponential",
    "expit": "sigmoid",
    "logistic": "sigmoid",
    "softargmax": "softmax",
    "rectifier": "relu",
    "hyperbolic_tangent": "tanh",
}
"""What a name stands for, in kact's words."""

PARAMETERS = dict.fromkeys(
    ("temperature", "t"), "; for a temperature T: rescaling(scale=1/T),softmax"
)
"""What is said of parameters that an activation has elsewhere."""

_HALVES = "it halves its axis, and kact keeps every shape"
_WEIGHTS = "its slopes are weights that a model has learned"
REFUSED = {
    "glu": _HALVES,
    "reglu": _HALVES,
    "geglu": _HALVES,
    "swiglu": _HALVES,
    "crelu": "it doubles its axis, and kact keeps every shape",
    "maxout": "it makes its axis shorter, and kact keeps every shape",
    "prelu": f"{_WEIGHTS}; leaky_relu has one slope for all",
    "rrelu": "its slopes are random; leaky_relu has one slope for all",
    "xielu": _WEIGHTS,
    "gumbel_softmax": "its results are random",
    "argmax": "it makes its axis shorter, and kact keeps every shape",
    "logsumexp": "it makes its axis shorter, and kact keeps every shape",
}
"""Why kact does not have it."""

OTHERS = frozenset(
    {"erf", "sinh", "step", "sin", "cos", "cosh", "log", "sqrt", "square", "abs", "elish", "relu2"}
    | {"hardmax", "sign", "round", "normalize"}
)
"""Functions of their own, however near in letters to another: none is suggested in their place."""

"""Activations by the names that they have elsewhere, for whoever asks kact for one of them.

A name that kact has comes before this table, so what is declared one day need not be removed here.
"""

from __future__ import annotations

SPELLINGS = {
    "relu6": "relu --max-value 6, in a chain relu(max_value=6)",
    "leaky_relu": "relu --alpha 0.2 as Keras 3 has it by default (PyTorch: 0.01), in a chain "
    "relu(alpha=0.2)",
    "leakyrelu": "relu --alpha 0.3 as the layer of Keras 2 has it by default (PyTorch: 0.01), in a "
    "chain relu(alpha=0.3)",
    "lrelu": "relu --alpha 0.01 as PyTorch has it by default, in a chain relu(alpha=0.01)",
    "thresholded_relu": "relu --threshold 1, in a chain relu(threshold=1)",
    "exp": "exponential",
    "expit": "sigmoid",
    "logistic": "sigmoid",
    "softargmax": "softmax",
    "rectifier": "relu",
    "hyperbolic_tangent": "tanh",
}
"""What a name stands for, in kact's words."""

OTHERS = frozenset(
    {"gelu", "silu", "swish", "mish", "celu", "glu", "swiglu", "geglu", "crelu", "prelu", "rrelu"}
    | {"log_softmax", "logsoftmax", "log_sigmoid", "logsigmoid", "linear", "identity", "sparsemax"}
    | {"hard_sigmoid", "hardsigmoid", "hard_swish", "hardswish", "hard_silu", "hard_tanh", "erf"}
    | {"hardtanh", "hard_shrink", "hardshrink", "soft_shrink", "softshrink", "tanh_shrink", "sinh"}
    | {"tanhshrink", "softmin", "squareplus", "sparse_plus", "sparse_sigmoid", "gumbel_softmax"}
    | {"threshold", "step", "sin", "cos", "cosh", "log", "sqrt", "square", "abs", "maxout", "elish"}
)
"""Functions of their own, however near in letters to another: none is suggested in their place."""

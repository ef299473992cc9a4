"""Sparsemax, of groups that fit in memory: it has to sort them."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from kact_cli.activations.math import Math, Tile
from kact_cli.activations.registry import Axis, Doc, activation

GROUP = "Along an axis"


@activation
def sparsemax(
    x: Tile,
    tmp: Tile,
    m: Math,
    /,
    *,
    axis: Annotated[Axis, Doc("Axis, or axes together, along which the results sum to 1.")] = -1,
) -> None:
    """Sparsemax: like softmax, but small values become 0.

    max(x - tau, 0), along axis, tau such that the results sum to 1

    A NaN or inf makes its whole group NaN, as does a group of nothing but -inf; another -inf gives
    0. It is computed in float64, of groups that fit in memory. Keras up to 3.15 gives too little
    where several results are not 0 (issue 23425 of github.com/keras-team/keras).
    keras.activations.sparsemax; Martins and Astudillo 2016, https://arxiv.org/abs/1602.02068.
    """
    if x.size == 0:
        return
    below = x.astype(np.float64)
    below -= below.max(axis=1, keepdims=True)
    falling = np.sort(below, axis=1)[:, ::-1]
    sums = np.cumsum(falling, axis=1)
    counts = np.arange(1, x.shape[1] + 1, dtype=np.float64)[:, None]
    products = falling * counts
    products += 1
    support = np.count_nonzero(products > sums, axis=1, keepdims=True)
    tau = (np.take_along_axis(sums, support - 1, axis=1) - 1) / support
    below -= tau
    m.positive(below, below)
    np.copyto(x, below, casting="same_kind")

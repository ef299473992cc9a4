"""Chains and tensors that are sound, but probably not what was meant.

What follows from the chain and the shape is always found. What depends on the values is looked for
in the first few thousand of them alone, which whoever computes has at hand: it costs about a
millisecond, and is advice, no proof.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from kact_cli.chain import Chain, resolve_axes
from kact_cli.engine.apply import apply
from kact_cli.engine.bfloat16 import as_floats
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.types import Array

SAMPLE = 16 * 1024
"""Values that are looked at."""

PROBABILITIES = ("softmax", "sparsemax")
"""Activations whose results are probabilities."""


def of_chain(chain: Chain) -> Iterator[str]:
    """What the steps alone say."""
    for before, step in zip(chain.steps, chain.steps[1:], strict=False):
        if not step.axis_name:
            continue
        if before.name in PROBABILITIES:
            yield f"{step.name} after {before.name}: it gets probabilities, not logits"
        elif before.name == "sigmoid":
            yield f"sigmoid before {step.name}: it flattens the logits to between 0 and 1"


def of_shape(
    chain: Chain, shape: Sequence[int], names: Sequence[str] | None = None
) -> Iterator[str]:
    """What a tensor of that shape, or of a table's columns `names`, makes of the axes."""
    for step in chain.steps:
        if step.axis_name and 0 not in shape:
            axes = resolve_axes(step, shape)
            if math.prod(shape[a] for a in axes) == 1:
                result = apply(step.name, [1.0])[0]
                along = (
                    "over an axis of size 1" if names is None else f"across one column, {names[0]}"
                )
                yield f"{step.name} {along}: every value becomes {result:g}"


def of_columns(chain: Chain, names: Sequence[str]) -> Iterator[str]:
    """Which columns the chain runs across, in a table whose tensor has the columns `names`."""
    for step in chain.steps:
        if step.axis_name and len(names) > 1 and 1 in resolve_axes(step, (2, len(names))):
            yield f"{step.name} runs across {len(names):,} columns: {listed(names)}"


def of_values(chain: Chain, sample: Array, options: Options, *, whole: bool) -> Iterator[str]:
    """What becomes of the first rows of a tensor, or of all of it."""
    work = sample
    for number, step in enumerate(chain.steps):
        if step.axis_name:
            axes = resolve_axes(step, sample.shape)
            if 0 in axes and not whole:
                return
            if not (number and chain.steps[number - 1].axis_name) and _sums_to_one(work, axes):
                yield (
                    f"the input of {step.name} already sums to 1 along the axis: it holds "
                    "probabilities, not logits?"
                )
        last = number == len(chain.steps) - 1
        dtype = options.dtype if last else None
        work = apply(
            Chain((step,)),
            work,
            dtype=dtype,
            exact=options.exact,
            compute_dtype=options.compute_dtype,
        )
    if work.dtype.kind == "f" and (np.isinf(work) & np.isfinite(sample)).any():
        wider = "" if work.dtype.itemsize == 8 else "; --dtype float64 holds larger ones"
        yield f"values overflow to inf in {work.dtype.newbyteorder('=')}{wider}"


def _sums_to_one(values: Array, axes: frozenset[int]) -> bool:
    """Whether all groups of more than one value are not negative and sum to 1."""
    if values.size < 2 or math.prod(values.shape[a] for a in axes) < 2:
        return False
    sums = values.sum(axis=tuple(axes), dtype=np.float64)
    return bool((values >= 0).all() and (np.abs(sums - 1) < 1e-3).all())


def advise_tensor(
    chain: Chain, shape: Sequence[int], options: Options, names: Sequence[str] | None = None
) -> None:
    """Warn of what is known before the values of a tensor of that shape are."""
    for message in (*of_chain(chain), *of_shape(chain, shape, names)):
        options.observer.warn(message)


def advise_table(chain: Chain, names: Sequence[str], options: Options) -> None:
    """The same for the columns `names` of a table; say which a chain runs across, unless asked."""
    advise_tensor(chain, (2, len(names)), options, names)
    if not options.columns:
        for message in of_columns(chain, names):
            options.observer.tell(message)


def advise_values(chain: Chain, rows: Array, options: Options, total: int | None = None) -> None:
    """Warn of what the chain makes of the first of `rows`; `total` is how many the tensor has."""
    if not rows.size:
        return
    sample = as_floats(rows[: max(1, SAMPLE * len(rows) // rows.size)])
    for message in of_values(chain, sample, options, whole=len(sample) == total):
        options.observer.warn(message)


class FirstLook:
    """Warns of what the chain makes of the first rows of a table that it is shown, and of no more.

    Threads may show it theirs: whichever comes first has the first rows, or nearly.
    """

    def __init__(self, chain: Chain, options: Options) -> None:
        self._chain, self._options = chain, options
        self.pending = True

    def __call__(self, rows: Array, nulls: Array | None = None) -> None:
        """Look at rows of numbers side by side; `nulls` is a mask of the same shape."""
        if not self.pending or not rows.size:
            return
        self.pending = False
        count = max(1, SAMPLE // rows.shape[1])
        known = rows[:count]
        if nulls is not None:
            known = known[~nulls[:count].any(axis=1)]
        advise_values(self._chain, known, self._options)

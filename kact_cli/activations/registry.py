"""The one declaration of each activation, and everything that is derived from it.

An activation is an annotated function under `@activation`:

    @activation
    def elu(
        x: Tile, tmp: Tile, m: Math, /, *, alpha: Annotated[float, Doc("scale of ...")] = 1.0
    ) -> None:
        \"\"\"Exponential linear unit.

        x if x > 0, alpha * (exp(x) - 1) otherwise

        Anything else worth knowing, with the source of the definition.
        \"\"\"

The signature gives the Click options, the chain grammar, `kact list` and the man pages; the
docstring's first paragraph is the summary, its second the formula. Nothing is written twice.

A kernel overwrites `x` with the result and may use `tmp`, a buffer like `x`, as it pleases. Both
are C-contiguous, in native byte order, cache-sized, and float32 or float64 (float16 is computed in
float32), or integers where `keeps_integers` says so; NumPy's floating-point warnings are off. `x`
is 1-D for an elementwise activation. What is not the same on every processor, exp for one, comes
from `m` (see `math.Math`), and so every activation obeys `--exact`. An activation with an `axis`
gets `(outer, length, inner)` and works along axis 1; see `Streamed` for tensors whose axis is
larger than memory.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    NamedTuple,
    Protocol,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from kact_cli.activations.math import Math, Tile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Axis = int | tuple[int, ...] | None
"""An axis, several at once, or None for all of them; negative ones count from the end."""

Value = float | int | tuple[int, ...] | None
Kernel = Callable[..., None]
_K = TypeVar("_K", bound=Kernel)


class Doc(NamedTuple):
    """What `--help` says of a parameter, and the other names it is known by."""

    help: str
    aliases: tuple[str, ...] = ()


class Parameter(NamedTuple):
    """One parameter of an activation, under Keras's name for it."""

    name: str
    default: Value
    help: str
    aliases: tuple[str, ...]
    is_axis: bool
    optional: bool
    """Whether `none` is a value (relu's max_value: no maximum)."""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


ReductionState = tuple["NDArray[Any]", ...]
"""What is known of the groups along an axis: arrays of shape (outer, inner), of any dtypes."""


class Streamed(Protocol):
    """How an activation along an axis works on a group that does not fit in memory.

    A pass over the axis collects the state of each part and merges them; some activations need a
    second such pass, which knows what the first one found. The last pass overwrites each part with
    its result.
    """

    @property
    def rounds(self) -> int:
        """How many passes collect."""
        ...

    def collect(self, x: Tile, tmp: Tile, m: Math, known: ReductionState, /) -> ReductionState:
        """The state of the tile (outer, length, inner) along axis 1; may overwrite `x`.

        `known` is the state of the whole axis after the pass before, () in the first.
        """
        ...

    def merge(self, a: ReductionState, b: ReductionState, /) -> ReductionState:
        """The state of two parts together; works elementwise on arrays of any one shape."""
        ...

    def finish(self, x: Tile, tmp: Tile, m: Math, state: ReductionState, /) -> None:
        """Overwrite the tile `x` with its result, given the state of the whole axis."""
        ...


class Activation(NamedTuple):
    """One declared activation."""

    name: str
    kernel: Kernel
    parameters: tuple[Parameter, ...]
    summary: str
    formula: str
    notes: str
    streamed: Streamed | None
    exactly: Streamed | None
    """`streamed` where the result has to be exact."""
    keeps_integers: Callable[[Mapping[str, Value]], bool]

    @property
    def axis(self) -> Parameter | None:
        """The parameter that makes this activation work along an axis, or None: elementwise."""
        return next((p for p in self.parameters if p.is_axis), None)

    def reduction(self, exact: bool) -> Streamed | None:
        """How groups larger than memory are computed, if they can be."""
        return self.exactly if exact else self.streamed

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name or alias, or None."""
        return next((p for p in self.parameters if name in p.names), None)

    def result_dtype(self, dtype: np.dtype[Any], values: Mapping[str, Value]) -> np.dtype[Any]:
        """The dtype that this activation gives for a tensor of `dtype`, in its byte order."""
        import numpy as np

        if dtype.kind in "fV" or (dtype.kind in "iu" and self.keeps_integers(values)):
            return dtype
        result: np.dtype[Any] = np.result_type(dtype, np.float32).newbyteorder(dtype.byteorder)
        return result


ACTIVATIONS: dict[str, Activation] = {}
"""Every activation, by name, in the order of declaration."""


def _parameters(kernel: Kernel) -> tuple[Parameter, ...]:
    hints = get_type_hints(kernel, include_extras=True)
    parameters = []
    for p in inspect.signature(kernel).parameters.values():
        if p.kind is not p.KEYWORD_ONLY:
            continue
        hint = hints[p.name]
        if get_origin(hint) is not Annotated:
            raise TypeError(f"{kernel.__name__}: {p.name} needs Annotated[..., Doc(...)]")
        kind, doc = get_args(hint)[:2]
        optional = type(None) in get_args(kind)
        parameters.append(
            Parameter(p.name, p.default, doc.help, doc.aliases, kind == Axis, optional)
        )
    return tuple(parameters)


@overload
def activation(kernel: _K, /) -> _K: ...


@overload
def activation(
    *,
    streamed: Streamed | None = None,
    exactly: Streamed | None = None,
    keeps_integers: Callable[[Mapping[str, Value]], bool] = lambda _: False,
) -> Callable[[_K], _K]: ...


def activation(
    kernel: _K | None = None,
    /,
    *,
    streamed: Streamed | None = None,
    exactly: Streamed | None = None,
    keeps_integers: Callable[[Mapping[str, Value]], bool] = lambda _: False,
) -> _K | Callable[[_K], _K]:
    """Declare a kernel as an activation (see the module's docstring)."""

    def declare(kernel: _K) -> _K:
        name = kernel.__name__
        if name in ACTIVATIONS:
            raise ValueError(f"activation {name} is declared twice")
        summary, formula, *notes = inspect.cleandoc(kernel.__doc__ or "").split("\n\n")
        ACTIVATIONS[name] = Activation(
            name=name,
            kernel=kernel,
            parameters=_parameters(kernel),
            summary=" ".join(summary.split()),
            formula=" ".join(formula.split()),
            notes="\n\n".join(notes),
            streamed=streamed,
            exactly=exactly,
            keeps_integers=keeps_integers,
        )
        return kernel

    return declare if kernel is None else declare(kernel)

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
docstring's first paragraph is the summary, its second the formula, which the tests evaluate; the
module's `GROUP` is the heading that it is listed under. Nothing is written twice. What a kernel has
to do is said in `kact_cli.activations`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
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

Value = float | int | bool | tuple[int, ...] | None
Kernel = Callable[..., None]
_K = TypeVar("_K", bound=Kernel)


class Doc(NamedTuple):
    """What `--help` says of a parameter, and the other names it is known by."""

    help: str
    aliases: tuple[str, ...] = ()
    elsewhere: str = ""
    """Which library has another default: `0.3 in Keras's layer, 0.01 in PyTorch`."""


class Parameter(NamedTuple):
    """One parameter of an activation, under Keras's name for it."""

    name: str
    default: Value
    help: str
    aliases: tuple[str, ...]
    elsewhere: str
    is_axis: bool
    is_flag: bool
    """Whether its values are true and false."""
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


class Activation:
    """One declared activation; its signature and docstring are read when they are asked for."""

    def __init__(
        self,
        kernel: Kernel,
        *,
        aliases: tuple[str, ...] = (),
        streamed: Streamed | None = None,
        exactly: Streamed | None = None,
        keeps_integers: Callable[[Mapping[str, Value]], bool] = lambda _: False,
        in_float64: Callable[[Mapping[str, Value]], bool] = lambda _: False,
    ) -> None:
        self.name = kernel.__name__
        self.kernel = kernel
        self.aliases = aliases
        self.group: str = kernel.__globals__.get("GROUP", "Others")
        self.package = ""
        """The package that declares it, if that is not kact."""
        self.streamed = streamed
        self.exactly = exactly
        """`streamed` where the result has to be exact."""
        self.keeps_integers = keeps_integers
        self.in_float64 = in_float64
        """For which values of the parameters a chain with it computes float32 in float64."""

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def own(self) -> bool:
        """Whether it is one of kact's own."""
        return self.kernel.__module__.startswith("kact_cli.")

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        return _parameters(self.kernel)

    @cached_property
    def _paragraphs(self) -> list[str]:
        return inspect.cleandoc(self.kernel.__doc__ or "").split("\n\n")

    @property
    def summary(self) -> str:
        return " ".join(self._paragraphs[0].split())

    @property
    def formula(self) -> str:
        return " ".join(self._paragraphs[1].split())

    @property
    def cases(self) -> list[str]:
        """The formula, cut at its commas outside of parentheses."""
        cases, depth = [""], 0
        for character in self.formula:
            depth += (character == "(") - (character == ")")
            cases[-1] += character
            if character == "," and depth == 0:
                cases.append("")
        return [case.strip() for case in cases]

    @property
    def notes(self) -> str:
        return "\n\n".join(self._paragraphs[2:])

    @cached_property
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
"""Every activation by name, in the order of declaration; a plug-in once it is loaded."""

_NAMES: dict[str, str] = {}
"""The name of each activation by every name that it has."""


def spelled(name: str) -> str:
    """A name as it is declared: case is folded, and `-` is `_`."""
    return name.strip().lower().replace("-", "_")


def declared_as(name: str) -> Activation | None:
    """The activation that has been declared with that name, as it is spelled or as an alias."""
    return ACTIVATIONS.get(_NAMES.get(name, ""))


def known_names() -> list[str]:
    """Every name that an activation has, aliases among them."""
    return list(_NAMES)


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
        if p.default is p.empty:
            raise TypeError(f"{kernel.__name__}: {p.name} needs a default")
        optional = type(None) in get_args(kind)
        known = (doc.help, doc.aliases, doc.elsewhere)
        parameters.append(
            Parameter(p.name, p.default, *known, kind == Axis, kind is bool, optional)
        )
    return tuple(parameters)


@overload
def activation(kernel: _K, /) -> _K: ...


@overload
def activation(
    *,
    aliases: tuple[str, ...] = (),
    streamed: Streamed | None = None,
    exactly: Streamed | None = None,
    keeps_integers: Callable[[Mapping[str, Value]], bool] = lambda _: False,
    in_float64: Callable[[Mapping[str, Value]], bool] = lambda _: False,
) -> Callable[[_K], _K]: ...


def activation(kernel: _K | None = None, /, **more: Any) -> _K | Callable[[_K], _K]:
    """Declare a kernel as an activation.

    `aliases` are other names for it; `streamed`, and `exactly` for `--exact`, say how groups larger
    than memory are computed, without which they are refused; `keeps_integers` says for which values
    of the parameters a tensor of integers stays one, and `in_float64` for which of them a formula
    is not within 4 ULP of float32 unless it is computed in float64.
    """

    def declare(kernel: _K) -> _K:
        made = Activation(kernel, **more)
        register(made)
        return kernel

    return declare if kernel is None else declare(kernel)


def register(made: Activation) -> None:
    """Add an activation to the table; ValueError for a name that is taken, or cannot be found."""
    for name in made.names:
        if name != spelled(name):
            raise ValueError(f"activation {name} has to be called {spelled(name)}")
        if name in _NAMES:
            raise ValueError(f"activation {name} is declared twice")
    ACTIVATIONS[made.name] = made
    _NAMES.update(dict.fromkeys(made.names, made.name))


def forget(name: str) -> None:
    """Take an activation out of the table again."""
    for known in ACTIVATIONS.pop(name).names:
        del _NAMES[known]

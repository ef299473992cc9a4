"""kact: Keras activations applied to tensors in files, from the shell and from Python.

>>> from kact_cli import apply
>>> apply("relu(alpha=0.5)", [-2.0, 2.0])
array([-1.,  2.])
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # a Ctrl-C while `typing` is imported would be a traceback
if TYPE_CHECKING:
    from typing import Any

    from kact_cli.activations import ACTIVATIONS as ACTIVATIONS
    from kact_cli.chain import Chain as Chain
    from kact_cli.engine.apply import apply as apply
    from kact_cli.engine.function import function as function

    __version__: str

__all__ = ["ACTIVATIONS", "Chain", "__version__", "apply", "function"]
_HOMES = {
    "ACTIVATIONS": "activations",
    "Chain": "chain",
    "apply": "engine.apply",
    "function": "engine.function",
}


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: `kact --help` needs no NumPy, and `kact apply` no version
    if name == "__version__":
        from kact_cli.version import version

        return version()
    if name in _HOMES:
        return getattr(import_module(f"kact_cli.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'kact_cli' has no attribute '{name}'")

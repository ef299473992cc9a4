"""kact: Keras activations applied to tensors in files, from the shell and from Python.

>>> from kact_cli import Chain
>>> Chain.parse("relu(alpha=0.5)")([-2.0, 2.0])
array([-1.,  2.])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kact_cli.chain import Chain as Chain

__version__ = "0.1.0"
__all__ = ["Chain", "__version__"]


def __getattr__(name: str) -> object:
    # Not imported before it is asked for: `kact --help` needs no NumPy
    if name == "Chain":
        from kact_cli.chain import Chain

        return Chain
    raise AttributeError(f"module 'kact_cli' has no attribute '{name}'")

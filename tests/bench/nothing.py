"""kact with one more activation, which does nothing: python nothing.py chain nothing IN OUT.

What it takes is what reading, writing and starting take.
"""

from __future__ import annotations

from kact_cli.activations import Tile, activation
from kact_cli.cli import main


@activation
def nothing(x: Tile, tmp: Tile, /) -> None:
    """Nothing.

    x
    """


if __name__ == "__main__":
    main()

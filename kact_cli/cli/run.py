"""What `apply` and `chain` do once they know the chain."""

from __future__ import annotations

import sys

from kact_cli.chain import Chain
from kact_cli.errors import UsageError
from kact_cli.storage import STANDARD
from kact_cli.stream import Options, transform


def run(chain: Chain, source: str, target: str, options: Options) -> None:
    """Apply `chain` to `source` and write `target`."""
    if source == STANDARD and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("no INPUT: name a file, or give one on standard input")
    if target == STANDARD and sys.stdout is not None and sys.stdout.isatty():
        raise UsageError("no OUTPUT: name a file, or send standard output to one")
    transform(chain, source, target, options)

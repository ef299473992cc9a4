"""Try many troubles of one kind, or of each, and print what came of them.

python -m tests.trust                                 all of them, as many as README's table has
python -m tests.trust faults=10000 mutants --only npy
python -m tests.trust mutants --part 1/4              a quarter, beside which the others may run
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module

KINDS = {
    "faults": "the Nth call of every system call fails, or comes short",
    "races": "the input is replaced, cut, grown or rewritten at the Nth read",
    "kills": "signals at random moments, from the first millisecond",
    "mutants": "broken files of every format, compared with NumPy and pyarrow",
    "batches": "two batches at once into one directory",
    "limits": "a full disk, few descriptors, small files, little memory",
}
COUNTS = {"faults": 10_000, "races": 3000, "kills": 1000, "mutants": 50_000, "batches": 100,
          "limits": 500}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.trust",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shown = "; ".join(f"{name}: {what}" for name, what in KINDS.items())
    parser.add_argument("kinds", nargs="*", metavar="KIND[=COUNT]", help=shown)
    parser.add_argument("--count", type=int, help="cases of each kind (of each reader of mutants)")
    parser.add_argument("--seed", type=int, default=0, help="other cases, where not all are tried")
    parser.add_argument("--part", default="1/1", help="K/N: every Nth case, from the Kth on")
    parser.add_argument("--only", default="", help="commands or readers with this in their names")
    parser.add_argument("--no-compiler", action="store_true", help="faults in Python's os alone")
    parser.add_argument("--shown", type=int, default=8, help="failures printed of each kind")
    given = parser.parse_args()
    from tests.trust import child, inject
    from tests.trust.verdict import Tally

    if not given.no_compiler:
        inject.with_shim()
    child.load()
    Tally.shown = given.shown
    part, parts = map(int, given.part.split("/"))
    failed = False
    print(f"{'kind':32} {'tried':>8} {'survived':>9} {'failed':>7}", flush=True)
    for asked in given.kinds or KINDS:
        kind, _, number = asked.partition("=")
        if kind not in KINDS:
            parser.error(f"no kind {kind!r}; there are {', '.join(KINDS)}")
        count = int(number or given.count or COUNTS[kind])
        started = time.monotonic()
        numbers = range(part - 1, count, parts)
        run = import_module(f"tests.trust.kinds.{kind}").run
        for tally in run(numbers, given.seed, given.only):
            print(tally, flush=True)
            failed = failed or bool(tally.failed)
        print(f"{kind}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

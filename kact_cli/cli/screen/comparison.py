"""How a comparison is shown: as tables for people, as JSON for machines, as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

from kact_cli.cli.screen.figure import write_picture
from kact_cli.cli.screen.show import bars, columns, number, wrapped
from kact_cli.messages import counted, display, listed
from kact_cli.reports.by_input import Range, collapsed
from kact_cli.reports.compare import Comparison
from kact_cli.reports.errors import PERCENTILES, Errors, Tolerance, Worst

LINES = 16
"""How many lines a histogram has."""
MANY = 1000
"""From how many ULP on a distance says more as a difference."""
LAST_DIGITS = 4
"""How many ULP correct functions may well be apart."""
_ROOM = 4
"""How many times as far as the farthest input with an error a picture goes."""


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" + (f" ({100 * part / whole:.3g} %)" if part else "")


def _place(at: tuple[int, ...]) -> str:
    return f"[{', '.join(f'{i:,}' for i in at)}]"


def _worst(worst: Worst | None) -> str:
    if worst is None:
        return "none"
    error = number(worst.error)
    return f"{error} at {_place(worst.at)}: {worst.a!r} and {worst.b!r}" if worst.error else error


def one(e: Errors) -> Iterator[str]:
    """The lines for two tensors."""
    percentiles = [number(e.percentile(p)) or "none" for p in PERCENTILES]
    names = ", ".join(f"P{p:g}" for p in PERCENTILES)
    rows = [
        ("different", _share(e.differ, e.pairs)),
        ("largest error, ULP", _worst(e.ulp)),
        ("mean error, ULP", number(e.mean_ulp) or "none"),
        (f"{names}, ULP", ", ".join(percentiles)),
        ("largest error, absolute", _worst(e.absolute)),
        ("mean error, absolute", number(e.mean_absolute) or "none"),
    ]
    for title, count, first in (("NaN", e.nan, e.first_nan), ("null", e.null, e.first_null)):
        at = f", first at {_place(first)}" if first else ""
        if title == "NaN" or count:
            rows.append((f"{title} in only one file", f"{count:,}{at}"))
    if both := e.pairs - e.compared - e.nan - e.null:
        rows.append(("NaN or null in both files", f"{both:,}"))
    if e.zero_signs:
        rows.append(("0.0 against -0.0", f"{e.zero_signs:,}"))
    yield from columns(rows)
    if e.differ:
        yield ""
        yield from _histogram(e)
    yield from details(e)


def _histogram(e: Errors) -> Iterator[str]:
    found = e.distribution.powers()
    while len(found) > LINES:  # all but those of 0, two by two
        pairs = [found[i : i + 2] for i in range(1, len(found), 2)]
        found = found[:1] + [(p[0][0], p[-1][1], sum(n for _, _, n in p)) for p in pairs]
    rows = [["ULP", "pairs", "share", ""]]
    marks = bars([count for _, _, count in found])
    for (first, last, count), mark in zip(found, marks, strict=True):
        if count:
            label = f"{first:,}" if first == last else f"{first:,} to {last:,}"
            rows.append([label, f"{count:,}", f"{100 * count / e.compared:.3g} %", mark])
    yield from columns(rows, right=(0, 1, 2), titled=True)


def details(e: Errors) -> Iterator[str]:
    """The worst pairs, and the errors by range of the input, where they were asked for."""
    if e.worst:
        known = e.worst[0].x is not None
        rows = [["ULP", "at", *(["input"] if known else []), "expected (B)", "got (A)"]]
        for w in e.worst:
            inputs = [repr(w.x)] if known else []
            rows.append([number(w.error), _place(w.at), *inputs, repr(w.b), repr(w.a)])
        yield ""
        yield from columns(rows, right=range(5), titled=True)
    if e.by_input is not None:
        rows = [["input from", "to", "pairs", "max ULP", "mean ULP"]]
        for r in collapsed(list(e.by_input.ranges())):
            counts = [f"{r.pairs:,}", number(r.max_ulp), number(r.mean_ulp, 3)]
            rows.append([number(r.first), number(r.last), *counts])
        yield ""
        yield from columns(rows, right=range(5), titled=True)


def many(found: Comparison, noun: str) -> Iterator[str]:
    """The lines for tables or archives, a line for each pair of columns."""
    titles = [noun, "different", "max ULP", "mean ULP", "P99 ULP", "max abs", "at", "NaN", "null"]
    rows = [titles]
    for name, e in found.errors.items():
        worst = e.ulp or e.absolute
        at = _place(worst.at) if worst and worst.error else ""
        ulp, absolute = (w.error if w else None for w in (e.ulp, e.absolute))
        p99 = number(e.percentile(99))
        numbers = [number(ulp, 4), number(e.mean_ulp, 3), p99, number(absolute, 3), at]
        numbers += [f"{e.nan:,}", f"{e.null:,}"]
        rows.append([display(name), f"{e.differ:,} of {e.pairs:,}", *numbers])
    yield from columns(rows, right=range(1, len(titles)), titled=True)
    for what, firsts in (("NaN", "first_nan"), ("null", "first_null")):
        places = {name: getattr(e, firsts) for name, e in found.errors.items()}
        known = [f"{display(name)} {_place(at)}" for name, at in places.items() if at]
        if known:
            yield from wrapped(f"{what} in only one file, first at: {listed(known)}")
    for name, e in found.errors.items():
        lines = list(details(e))
        if lines:
            yield ""
            yield from wrapped(f"{noun} {display(name)}", style="bold")
            yield from lines[1:]
    if found.skipped:
        yield from wrapped(f"not compared (not numeric): {display(listed(found.skipped))}")


def verdict(found: Comparison) -> str:
    """Whether it passes, and why not."""
    tolerance = found.tolerance
    given = {k.replace("_", "-"): v for k, v in asdict(tolerance).items() if v is not None}
    p99 = given.pop("p99-ulp", None)
    limits = " or ".join(f"--{k} {v:g}" for k, v in given.items())
    if found.beyond:
        values = counted(found.beyond, "value differs", "values differ")
        if limits:
            return f"{values} by more than {limits}"
        if p99 is not None:
            return f"{values}: NaN or null in only one file"
        return f"{values} (no tolerance given; {_passing(found)})"
    if not found.passed:
        return f"P99 is {found.p99_ulp:,} ULP, more than --p99-ulp {p99:g}"
    passed = [*([limits] if limits else []), *([f"--p99-ulp {p99:g}"] if p99 is not None else [])]
    equal = f"equal within {' and '.join(passed)}" if passed else "equal"
    return f"the numbers are {equal}" if found.skipped else equal


def _passing(found: Comparison) -> str:
    """Which tolerance would pass what differs."""
    if any(e.nan or e.null for e in found.errors.values()):
        return "none passes a NaN or null in only one file"
    largest = max(int(e.ulp.error) for e in found.errors.values() if e.ulp is not None)
    if largest <= LAST_DIGITS:
        return f"--max-ulp {LAST_DIGITS} passes last digits"
    absolute = max(e.absolute.error for e in found.errors.values() if e.absolute is not None)
    them = "it" if found.beyond == 1 else "them"
    if largest <= MANY or not 0 < absolute < math.inf:
        return f"--max-ulp {largest} passes {them}"
    return f"--atol {_no_less(absolute)} passes {them}"


def _no_less(error: float) -> str:
    """The least number of one digit that is no less, as it is typed."""
    exponent = math.floor(math.log10(error))
    numbers = (float(f"{digit}e{exponent}") for digit in range(1, 11))
    return f"{next(number for number in numbers if number >= error):g}"


def plain(found: Comparison, names: Sequence[str], notes: Sequence[str]) -> dict[str, Any]:
    """The comparison as JSON has it."""
    whole = {"a": names[0], "b": names[1], "notes": list(notes), "passed": found.passed}
    if len(names) > 2:
        whole["input"] = names[2]
    if "" in found.errors:
        return {**whole, **_plain(found.errors[""])}
    by_name = {n: _plain(e) for n, e in found.errors.items()}
    return {**whole, "columns": by_name, "skipped": list(found.skipped)}


def _plain(e: Errors) -> dict[str, Any]:
    special = {"ulp", "absolute", "worst", "distribution", "by_input"}
    counts = {f.name: getattr(e, f.name) for f in fields(e) if f.name not in special}
    shown: dict[str, Any] = {
        **counts,
        "ulp": _pair(e.ulp),
        "absolute": _pair(e.absolute),
        "mean_ulp": e.mean_ulp,
        "mean_absolute": e.mean_absolute,
        "percentiles": {f"{p:g}": e.percentile(p) for p in PERCENTILES},
        "histogram": [
            {"from": first, "to": last, "pairs": count}
            for first, last, count in e.distribution.powers()
        ],
        "worst": [_pair(w) for w in e.worst],
    }
    if e.by_input is not None:
        shown["ranges"] = [_range(r) for r in e.by_input.ranges()]
    return shown


def _pair(worst: Worst | None) -> dict[str, Any] | None:
    """A pair; without the input where that is not known."""
    if worst is None:
        return None
    return {k: v for k, v in asdict(worst).items() if k != "x" or v is not None}


def _range(r: Range) -> dict[str, Any]:
    return {**r._asdict(), "first": float(r.first), "last": float(r.last)}


def draw(found: Comparison, tolerance: Tolerance, output: str, overwrite: bool) -> None:
    """The error over the input, in ULP, both on scales that are logarithmic around 0.

    A point for the largest error of each bin, a step for the mean of each power of two; no more of
    the inputs is shown than has errors, and a little on both sides.
    """
    known = {name: e.by_input for name, e in found.errors.items() if e.by_input is not None}

    def on(axes: Any) -> None:
        near, far, ulp = math.inf, 0.0, 1
        for name, by_input in known.items():
            x, _, most, _ = by_input.filled()
            label = f"{name}, " if name else ""
            axes.plot(x, most, ".", markersize=3, label=f"{label}largest")
            ranges = [r for r in by_input.ranges() if math.isfinite(r.last - r.first)]
            ends, means = [r.first for r in ranges], [r.mean_ulp for r in ranges]
            axes.step(ends, means, where="post", linewidth=0.8, label=f"{label}mean")
            wrong = [abs(v) for v in x[most > 0].tolist() if v and math.isfinite(v)]
            near, far = min([near, *wrong]), max([far, *wrong])
            ulp = max([ulp, *most.tolist()])
        if far:
            axes.set_xscale("symlog", linthresh=near)
            axes.set_xlim(-_ROOM * far, _ROOM * far)
            axes.xaxis.get_major_locator().set_params(numticks=9)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(0, 2 * ulp)
        for limit in (tolerance.max_ulp, tolerance.p99_ulp):
            if limit is not None:
                axes.axhline(limit, color="gray", linewidth=0.8, linestyle="--")
        axes.set_xlabel("input")
        axes.set_ylabel("error, ULP")
        axes.grid(alpha=0.3)
        axes.legend()

    write_picture(output, overwrite, on)

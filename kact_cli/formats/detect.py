"""Which format a file is in: by what the user said, by its first bytes, by its suffix."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kact_cli.errors import DataError, UsageError
from kact_cli.files.source import Source
from kact_cli.formats.declared import CSV, FORMATS, NPZ, SAFETENSORS, TENSORS, Format
from kact_cli.formats.foreign import COMPRESSION, FOREIGN_SUFFIX, HEAD_BYTES, refuse_foreign
from kact_cli.messages import display, listed
from kact_cli.options import Options


def detect(source: Source, name: str | None = None) -> Format:
    """The format of an input: as the user said (`name`), by its first bytes, or by its suffix.

    Raises DataError for what is none of kact's formats, and says what it is where that is known.
    """
    if name:
        return by_name(name)
    head, suffix = source.peek(16), by_suffix(source.name)
    found = by_head(head)
    doubtful = (found is CSV and suffix not in (None, CSV)) or (found is NPZ and suffix is not NPZ)
    if found is not None and not doubtful:
        return found
    refuse_foreign(source.name, source.peek(HEAD_BYTES))
    if found is None and suffix is None and (not head or b"\0" in head):
        raise DataError(
            f"{source.name} is {'empty' if not head else 'in no format that kact knows'}"
        )
    return (found if found is NPZ else suffix) or CSV


def output_format(path: str, source: Format, name: str | None = None) -> Format:
    """The format of an output: as the user said, by its suffix, or the input's.

    A suffix that means nothing here (.txt, .tmp, a version) keeps the input's format. Raises
    UsageError for one of another format, of a compression that is not CSV's, or a slip of the pen.
    """
    if name:
        return by_name(name)
    found = by_suffix(path)
    if found is None:
        _refuse_suffix(path, source)
    return found or source


def _refuse_suffix(path: str, source: Format) -> None:
    stem, dot, last = path.rpartition("/")[2].lower().rpartition(".")
    suffix, known = dot + last, [s for f in FORMATS for s in f.suffixes]
    shown = f"{display(path)}: "
    advice = "--to says what to write under this name"
    if re.fullmatch(COMPRESSION, suffix):
        inside = by_suffix(stem) or source
        if inside is not CSV or suffix not in {s[s.rindex(".") :] for s in CSV.suffixes}:
            packed = listed([s for s in CSV.suffixes if s.startswith(".csv.")])
            raise UsageError(f"{shown}kact writes no {suffix}, only {packed}; {advice}")
        _refuse_suffix(stem, source)
    elif re.fullmatch(FOREIGN_SUFFIX, suffix):
        writes = listed([f.suffixes[0] for f in FORMATS])
        raise UsageError(f"{shown}kact does not write {suffix}: it writes {writes}; {advice}")
    elif slip := next((s for s in known if is_slip(suffix, s)), None):
        raise UsageError(f"{shown}unknown suffix {suffix}; did you mean {slip}? {advice}")


def is_slip(suffix: str, known: str) -> bool:
    """Whether `suffix` is `known` cut short, or with one letter more, less, other or exchanged."""
    if len(known) < 4 or suffix == known:
        return False
    if known.startswith(suffix) and len(suffix) >= 4:
        return True
    while suffix[:1] == known[:1]:
        suffix, known = suffix[1:], known[1:]
    a, b = suffix[1:], known[1:]
    exchanged = suffix[:2] == known[1::-1] and a[1:] == b[1:]
    return a in (b, known) or suffix == b or exchanged


def check_typed(options: Options, inputs: Sequence[Format], outputs: Sequence[Format] = ()) -> None:
    """Raise UsageError for an option that was typed and has no effect on files of these formats."""
    for flag, end, formats, lacking in options.typed:
        ends = [*(inputs if "input" in end else ()), *(outputs if "output" in end else ())]
        if not any(f.name in formats for f in ends):
            read, written = (
                " and ".join(dict.fromkeys(f.name for f in x)) for x in (inputs, outputs)
            )
            here = f"from {read} to {written}" if outputs else f"on {read}"
            why = f", which has no {lacking}" if lacking else ""
            raise UsageError(
                f"{flag} has no effect {here}{why}; it is for {end} in {listed(formats)}"
            )


def check_tensors(*formats: Format) -> None:
    """Raise UsageError where one of the formats holds tables: quantised are tensors alone."""
    for f in formats:
        if f.kind == "table":
            raise UsageError(
                f"what is quantised is a tensor, in {listed(TENSORS)}, and {f.name} holds a table"
            )


def by_name(name: str) -> Format:
    """The format called `name`; UsageError names those that there are."""
    for f in FORMATS:
        if f.name == name:
            return f
    raise UsageError(f"unknown format '{name}'; there are {', '.join(f.name for f in FORMATS)}")


def by_head(head: bytes) -> Format | None:
    """The format of a file that starts with `head`, or None."""
    found = next((f for f in FORMATS if any(head.startswith(m) for m in f.magic)), None)
    if found is None and head[8:9] == b"{" and not any(head[4:8]):
        return SAFETENSORS  # a length of less than 4 GiB, then JSON
    return found


def by_suffix(path: str) -> Format | None:
    """The format that a file name asks for, or None."""
    lower = path.lower()
    return next((f for f in FORMATS if lower.endswith(f.suffixes)), None)

"""The look-up table of a quantised chain, and the forms that it is written in.

Entry i is the result for the integer whose bits are i: of int8 those for 0 to 127 come first, then
those for -128 to -1, as an array in C that is indexed by the input as an unsigned integer has them,
and a memory that the input addresses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from kact_cli.chain import Chain
from kact_cli.engine.apply import apply
from kact_cli.engine.quantize import described, resolved
from kact_cli.errors import UsageError
from kact_cli.files.target import Target
from kact_cli.formats.npy import Header, write_header
from kact_cli.messages import listed
from kact_cli.options import Options
from kact_cli.types import Array, Quantization, every_value
from kact_cli.version import version

_ACROSS = 100
"""How long the lines of a C array may be."""
_KEYWORDS = (
    "alignas alignof asm auto bool break case char const constexpr continue default do double else "
    "enum extern false float for goto if inline int long nullptr register restrict return short "
    "signed sizeof static static_assert struct switch thread_local true typedef typeof "
    "typeof_unqual union unsigned void volatile while"
)
"""The keywords of C23 (ISO/IEC 9899:2024, 6.4.1) and asm; the others start with _ and a capital."""
_TAKEN = r"_[A-Z_]\w*|u?int\w*_t"
"""The names that C keeps for itself, and the types of <stdint.h>, which the header includes."""


@dataclass(frozen=True)
class Lut:
    """A table: what it is of, and its entries."""

    chain: Chain
    quantize_in: Quantization
    quantize_out: Quantization
    inputs: Array
    """Every integer of the input's dtype, in the order of the bits."""
    values: Array

    @classmethod
    def of(cls, chain: Chain, quantize_in: Quantization, quantize_out: Quantization) -> Lut:
        """Compute the table; the input's dtype is int8 and the result's the same, unless said.

        Raises UsageError for a chain that works along an axis, and for more scales than one.
        """
        chain.check_elementwise("it has no table")
        for q, flag in ((quantize_in, "--quantize-in"), (quantize_out, "--quantize-out")):
            if q.axis is not None:
                raise UsageError(f"{flag}: a table has one scale, and this has {len(q.scale)}")
        quantize_in = resolved(quantize_in, np.dtype(np.int8), "--quantize-in")
        quantize_out = resolved(quantize_out, quantize_in.dtype, "--quantize-out")
        dtype = quantize_in.dtype
        assert dtype is not None
        inputs = every_value(dtype)
        values = apply(chain, inputs, quantize_in=quantize_in, quantize_out=quantize_out)
        return cls(chain, quantize_in, quantize_out, inputs, values)

    def facts(self) -> list[str]:
        """What the table is of, in lines."""
        rounding = "half away from 0" if self.quantize_out.half_away else "half to even"
        return [
            f"{self.chain}, by kact {version()}",
            f"input {described(self.quantize_in)}",
            f"output {described(self.quantize_out)}",
            f"rounded {rounding}; entry i is for the input whose bits are i",
        ]


def as_npy(lut: Lut, _name: str) -> bytes:
    """A vector of the result's dtype."""
    return write_header(Header(lut.values.dtype, lut.values.shape, False)) + lut.values.tobytes()


def as_c(lut: Lut, name: str) -> bytes:
    """A C header with a constant array called `name`."""
    cells = [str(v) for v in lut.values.tolist()]
    width = max(map(len, cells)) + 2
    each = 1 << ((_ACROSS - 4) // width).bit_length() - 1
    rows = [cells[i : i + each] for i in range(0, len(cells), each)]
    body = "\n".join("    " + " ".join(f"{c + ',':>{width - 1}}" for c in row) for row in rows)
    facts = "\n".join(f" * {line}" for line in lut.facts())
    kind, guard = f"{lut.values.dtype}_t", f"{name.upper()}_H"
    text = (
        f"/*\n{facts}\n */\n#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\n"
        f"static const {kind} {name}[{len(cells)}] = {{\n{body}\n}};\n\n#endif\n"
    )
    return text.encode()


def as_hex(lut: Lut, _name: str) -> bytes:
    """What Verilog's $readmemh reads: a word a line, in two's complement, after comments."""
    itemsize = lut.values.itemsize
    words = lut.values.view(f"u{itemsize}").tolist()
    lines = [*(f"// {line}" for line in lut.facts()), *(f"{w:0{2 * itemsize}x}" for w in words)]
    return ("\n".join(lines) + "\n").encode()


def as_csv(lut: Lut, _name: str) -> bytes:
    """Two columns, input and output, the inputs rising."""
    order = np.argsort(lut.inputs, kind="stable")
    pairs = zip(lut.inputs[order].tolist(), lut.values[order].tolist(), strict=True)
    return ("input,output\n" + "".join(f"{x},{y}\n" for x, y in pairs)).encode()


FORMS: dict[str, tuple[tuple[str, ...], Callable[[Lut, str], bytes]]] = {
    "npy": ((".npy",), as_npy),
    "c": ((".h", ".c"), as_c),
    "hex": ((".hex", ".mem"), as_hex),
    "csv": ((".csv",), as_csv),
}
"""The forms of a table, with the suffixes that ask for each."""


def form_of(path: str) -> str:
    """The form that a file's name asks for. Raises UsageError where it asks for none."""
    suffix = PurePath(path).suffix.lower()
    found = next((name for name, (suffixes, _) in FORMS.items() if suffix in suffixes), None)
    if found is None:
        known = listed([s for suffixes, _ in FORMS.values() for s in suffixes])
        raise UsageError(f"{path}: --to says the form of the table, or a suffix: {known}")
    return found


def name_of(path: str) -> str:
    """What the array in C is called, unless the user says: the file's name with `_lut` at its end.

    No keyword and no function of C's library ends so: tanh.h has tanh_lut, beside <math.h>.
    """
    name = re.sub(r"\W+", "_", PurePath(path).stem, flags=re.ASCII).strip("_")
    if not re.match("[A-Za-z]", name):
        return "lut"
    return name if name.endswith("lut") else f"{name}_lut"


def check_name(name: str) -> None:
    """Raise UsageError for a name of --name that an array in C cannot have."""
    if not re.fullmatch(r"(?a)[A-Za-z_]\w*", name):
        raise UsageError(f"--name: '{name}' is no name in C")
    if name in _KEYWORDS.split() or re.fullmatch(f"(?a){_TAKEN}", name):
        raise UsageError(f"--name: C has '{name}' for itself; {name.strip('_')}_lut is free")


def write(
    lut: Lut, path: str, options: Options, *, form: str | None = None, name: str | None = None
) -> None:
    """Write the table to `path` in a form; `name` is that of the array in C.

    Raises UsageError for a form or a name that cannot be, and for a file that exists.
    """
    if name is not None:
        check_name(name)
    _, encode = FORMS[form or form_of(path)]
    data = encode(lut, name or name_of(path))
    with Target(path, overwrite=options.overwrite, fsync=options.fsync) as target:
        target.write(memoryview(data))

"""`kact lut`: in every form, read back, the table is what `apply` gives."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.tools.run import Kact

CASES = [
    ("sigmoid", "0.05,3", "0.00390625,-128", "half-even", "int8", "int8"),
    ("tanh", "0.03,0,uint8", "0.0078125,0,int8", "half-away", "uint8", "int8"),
    ("elu,relu(max_value=2)", "0.05,-7", "0.001,100,int16", "half-even", "int8", "int16"),
    ("softplus", "0.0002,0,int16", "0.0001,0,uint16", "half-even", "int16", "uint16"),
]


def numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"-?\d+", text)]


@pytest.mark.parametrize(("chain", "given", "result", "rounding", "dtype", "out"), CASES)
def test_read_back_it_is_what_apply_gives(
    kact: Kact,
    tmp_path: Path,
    chain: str,
    given: str,
    result: str,
    rounding: str,
    dtype: str,
    out: str,
) -> None:
    args = ("--quantize-in", given, "--quantize-out", result, "--rounding", rounding)
    x = np.random.default_rng(0).permutation(np.arange(1 << 8 * np.dtype(dtype).itemsize))
    x = x.astype(f"u{np.dtype(dtype).itemsize}").view(dtype)
    np.save(tmp_path / "x.npy", x)
    kact("chain", chain, *args, tmp_path / "x.npy", tmp_path / "y.npy")
    y = np.load(tmp_path / "y.npy")
    assert y.dtype == out
    bits = x.view(f"u{x.itemsize}")
    for name in ("t.npy", "t.h", "t.c", "t.hex", "t.mem", "t.csv"):
        kact("lut", chain, *args, tmp_path / name)
    table = np.load(tmp_path / "t.npy")
    assert table.dtype == y.dtype
    assert np.array_equal(table[bits], y)

    header = (tmp_path / "t.h").read_text()
    assert f"static const {out}_t t_lut[{len(x)}] = {{" in header
    assert numbers(header.partition("{")[2]) == table.tolist()
    assert (tmp_path / "t.c").read_text() == header
    assert max(map(len, header.splitlines())) <= 100

    words = [w for w in (tmp_path / "t.hex").read_text().splitlines() if w[:2] != "//"]
    assert {len(w) for w in words} == {2 * y.itemsize}
    assert np.array_equal(np.array([int(w, 16) for w in words], f"u{y.itemsize}").view(out), table)
    assert (tmp_path / "t.mem").read_bytes() == (tmp_path / "t.hex").read_bytes()

    pairs = np.loadtxt(tmp_path / "t.csv", delimiter=",", skiprows=1, dtype=int)
    assert (np.diff(pairs[:, 0]) == 1).all()
    assert np.array_equal(pairs[:, 1], table[pairs[:, 0].astype(dtype).view(bits.dtype)])


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_compiler_reads_the_header(kact: Kact, tmp_path: Path) -> None:
    args = ("--quantize-in", "0.05,3", "--quantize-out", "0.00390625,-128")
    kact("lut", "sigmoid", *args, "--name", "table", tmp_path / "sigmoid.h")
    kact("lut", "sigmoid", *args, tmp_path / "sigmoid.npy")
    (tmp_path / "main.c").write_text(
        '#include "sigmoid.h"\n#include <stdio.h>\n'
        "int main(void) { for (int i = -128; i < 128; i++) "
        'printf("%d\\n", table[(uint8_t)i]); return 0; }\n'
    )
    subprocess.run(["cc", "-Wall", "-Werror", "-o", "main", "main.c"], cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    table = np.load(tmp_path / "sigmoid.npy")
    expected = table[np.arange(-128, 128).astype(np.int8).view(np.uint8)]
    assert [int(n) for n in said.split()] == expected.tolist()


# File by file: the name that its array has. Each file is compiled beside what C has by that name.
NAMES = {
    "tanh.h": "tanh_lut",
    "int.h": "int_lut",
    "int8_t.h": "int8_t_lut",
    "sigmoid-8 bit.h": "sigmoid_8_bit_lut",
    "elu_lut.h": "elu_lut",
    "__x.h": "x_lut",
    "8.h": "lut",
    "é.h": "lut",
}


@pytest.mark.parametrize("file", NAMES)
def test_the_name_of_the_array_is_free_in_c(kact: Kact, tmp_path: Path, file: str) -> None:
    kact("lut", "tanh", "--quantize-in", "0.03,0", "--quantize-out", "1,0", tmp_path / file)
    assert f"static const int8_t {NAMES[file]}[256] = {{" in (tmp_path / file).read_text()
    if shutil.which("cc"):
        main = (
            f'#include <math.h>\n#include "{file}"\nint main(void) {{ return {NAMES[file]}[0]; }}'
        )
        (tmp_path / "main.c").write_text(main)
        check = ("cc", "-Wall", "-Werror", "-fsyntax-only", "main.c")
        subprocess.run(check, cwd=tmp_path, check=True)


TAKEN = ("int", "asm", "typeof", "nullptr", "_Bool", "__x", "int8_t", "uint_fast16_t", "9a", "")


@pytest.mark.parametrize("name", TAKEN)
def test_names_that_c_keeps_are_refused(refused: Kact, tmp_path: Path, name: str) -> None:
    args = ("tanh", "--quantize-in", "1,0", "--quantize-out", "1,0", "--name", name, "t.h")
    assert b"--name: " in refused("lut", *args, code=2, cwd=tmp_path).stderr
    assert not [*tmp_path.iterdir()]


def test_to_standard_output(kact: Kact) -> None:
    args = ("lut", "relu", "--quantize-in", "0.5,0", "--quantize-out", "1,0", "--to")
    assert b"lut[256]" in kact(*args, "c").stdout
    assert kact(*args, "csv").stdout.splitlines()[-3:] == [b"125,62", b"126,63", b"127,64"]


REFUSED = [
    (("sigmoid", "t.h"), "in man kact, under QUANTISED TENSORS"),
    (("sigmoid", "--quantize-in", "1,0", "t.h"), "needs --quantize-in and --quantize-out"),
    (("softmax", "--quantize-in", "1,0", "--quantize-out", "1,0", "t.h"), "has no table"),
    (("tanh", "--quantize-in", "1,200", "--quantize-out", "1,0", "t.h"), "200 is no int8"),
    (("tanh", "--quantize-in", "1,0", "--quantize-out", "1,0", "t.txt"), "--to says the form"),
    (("tanh", "--quantize-in", "1,0", "--quantize-out", "1,0"), "no OUTPUT"),
    (
        ("tanh", "--quantize-in", "1,0", "--quantize-out", "1,0", "--name", "a-b", "t.h"),
        "'a-b' is no name in C",
    ),
    (
        ("tanh", "--quantize-in", "1,0", "--quantize-out", "1,0", "--name", "a", "t.hex"),
        "has no effect on hex",
    ),
    (("tanh", "--quantize-in", "1,0", "--quantize-out", "1,0", "--progress"), "No such option"),
    (("tanh", "--quantize-in", "s.npy,0", "--quantize-out", "1,0", "t.h"), "and this has 3"),
    (("tanh", "--quantize-in", "1,0", "--quantize-out", "1,0", "s.npy"), "s.npy exists"),
]


@pytest.mark.parametrize(("args", "words"), REFUSED, ids=lambda x: " ".join(x))
def test_what_is_refused(refused: Kact, tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    np.save(tmp_path / "s.npy", np.ones(3))
    assert words in refused("lut", *args, code=2, cwd=tmp_path).stderr.decode()
    assert [p.name for p in tmp_path.iterdir()] == ["s.npy"]

"""What is typed wrong or has no effect: one line that says what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.run import Kact

WRONG = [
    ("frobnicate",),
    ("relu",),
    ("aply", "relu"),
    ("apply", "rely"),
    ("apply", "relu", "--alpha"),
    ("apply", "relu", "--alfa", "1"),
    ("apply", "relu", "--alpha", "x"),
    ("apply", "relu", "--alpha", ""),
    ("apply", "relu", "--alpha", "1,2"),
    ("apply", "relu", "--alpha", "none"),
    ("apply", "relu", "--alpha", "ınf"),
    ("apply", "relu", "--alpha", "0x10"),
    ("apply", "softmax", "--axis", "1.5"),
    ("apply", "softmax", "--axis", ""),
    ("apply", "softmax", "--axis", "0,0", "IN"),
    ("apply", "softmax", "--axis", "9", "IN"),
    ("apply", "softmax", "--axis", "9" * 900, "IN"),
    ("apply", "relu", "IN", "a", "b"),
    ("apply", "relu", "--alpha", "1\x1b[31m"),
    ("apply", "relu\x1b[31m\n"),
    ("x\x1b[31m\ny",),
    ("apply", "relu", "--chunk-size", "0"),
    ("apply", "relu", "--chunk-size", "lots"),
    ("apply", "relu", "--chunk-size", "-1"),
    ("apply", "relu", "--chunk-size", "9" * 400),
    ("apply", "relu", "--chunk-size", "1e3"),
    ("apply", "relu", "--chunk-size", "2TiB"),
    ("apply", "relu", "--jobs", "0"),
    ("apply", "relu", "--jobs", "-1"),
    ("apply", "relu", "--jobs", "1.5"),
    ("apply", "relu", "--dtype", "float8"),
    ("apply", "relu", "--compute-dtype", "float16"),
    ("apply", "relu", "--from", "tiff"),
    ("apply", "relu", "--nonsense"),
    ("--nonsense",),
    ("chain",),
    ("explain",),
    ("list", "rel"),
    ("explain", "softmax(axis=5)", "IN"),
    ("list", "a", "b"),
]


@pytest.mark.parametrize("args", WRONG, ids=lambda a: " ".join(a)[:40].encode("unicode_escape"))
def test_wrong_usage(args: tuple[str, ...], refused: Kact, source: Path) -> None:
    refused(*(str(source) if a == "IN" else a for a in args), code=2)


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (("relu",), "kact apply relu"),
        (("aply",), "'apply'"),
        (("apply", "softmx"), "'softmax'"),
        (("apply", "relu", "--alpa", "1"), "--alpha"),
        (("list", "sigmiod"), "'sigmoid'"),
        (("chain", "softmaxx"), "'softmax'"),
        (("chain", "relu(max_valu=1)"), "'max_value'"),
        (("apply", "relu", "--negative-slop", "1"), "--negative-slope"),
    ],
)
def test_what_was_meant_is_named(args: tuple[str, ...], meant: str, kact: Kact) -> None:
    assert meant in kact(*args, code=2).stderr.decode()


NO_EFFECT = [
    ("apply", "relu", "IN", "--columns", "0,1"),
    ("apply", "relu", "IN", "--exclude", "id"),
    ("chain", "relu", "IN", "--delimiter", ";"),
    ("apply", "relu", "IN", "--no-header"),
    ("apply", "relu", "IN", "--header"),
    ("apply", "relu", "IN", "--float-format", ".3g"),
    ("apply", "relu", "IN", "--to", "parquet", "--float-format", ".3g"),
    ("apply", "relu", "IN", "--preview", "result", "-c", "a"),
    ("explain", "relu", "IN", "-c", "a"),
    ("inspect", "IN", "-c", "a"),
    ("compare", "IN", "IN", "--exclude", "a"),
]


@pytest.mark.parametrize("args", NO_EFFECT, ids=" ".join)
def test_an_option_without_effect_is_refused_where_it_was_typed(
    args: tuple[str, ...], refused: Kact, source: Path
) -> None:
    said = refused(*(str(source) if a == "IN" else a for a in args), code=2).stderr.decode()
    flag = next(a for a in args if a.startswith("-") and a not in ("--to", "--preview"))
    assert {"-c": "--columns"}.get(flag, flag) in said


def test_an_option_without_effect_may_come_from_the_environment(kact: Kact, source: Path) -> None:
    kact("apply", "relu", source, KACT_COLUMNS="a", KACT_DELIMITER=";", KACT_FLOAT_FORMAT=".3g")

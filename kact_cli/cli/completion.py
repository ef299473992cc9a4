"""What the shell completes: steps of a chain, their parameters, the columns of a file.

Click finds out which argument the cursor is in. The scripts are kact's own, because a chain is one
word with `,`, `:` and `=` in it: bash takes words apart at the last two, and a space after each
completed piece would end the chain.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import click
from click.shell_completion import (
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from kact_cli.activations import ACTIVATIONS, find, plugins
from kact_cli.activations.registry import spelled
from kact_cli.errors import PluginError
from kact_cli.files.source import is_named_file

PART = "part"
"""The type of what may go on after it: no space follows."""
Item: TypeAlias = "CompletionItem[Any]"  # which cannot be subscripted before Click 8.5


def _part(value: str, help: str | None = None) -> Item:
    return CompletionItem(value, type=PART, help=help)


def complete_chain(incomplete: str) -> list[Item]:
    """The names for the last step of a chain, or the parameters of that step."""
    at = _last_step(incomplete)
    before, step = incomplete[:at], incomplete[at:]
    match = re.fullmatch(r"(\s*)([\w-]+)([(:].*)?", step, re.S)
    if match is None or match[3] is None:
        return [_part(before + name, help) for name, help in _activations(spelled(step))]
    activation = None
    with contextlib.suppress(PluginError):
        activation = find(match[2])
    if activation is None:
        return []
    cut = max(step.rfind(c) for c in ("(", ":", ","))
    start, word = step[: cut + 1], step[cut + 1 :].strip()
    if "=" in word:
        return []
    given = set(re.findall(r"(\w+)\s*=", start))
    return [
        _part(f"{before}{start}{name}=", p.help)
        for p in activation.parameters
        if not given & {*p.names}
        for name in (p.names if word else (p.name,))
        if name.startswith(word)
    ]


def _activations(word: str) -> list[tuple[str, str]]:
    """Names that begin with a word, and what they are; aliases only where there is a word."""
    list(plugins())  # which joins the table
    return [
        (name, activation.summary)
        for activation in ACTIVATIONS.values()
        for name in (activation.names if word else (activation.name,))
        if name.startswith(word)
    ]


def _last_step(text: str) -> int:
    """Where the last step of an unfinished chain begins: after its last comma outside of ()."""
    depth, start = 0, 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            start = position + 1
    return start


def complete_columns(words: Sequence[str], incomplete: str) -> list[Item]:
    """The columns of the first of `words` that names a file, for the last item of a list."""
    before, comma, word = incomplete.rpartition(",")
    given = before.split(",")
    path = next((w for w in words if is_named_file(w)), None)
    names = [n for n in _names(path) if n.startswith(word) and n not in given]
    return [_part(f"{before}{comma}{name}") for name in names]


def columns_of_line(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Item]:
    """`complete_columns` for the command line that is being completed."""
    # Not ctx.params: an option without its value keeps Click from seeing the arguments
    return complete_columns(ctx.obj or [], incomplete)


def _names(path: str | None) -> list[str]:
    """The columns of a regular file, whatever its format; none where there is no telling."""
    if path is None:
        return []
    from kact_cli.errors import KactError
    from kact_cli.formats.npy import NpyTensor
    from kact_cli.reports.numbers import open_numbers

    try:
        with open_numbers(path) as numbers:
            return [c.name for c in numbers.columns] if not isinstance(numbers, NpyTensor) else []
    except KactError:
        return []


def _words(line: str) -> tuple[list[str], str]:
    """The words of an unfinished line of bash, and the quote that its end stands within, or "".

    The last word, which may be empty, is the one that is completed.
    """
    words, word, quote, at = [], "", "", 0
    started = False
    while at < len(line):
        character, following = line[at], line[at + 1 : at + 2]
        at += 1
        if character == "\\" and quote != "'":
            word += following if not quote or following in _IN_DOUBLE else character + following
            at += 1
        elif character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif not quote and character.isspace():
            words += [word] if started else []
            word = ""
        else:
            word += character
        started = bool(quote) or not character.isspace()
    return [*words, word], quote


_IN_DOUBLE = '$`"\\'
"""What a backslash takes the meaning from between double quotes."""


def _typed(value: str, quote: str) -> str | None:
    """`value` as it is typed within `quote` ("": none), so that bash runs nothing that it says.

    None where it cannot be: a single quote has no escape between single quotes, nor has `!`
    between double ones.
    """
    if quote == "'":
        return None if "'" in value else value
    if quote:
        return None if "!" in value else re.sub(r'([$`"\\])', r"\\\1", value)
    return re.sub(r"([^\w.,:=+@%/-])", r"\\\1", value)


class _Shell(ShellComplete):
    """What the shells have in common: the words of the line are the context's `obj`, and what
    would move the cursor or end a line is not offered."""

    def get_completions(self, args: list[str], incomplete: str) -> list[Item]:
        self.ctx_args["obj"] = args
        found = super().get_completions(args, incomplete)
        return [item for item in found if item.value.isprintable()]


class _Bash(_Shell):
    """Bash. The whole line goes out, since bash would cut its words
    at `:` and `=`; what comes back is the part of the word that bash is going to replace.

    It runs in bash 3.2, which macOS has and which lacks `compopt`: without it, names of files would
    be inserted unquoted, so that there bash completes them by itself (`-o default`)."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = r"""
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            file)
                compopt -o filenames +o nospace 2>/dev/null || return
                while IFS= read -r value; do
                    COMPREPLY+=("$value")
                done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}") ;;
            part) COMPREPLY+=("$value") ;;
            *) COMPREPLY+=("$value ") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
if ((BASH_VERSINFO[0] < 4)); then
    complete -o default -o nospace -F %(complete_func)s %(prog_name)s
else
    complete -o nospace -F %(complete_func)s %(prog_name)s
fi
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, _ = _words(os.environ["COMP_LINE"])
        return words[1:-1], words[-1]

    def complete(self) -> str:
        line, breaks = os.environ["COMP_LINE"], os.environ.get("COMP_WORDBREAKS", "")
        skipped, quote = "", _words(line)[1]
        if not quote:
            word = re.split(r"(?<!\\)\s", line)[-1]
            cut = max((word.rfind(c) for c in set(breaks) - {*"\"' \t\n"}), default=-1)
            skipped = _words(word[: cut + 1])[0][-1]
        args, incomplete = self.get_completion_args()
        lines = []
        for item in self.get_completions(args, incomplete):
            value = _typed(item.value.removeprefix(skipped), quote)
            if value is not None:
                lines.append(f"{item.type},{value}")
        if quote and len(lines) == 1 and lines[0].startswith(PART):
            # Bash closes the quotes after the only answer, and more may be to come
            lines.append(f"{lines[0]}...")
        return "\n".join(lines)

    def format_completion(self, item: Item) -> str:
        return f"{item.type},{item.value}"


class _Zsh(_Shell, ZshComplete):
    """Zsh, with descriptions."""

    source_template: ClassVar[str] = r"""#compdef %(prog_name)s
%(complete_func)s() {
    local -a answer values shown
    local type value help suffix=' '
    answer=("${(@f)$(COMP_WORDS="${(F)words[1,CURRENT]}" COMP_CWORD=$((CURRENT-1)) \
        %(complete_var)s=zsh_complete $words[1] 2>/dev/null)}")
    for type value help in "${answer[@]}"; do
        case $type in
            file) _files; return ;;
            part) suffix='' ;;
            '') return ;;
        esac
        values+=("$value")
        [[ $help == _ ]] && shown+=("$value") || shown+=("$value  -- $help")
    done
    (( $#values )) && compadd -U -S "$suffix" -l -d shown -a values
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

    def format_completion(self, item: Item) -> str:
        help = " ".join((item.help or "_").split())
        return f"{item.type}\n{item.value}\n{help}"


class _Fish(_Shell, FishComplete):
    """Fish, with descriptions; after `=` it leaves no space by itself."""

    source_template: ClassVar[str] = r"""
function %(complete_func)s
    set -l answer (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \
        COMP_CWORD=(commandline -ct) %(prog_name)s 2>/dev/null)
    for line in $answer
        set -l found (string split -m 1 , -- $line)
        if test "$found[1]" = file
            __fish_complete_path "$found[2]"
        else
            printf '%%s\n' $found[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments '(%(complete_func)s)'
"""


def register() -> None:
    """Have Click use these scripts."""
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)

"""What the shell completes: steps of a chain, their parameters, the columns of a file.

Click finds out which argument the cursor is in. The scripts are kact's own, because a chain is one
word with `,`, `:` and `=` in it: bash takes words apart at the last two, and a space after each
completed piece would end the chain.
"""

from __future__ import annotations

import os
import re
from typing import Any, ClassVar

from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from kact_cli.activations import ACTIVATIONS

PART = "part"
"""The type of what may go on after it: no space follows."""
Item = CompletionItem[Any]


def _part(value: str, help: str | None = None) -> Item:
    return CompletionItem(value, type=PART, help=help)


def complete_chain(incomplete: str) -> list[Item]:
    """The names for the last step of a chain, or the parameters of that step."""
    at = _last_step(incomplete)
    before, step = incomplete[:at], incomplete[at:]
    match = re.fullmatch(r"(\s*)([\w-]+)([(:].*)?", step, re.S)
    if match is None or match[3] is None:
        names = [n for n in ACTIVATIONS if n.startswith(step.strip().lower().replace("-", "_"))]
        return [_part(before + name, ACTIVATIONS[name].summary) for name in names]
    activation = ACTIVATIONS.get(match[2].lower().replace("-", "_"))
    if activation is None:
        return []
    cut = max(step.rfind(c) for c in ("(", ":", ","))
    start, word = step[: cut + 1], step[cut + 1 :]
    if "=" in word:
        return []
    given = re.findall(r"(\w+)\s*=", start)
    return [
        _part(f"{before}{start}{p.name}=", p.help)
        for p in activation.parameters
        if p.name.startswith(word.strip()) and p.name not in given
    ]


def _last_step(text: str) -> int:
    """Where the last step of an unfinished chain begins: after its last comma outside of ()."""
    depth, start = 0, 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            start = position + 1
    return start


def complete_columns(path: str | None, incomplete: str) -> list[Item]:
    """The names of the columns of the file `path`, for the last item of a comma-separated list."""
    before, comma, word = incomplete.rpartition(",")
    given = before.split(",")
    names = [n for n in _names(path) if n.startswith(word) and n not in given]
    return [_part(f"{before}{comma}{name}") for name in names]


def _names(path: str | None) -> list[str]:
    """The columns of a regular file, whatever its format; none where there is no telling."""
    if path is None or not os.path.isfile(path):
        return []
    from kact_cli.errors import KactError
    from kact_cli.numbers import Table, open_numbers

    try:
        with open_numbers(path) as numbers:
            return [c.name for c in numbers.columns] if isinstance(numbers, Table) else []
    except KactError:
        return []


class _Bash(ShellComplete):
    """Bash 3.2 (macOS) and later. The line comes whole; what goes back is what bash replaces."""

    name: ClassVar[str] = "bash"
    source_template: ClassVar[str] = r"""
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("$value ") ;;
            part) COMPREPLY+=("$value") ;;
            file) local IFS=$'\n'; compopt -o filenames +o nospace 2>/dev/null
                  COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")) ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
        %(complete_var)s=bash_complete "$1")
}
complete -o nospace -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        words = _words(os.environ["COMP_LINE"])
        return words[1:-1], words[-1]

    def format_completion(self, item: Item) -> str:
        return f"{item.type},{item.value}"

    def complete(self) -> str:
        line = os.environ["COMP_LINE"]
        skipped = _before_word(line, os.environ.get("COMP_WORDBREAKS", ""))
        args, incomplete = self.get_completion_args()
        items = self.get_completions(args, incomplete)
        for item in items:
            # An option's value after `=` arrives without the option, a chain with all its steps
            item.value = item.value.removeprefix(skipped)
        return "\n".join(map(self.format_completion, items))


def _words(line: str) -> list[str]:
    """The words of an unfinished command line; the last, which may be empty, is the one wanted."""
    words = split_arg_string(line)
    return [*words, ""] if not words or (line[-1:].isspace() and not _quoted(line)) else words


def _quoted(line: str) -> bool:
    """Whether the end of the line stands within quotes."""
    return bool(re.sub(r"\\.|\"(\\.|[^\"\\])*\"|'[^']*'", "", line).count('"')) or bool(
        re.sub(r"\\.|\"(\\.|[^\"\\])*\"|'[^']*'", "", line).count("'")
    )


def _before_word(line: str, breaks: str) -> str:
    """What of the last word bash takes to be words of their own: up to the last of `breaks`."""
    if _quoted(line):
        return ""
    word = re.split(r"\s", line)[-1]
    cut = max((word.rfind(c) for c in breaks if c not in "\"' \t\n"), default=-1)
    return word[: cut + 1]


class _Zsh(ZshComplete):
    """Zsh, with descriptions."""

    source_template: ClassVar[str] = r"""#compdef %(prog_name)s
%(complete_func)s() {
    local -a answer values shown
    local type value help suffix=' '
    answer=("${(@f)$(COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
        %(complete_var)s=zsh_complete $words[1])}")
    for type value help in "${answer[@]}"; do
        case $type in
            file) _files ;;
            part|plain)
                [[ $type == part ]] && suffix=''
                values+=("$value")
                [[ $help == _ ]] && shown+=("$value") || shown+=("$value  -- $help") ;;
        esac
    done
    (( $#values )) && compadd -U -Q -S "$suffix" -l -V kact -d shown -a values
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

    def format_completion(self, item: Item) -> str:
        return f"{item.type}\n{item.value}\n{item.help or '_'}"


def register() -> None:
    """Have Click use these scripts for bash and zsh; its own serves for fish."""
    add_completion_class(_Bash)
    add_completion_class(_Zsh)

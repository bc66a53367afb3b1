"""The verb ``completion``: print a shell script that completes verbs, options, backends and problems."""

from __future__ import annotations

import argparse
import re
from typing import Any

from autodiff_compare import backends, problems
from autodiff_compare.cli import exits
from autodiff_compare.cli.console import usage
from autodiff_compare.vocabulary import DTYPES, ORDERS, Operator, join_spec

#: Option or argument -> the function that returns its completions.
_WORDS = {
    "backend": lambda: [spec for b in backends.available().values() for spec in _specs(b)],
    "problems": lambda: list(problems.available()),
    "problem": lambda: list(problems.available()),
    "operator": lambda: [str(o) for o in Operator],
    "dtype": lambda: list(DTYPES),
}
#: shtab's script for zsh registers its function where it is evaluated, and else calls it. Only a script that zsh finds
#: in ``fpath`` may call it: one that is sourced is no completion function.
_EVALUATED, _READ = "[[ $zsh_eval_context[-1] == eval ]]", "[[ $zsh_eval_context[-1] == (eval|file) ]]"
#: Bash splits words at colons, as in numpy:compiled. They are joined before the words are completed, and what stands
#: before the last colon is taken off the answers, since bash inserts them after it.
_COLONS = """
_autodiff_compare() {
  local line=${COMP_LINE:0:COMP_POINT} joined=()
  if [[ $line != *:* || $COMP_WORDBREAKS != *:* ]]; then
    _shtab_autodiff_compare "$@"
    return
  fi
  read -ra joined <<< "$line"
  [[ $line != *[[:space:]] ]] || joined+=("")
  local COMP_WORDS=("${joined[@]}") COMP_CWORD=$((${#joined[@]} - 1))
  _shtab_autodiff_compare "$@"
  local last=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=("${COMPREPLY[@]#"${last%"${last##*:}"}"}")
}

complete -o bashdefault -F _autodiff_compare autodiff-compare
"""


def completion(options: argparse.Namespace) -> int:
    """Print the script for the shell; return the exit code."""
    try:
        import shtab
    except ImportError:
        return usage("not installed: shtab, needed for completion: pip install shtab")
    from autodiff_compare.cli.arguments import parser

    whole = parser()
    for verb, words in _verbs(whole):
        verb.description = words
        for action in verb._actions:
            action.help, action.metavar = _short(action.help or ""), None
            if action.dest in _WORDS and action.choices is None:
                # zsh takes a bare colon for the end of the list.
                colon = "\\:" if options.shell == "zsh" else ":"
                action.choices = [word.replace(":", colon) for word in _WORDS[action.dest]()]
    script = shtab.complete(whole, shell=options.shell).replace(_EVALUATED, _READ)
    print(script + (_COLONS if options.shell == "bash" else ""))
    return exits.OK


def _verbs(parser: argparse.ArgumentParser) -> list[tuple[argparse.ArgumentParser, str]]:
    """Return the parser of each verb, and what the verb does in a few words."""
    (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return [(verbs.choices[each.dest], _short(each.help or "")) for each in verbs._choices_actions]


def _short(text: str) -> str:
    """Return the first words of a help text, which a shell shows beside each completion."""
    return re.split(r"[:;(,]", text, maxsplit=1)[0].strip()


def _specs(backend: Any) -> list[str]:
    ways = [*backend.variants, *(order for order in ORDERS if order in backend.orders)]
    return [join_spec(backend.name, way) for way in ways]

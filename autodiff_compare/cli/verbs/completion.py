"""The verb ``completion``: print a shell script that completes verbs, options, backends and problems."""

from __future__ import annotations

import argparse
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


def completion(options: argparse.Namespace) -> int:
    """Print the script for the shell; return the exit code."""
    try:
        import shtab
    except ImportError:
        return usage("not installed: shtab, needed for completion: pip install shtab")
    from autodiff_compare.cli.arguments import parser

    whole = parser()
    for verb in _verbs(whole):
        for action in verb._actions:
            if action.dest in _WORDS and action.choices is None:
                action.choices = _WORDS[action.dest]()
    print(shtab.complete(whole, shell=options.shell))
    return exits.OK


def _verbs(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    return [verb for action in parser._actions if isinstance(action.choices, dict) for verb in action.choices.values()]


def _specs(backend: Any) -> list[str]:
    ways = [*backend.variants, *(order for order in ORDERS if order in backend.orders)]
    return [join_spec(backend.name, way) for way in ways]

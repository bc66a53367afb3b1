"""The command line: its verbs, their options, and the function that runs each verb.

Only the standard library, the vocabulary and default values are imported here, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from autodiff_compare import __version__
from autodiff_compare.cli import run_arguments, trial_arguments
from autodiff_compare.cli.exits import USAGE
from autodiff_compare.cli.messages import complain, did_you_mean, expected
from autodiff_compare.cli.options import (
    add_data,
    add_problems,
)

#: A value that argparse takes for an option: ``-2,0.5``, ``-1e-5``.
_NEGATIVE = re.compile(r"-[\d.].*")
_MISSING = "the following arguments are required"
_CHOICES = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")


class _Help(argparse.HelpFormatter):
    """Help whose lines end at spaces only: an option broken at its hyphens could not be copied."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        words = " ".join(text.split())
        return textwrap.fill(words, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


class _Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one line, without the usage text, and names what is written similarly."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"formatter_class": _Help, **given})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments; an option's value may begin with the sign of a number."""
        found, unknown = super().parse_known_args(_joined(sys.argv[1:] if args is None else args), namespace)
        options = [word for word in unknown if word.startswith("-")]
        if options:
            advice = self._similar(options[0]) or self._example()
            self.error(f"unrecognized arguments: {' '.join(unknown)}{advice}")
        return found, unknown

    def _print_message(self, message: str, file: Any = None) -> None:
        # That of argparse takes no notice of an output that is full.
        print(message, end="", file=file or sys.stderr, flush=True)

    def error(self, message: str) -> NoReturn:
        invalid = _CHOICES.search(message)
        if invalid:
            known = [name.strip(" '") for name in invalid[2].split(",")]
            message = f"{message[: invalid.start()]}got {invalid[1]!r}{expected(invalid[1], known)}"
        elif _MISSING in message and self.epilog:
            message = f"{message.replace(_MISSING, 'missing')}{self._example()}"
        complain(f"{message} (see {self.prog} --help)", self.prog)
        self.exit(USAGE)

    def _example(self) -> str:
        return f"; for example: {self.epilog.partition(';')[0].removeprefix('example: ')}" if self.epilog else ""

    def _similar(self, option: str) -> str:
        return did_you_mean(option.partition("=")[0], self._option_string_actions)


def _joined(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with ``--option=-1,2`` for ``--option -1,2``."""
    found: list[str] = []
    for word in words:
        if found and _NEGATIVE.fullmatch(word) and found[-1].startswith("--") and "=" not in found[-1]:
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def parser() -> _Parser:
    """Return the parser of the command line.

    The namespace that it returns has ``verb``, ``module:function`` of the function that runs the verb.
    """
    whole = _Parser(
        prog="autodiff-compare",
        description="Differentiate one function with several automatic differentiation systems (backends), verify "
        "every derivative, and time the right ones. A cell is one problem at one size and dtype, with one operator "
        "(gradient, jvp, hessian, ...) on one backend.",
        epilog="example: autodiff-compare run cubic_fit; every verb has its own --help with an example",
    )
    whole.add_argument(
        "--version", action="version", version=f"autodiff-compare {__version__}", help="print the version and exit"
    )
    verbs = whole.add_subparsers(required=True, metavar="VERB", parser_class=_Parser)
    for add in (
        run_arguments.add_run,
        run_arguments.add_check,
        run_arguments.add_descend,
        trial_arguments.add_selftest,
        trial_arguments.add_overhead,
        trial_arguments.add_conformance,
        run_arguments.add_recommend,
        run_arguments.add_diff,
        trial_arguments.add_explain,
        trial_arguments.add_conventions,
        trial_arguments.add_fuzz,
        run_arguments.add_show,
        run_arguments.add_runs,
        run_arguments.add_history,
        run_arguments.add_report,
        trial_arguments.add_doctor,
        _add_new,
        _add_completion,
        _add_list,
    ):
        add(verbs)
    for verb in verbs.choices.values():
        verb.add_argument("--no-color", action="store_true", help="print without colours, as with NO_COLOR set")
        verb.add_argument(
            "--no-config",
            action="store_true",
            help="leave out the options in pyproject.toml, [tool.autodiff-compare]",
        )
    return whole


def _add_new(verbs: Any) -> None:
    new = verbs.add_parser(
        "new",
        help="write a commented file to start from: a function, a problem or a backend of your own",
        description="Write a small file that works into the current folder, with comments that say what to replace. A "
        "function has a point; a problem also has sizes, closed forms and descents. An existing file is kept.",
        epilog="example: autodiff-compare new function my_model; then: autodiff-compare run ./my_model.py",
    )
    kinds = ("function", "problem", "backend")
    new.add_argument("kind", metavar="KIND", choices=kinds, help="kind of the file: function, problem or backend")
    new.add_argument("name", metavar="NAME", help="name of the function, problem or backend")
    new.add_argument(
        "--system",
        choices=("arrays", "graphs", "scalars"),
        help="for a backend, the kind of its system: variables that wrap arrays and record, graphs of symbols that are "
        "compiled, or scalars that carry derivatives (default: a computation on NumPy arrays)",
    )
    new.set_defaults(verb="autodiff_compare.cli.verbs.new:new")


def _add_completion(verbs: Any) -> None:
    completion = verbs.add_parser(
        "completion",
        help="print a script that completes verbs, options and names in a shell",
        description="Print a script that completes verbs, options, backends and problems in a shell. Write the line "
        "for your shell into ~/.bashrc, into ~/.zshrc after compinit, or into ~/.config/fish/config.fish.",
        epilog="example: source <(autodiff-compare completion bash); or: source <(autodiff-compare completion zsh); "
        "or: autodiff-compare completion fish | source",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish", "tcsh"), help="shell that reads the script")
    completion.set_defaults(verb="autodiff_compare.cli.verbs.completion:completion")


def _add_list(verbs: Any) -> None:
    listing = verbs.add_parser(
        "list",
        help="list problems and backends, describe one problem, or search; imports no framework",
        description="List the problems by suite and the backends with their variants. With the name of a PROBLEM, "
        "describe it: source, sizes, shapes, operators, closed forms, descents. With other words, list the problems "
        "that have all of them in their name, title, source or suites. No framework is imported.",
        epilog="example: autodiff-compare list gmm; or: autodiff-compare list eigenvalue",
    )
    add_problems(listing, default="all problems, and the backends", more=", or words to search for")
    listing.add_argument(
        "--operators", action="store_true", help="list the operators, and how each backend computes them, instead"
    )
    add_data(listing)
    listing.set_defaults(verb="autodiff_compare.cli.verbs.list:listing")

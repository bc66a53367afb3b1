"""The command line: its verbs, their options, and the function that does each.

Nothing but the standard library and words of ours is imported for it, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import pathlib
from typing import Any, NoReturn

from autodiff_compare import __version__
from autodiff_compare.cli.exits import USAGE
from autodiff_compare.plan.settings import LARGER_S, SMALL_S
from autodiff_compare.vocabulary import SUITES, VARIANTS


class _Parser(argparse.ArgumentParser):
    """One clear line instead of the usage text and a line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> _Parser:
    """The parser of the command line; the namespace it makes has ``verb``, the (module, function) that does it."""
    whole = _Parser(
        prog="autodiff-compare",
        epilog="example: autodiff-compare run cubic_fit; every verb has its own --help with an example",
        description="One mathematical problem, many automatic differentiation systems: what they return, "
        "how accurate it is, what it costs.",
    )
    whole.add_argument("--version", action="version", version=f"autodiff-compare {__version__}")
    verbs = whole.add_subparsers(required=True, metavar="VERB", parser_class=_Parser)
    _add_run(verbs)
    _add_check(verbs)
    _add_descend(verbs)
    _add_selftest(verbs)
    _add_overhead(verbs)
    _add_conformance(verbs)
    _add_recommend(verbs)
    _add_diff(verbs)
    _add_conventions(verbs)
    _add_report(verbs)
    _add_show(verbs)
    _add_doctor(verbs)
    _add_completion(verbs)
    listing = verbs.add_parser(
        "list",
        help="problems and backends, or what is known of one problem, without importing any framework",
        epilog="example: autodiff-compare list gmm",
    )
    _add_problems(listing, default="all, by suite, and the backends")
    _add_data(listing)
    listing.set_defaults(verb="autodiff_compare.cli.verbs.listing:listing")
    for verb in verbs.choices.values():
        verb.add_argument("--no-color", action="store_true", help="no colours, as with NO_COLOR set")
    verbs.choices["tax"] = verbs.choices["overhead"]  # its name before version 0.2; not shown by --help
    return whole


def _add_report(verbs: Any) -> None:
    report = verbs.add_parser(
        "report",
        help="a page with the figures and tables of a run, or of several side by side",
        description="Write report.html (one file that needs no network), figures/ and summary.md into the run's "
        "folder; of several runs, into a folder of their own under --out. Made from the CSV files alone.",
        epilog="example: autodiff-compare report 20261120T231558-b6ea --open",
    )
    report.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run, or its id under --out")
    report.add_argument("--open", action="store_true", help="in the browser")
    _add_out(report)
    report.set_defaults(verb="autodiff_compare.cli.verbs.report:report")


def _add_show(verbs: Any) -> None:
    show = verbs.add_parser(
        "show",
        help="the summary of a run once more, from its tables",
        epilog="example: autodiff-compare show results/sample",
    )
    show.add_argument("run", metavar="RUN", help="its folder, or its id under --out")
    _add_out(show)
    _add_output(show)
    show.set_defaults(verb="autodiff_compare.cli.verbs.show:show")


def _add_doctor(verbs: Any) -> None:
    doctor = verbs.add_parser(
        "doctor",
        help="what is installed, how noisy this machine is now, what to change before quoting a number",
        epilog="example: autodiff-compare doctor -b numpy -b jax",
    )
    doctor.add_argument("-b", "--backend", action="append", default=[], metavar="NAME[:VARIANT]", help="default: all")
    doctor.add_argument("--threads", type=_several, default=1, metavar="T", help="of each worker (default 1)")
    _add_output(doctor)
    doctor.set_defaults(verb="autodiff_compare.cli.verbs.doctor:doctor")


def _add_completion(verbs: Any) -> None:
    completion = verbs.add_parser(
        "completion",
        help="what a shell needs to complete verbs, options and names",
        epilog="example: source <(autodiff-compare completion bash)",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    completion.set_defaults(verb="autodiff_compare.cli.verbs.completion:completion")


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("results"), help="default: results")


def _add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="results as JSON on standard output")
    output.add_argument("--csv", action="store_true", help="results as CSV on standard output")


def _add_run(verbs: Any) -> None:
    run = verbs.add_parser(
        "run",
        help="compute, check and time cells; write tables; print a summary",
        epilog="example: autodiff-compare run cubic_fit ./mine.py -b numpy -b jax:eager -o gradient",
    )
    _add_cells(run)
    pace = run.add_mutually_exclusive_group()
    pace.add_argument("--rounds", type=_count, default=15, metavar="N", help="timing rounds (default 15; 0: no timing)")
    pace.add_argument(
        "--quick", dest="rounds", action="store_const", const=8, help="8 rounds, the fewest for a verdict"
    )
    pace.add_argument("--rigorous", dest="rounds", action="store_const", const=31, help="31 rounds")
    run.add_argument(
        "--launches", type=_several, default=1, metavar="L", help="start the workers L times and pool (default 1)"
    )
    run.add_argument("--budget", type=_positive, metavar="SECONDS", help="for all timing; says what it cut")
    run.set_defaults(verb="autodiff_compare.cli.verbs.run:run")


def _add_cells(parser: argparse.ArgumentParser) -> None:
    _add_problems(parser)
    _add_common(parser)
    _add_output(parser)
    parser.add_argument("--seed", type=int, default=0, help="of inputs and directions (default 0)")
    parser.add_argument("-o", "--operator", action="append", default=[], metavar="OPERATOR", help="default: all it has")
    parser.add_argument("--size", action="append", default=[], help="small (default), medium, large, or of --data")
    _add_data(parser)
    parser.add_argument(
        "--variants",
        choices=tuple(VARIANTS),
        default="",
        help="; ".join(f"{name}: also {words}" for name, words in VARIANTS.items()),
    )
    parser.add_argument("--resume", metavar="RUN", help="go on with this run: its folder, or its id under --out")
    parser.add_argument(
        "--timeout",
        type=_positive,
        metavar="SECONDS",
        help=f"for one cell (default {SMALL_S:.0f}, of other sizes than small {LARGER_S:.0f})",
    )
    parser.add_argument("--threads", type=_several, default=1, metavar="T", help="of each worker (default 1)")
    parser.add_argument(
        "--device", choices=("cpu", "gpu"), default="cpu", help="where to compute (default cpu; gpu is untested)"
    )
    parser.add_argument(
        "--isolate",
        choices=("backend", "cell", "none"),
        default="backend",
        help="what has a process of its own (default: each backend)",
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=pathlib.Path, metavar="FOLDER", help="your copy of ADBench's instance files, each a size"
    )


def _add_problems(parser: argparse.ArgumentParser, default: str = "the suite classic") -> None:
    parser.add_argument(
        "problems", nargs="*", metavar="PROBLEM", help=f"name or path of a .py file (default: {default})"
    )
    parser.add_argument("--suite", action="append", default=[], help=", ".join(SUITES))


def _add_check(verbs: Any) -> None:
    check = verbs.add_parser(
        "check",
        help="as run, without timing: quick enough for every commit",
        epilog="example: autodiff-compare check ./mine.py -b torch --dtype float32",
    )
    _add_cells(check)
    check.set_defaults(verb="autodiff_compare.cli.verbs.run:run", rounds=0, launches=1, budget=None)


def _add_selftest(verbs: Any) -> None:
    selftest = verbs.add_parser(
        "selftest",
        help="put the judge on trial: wrong results it must reject, right ones it must not",
        epilog="example: autodiff-compare selftest --dtype float32",
    )
    _add_problems(selftest)
    selftest.add_argument("--dtype", action="append", default=[], choices=("float64", "float32"))
    selftest.add_argument("--seed", type=int, default=0, help="of inputs and of what is altered (default 0)")
    selftest.add_argument(
        "--timing",
        dest="verb",
        action="store_const",
        const="autodiff_compare.cli.verbs.selftest:timing",
        help="the clock instead: identical work in two workers, and a quarter more",
    )
    selftest.add_argument("--trials", type=_several, default=10, metavar="N", help="of the clock (default 10)")
    selftest.set_defaults(verb="autodiff_compare.cli.verbs.selftest:selftest")


def _add_recommend(verbs: Any) -> None:
    recommend = verbs.add_parser(
        "recommend",
        help="which backend and variant for one function, given how many evaluations are planned",
        description="Run every variant of every backend on one function and say which to take: what is paid once "
        "against what each call costs, break-even counts, accuracy, memory, and how sure that is.",
        epilog="example: autodiff-compare recommend ./mine.py --calls 100000",
    )
    recommend.add_argument("problem", nargs="?", metavar="PROBLEM", help="name or path of a .py file")
    recommend.add_argument(
        "--calls", type=_calls, default=10_000, metavar="N", help="evaluations planned (default 10000)"
    )
    recommend.add_argument("-o", "--operator", metavar="OPERATOR", help="default: gradient, or jacobian")
    recommend.add_argument(
        "-b", "--backend", action="append", default=[], metavar="NAME[:VARIANT][@PYTHON]", help="default: all variants"
    )
    recommend.add_argument("--from", dest="run", metavar="RUN", help="the tables of this run, measuring nothing")
    recommend.add_argument("--size", help="small (default), medium, large")
    recommend.add_argument("--dtype", default="float64", help="float64 (default), float32")
    recommend.add_argument("--rounds", type=_several, default=8, metavar="N", help="timing rounds (default 8)")
    recommend.add_argument("--seed", type=int, default=0, help="of inputs (default 0)")
    recommend.add_argument("--threads", type=_several, default=1, metavar="T", help="of each worker (default 1)")
    recommend.add_argument("--timeout", type=_positive, metavar="SECONDS", help="for one (default as in run)")
    _add_out(recommend)
    recommend.set_defaults(verb="autodiff_compare.cli.verbs.recommend:recommend")


def _add_conformance(verbs: Any) -> None:
    conformance = verbs.add_parser(
        "conformance",
        help="whether a backend keeps the contract, clause by clause, and what to do where not",
        epilog="example: autodiff-compare conformance ./my_backend.py",
    )
    conformance.add_argument("backend", metavar="NAME[:VARIANT][@PYTHON]", help="name or path of a .py file")
    conformance.set_defaults(verb="autodiff_compare.cli.verbs.conformance:conformance")


def _add_overhead(verbs: Any) -> None:
    overhead = verbs.add_parser(
        "overhead",
        help="what our interface costs: a gradient through it and the same one written by hand",
        epilog="example: autodiff-compare overhead -b torch --rounds 31",
    )
    overhead.add_argument("-b", "--backend", action="append", default=[], metavar="NAME", help="default: all four")
    overhead.add_argument(
        "-t", "--task", action="append", default=[], metavar="TASK", help="such as gmm (default: all)"
    )
    overhead.add_argument("--rounds", type=_several, default=15, metavar="N", help="paired rounds (default 15)")
    overhead.add_argument("--seed", type=int, default=0, help="of inputs and of the order (default 0)")
    overhead.set_defaults(verb="autodiff_compare.cli.verbs.overhead:overhead")


def _add_descend(verbs: Any) -> None:
    descend = verbs.add_parser(
        "descend",
        help="minimise a problem on every backend; print its study",
        description="Minimise a problem on every backend and print its study: the overview, the way down, and what "
        "people want to see of this problem. The arms and the raw eigenvalue have a study without a descent.",
        epilog="example: autodiff-compare descend cubic_fit -b numpy -b torch",
    )
    descend.add_argument("problem", nargs="?", metavar="PROBLEM", help="name or path of a .py file")
    _add_common(descend)
    descend.add_argument("--resume", metavar="RUN", help="go on with this run: its folder, or its id under --out")
    descend.add_argument("--descent", metavar="NAME", help="which of the problem's descents (default: all)")
    descend.add_argument(
        "--seed", type=int, action="append", default=[], help="of a start; may be repeated (default: the descent's own)"
    )
    descend.add_argument("--iterations", type=_count, metavar="N", help="stop after N updates")
    descend.add_argument(
        "--timeout", type=_positive, default=600.0, metavar="SECONDS", help="for one start (default 600)"
    )
    descend.add_argument("--threads", type=_several, default=1, metavar="T", help="of each worker (default 1)")
    descend.set_defaults(verb="autodiff_compare.cli.verbs.descend:descend")


def _add_diff(verbs: Any) -> None:
    diff = verbs.add_parser(
        "diff",
        help="two runs: what got slower, faster, wrong or right; exit code 1 on a regression",
        description="What got slower, faster, wrong or right from run A to run B. A regression is a cell that got "
        "slower, is no longer ok, or was ok and is missing although B's command asks for it. Runs of other machines, "
        "versions, threads, seeds or dtypes are refused.",
        epilog="example: autodiff-compare diff 20261120T231558-b6ea results/20261120T232001-04c1",
    )
    diff.add_argument("run_a", metavar="RUN_A", help="folder of the earlier run, or its id under --out")
    diff.add_argument("run_b", metavar="RUN_B", help="and of the later one")
    diff.add_argument("--force", action="store_true", help="compare them even where it means little; the reasons stand")
    diff.add_argument("--allow-missing", action="store_true", help="a cell of A that B lacks is no regression")
    diff.add_argument(
        "--threshold", type=_percent, default=10.0, metavar="PERCENT",
        help="call nothing below this slower or faster (default 10, at least 2)",
    )  # fmt: skip
    _add_out(diff)
    _add_output(diff)
    diff.set_defaults(verb="autodiff_compare.cli.verbs.diff:diff")


def _add_conventions(verbs: Any) -> None:
    conventions = verbs.add_parser(
        "conventions",
        help="the atlas: where systems disagree at kinks, ties and singular points, by convention or by defect",
        description="Ask every backend for derivatives at points where systems disagree, and class each answer by the "
        "one-sided derivatives of its own function. By default the four backends and their variants but jax:eager and "
        "torch:compile, which takes seconds a case: ask for those with -b.",
        epilog="example: autodiff-compare conventions kinks ties -b torch -b jax; or: conventions --explain relu_zero",
    )
    conventions.add_argument("names", nargs="*", metavar="FAMILY", help="families or cases (default: all)")
    _add_common(conventions)
    conventions.add_argument("--explain", metavar="CASE", help="one case in full: derivation, answers, the safe way")
    _add_output(conventions)
    conventions.set_defaults(verb="autodiff_compare.cli.verbs.conventions:conventions")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-b",
        "--backend",
        action="append",
        default=[],
        metavar="NAME[:VARIANT][@PYTHON]",
        help="name or path of a .py file, under the Python of another environment if one is given (default: all four)",
    )
    parser.add_argument("--dtype", action="append", default=[], help="float64 (default), float32")
    _add_out(parser)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 0")
    return int(text)


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 2 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number of percent from 2 to 1000")
    return value


def _several(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1")
    return int(text)


def _calls(text: str) -> int:
    """``100000``, ``100_000`` or ``1e5``."""
    try:
        value = int(text) if text.replace("_", "").isdigit() else float(text)
        whole = int(value)
    except (ValueError, OverflowError):
        value, whole = 0, 0
    if whole < 1 or whole != value:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1, such as 100000 or 1e5")
    return whole


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a positive number of seconds")
    return value

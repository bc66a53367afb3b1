"""The command line: its verbs, their options, and the function that runs each verb.

Only the standard library, the vocabulary and default values are imported here, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from autodiff_compare import __version__
from autodiff_compare.cli import values
from autodiff_compare.cli.exits import USAGE
from autodiff_compare.cli.messages import complain
from autodiff_compare.cli.options import (
    BACKEND,
    RUN,
    add_backends,
    add_cells,
    add_data,
    add_dtypes,
    add_environment,
    add_out,
    add_output,
    add_phases,
    add_problem,
    add_problems,
    add_resume,
    add_threads,
    add_timeout,
)
from autodiff_compare.plan.query import DEFAULT_BACKENDS


class _Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        complain(f"{message} (see {self.prog} --help)", self.prog)
        self.exit(USAGE)


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
        _add_run,
        _add_check,
        _add_descend,
        _add_selftest,
        _add_overhead,
        _add_conformance,
        _add_recommend,
        _add_diff,
        _add_explain,
        _add_conventions,
        _add_fuzz,
        _add_report,
        _add_show,
        _add_doctor,
        _add_completion,
        _add_list,
    ):
        add(verbs)
    for verb in verbs.choices.values():
        verb.add_argument("--no-color", action="store_true", help="print without colours, as with NO_COLOR set")
    return whole


def _add_run(verbs: Any) -> None:
    run = verbs.add_parser(
        "run",
        help="compute, check and time derivatives; write tables; print a summary",
        description="Compute derivatives on several backends, check each against a reference, and time the right "
        "ones. Write the tables into a folder of their own under --out, and print their summary.",
        epilog="example: autodiff-compare run cubic_fit ./mine.py -b numpy -b jax:eager -o gradient",
    )
    add_cells(run)
    rounds = run.add_mutually_exclusive_group()
    rounds.add_argument(
        "--rounds", type=values.count, default=15, metavar="N", help="timing rounds (default: 15; 0: no timing)"
    )
    rounds.add_argument(
        "--quick", dest="rounds", action="store_const", const=8, help="8 rounds, the fewest for a verdict on speed"
    )
    rounds.add_argument("--rigorous", dest="rounds", action="store_const", const=31, help="31 rounds")
    run.add_argument(
        "--launches",
        type=values.positive_count,
        default=1,
        metavar="L",
        help="start the workers L times and pool their rounds (default: 1)",
    )
    run.add_argument(
        "--budget",
        type=values.duration,
        metavar="SECONDS",
        help="time limit for all timing together; a cell that gets fewer rounds has the flag cut",
    )
    add_phases(run)
    run.set_defaults(verb="autodiff_compare.cli.verbs.runs.run:run")


def _add_check(verbs: Any) -> None:
    check = verbs.add_parser(
        "check",
        help="compute and check derivatives without timing: quick enough for every commit",
        description="Compute derivatives on several backends and check each against a reference, without timing. "
        "Write the tables and print their summary, as run does.",
        epilog="example: autodiff-compare check ./mine.py -b torch --dtype float32",
    )
    add_cells(check)
    check.set_defaults(verb="autodiff_compare.cli.verbs.runs.run:run", rounds=0, launches=1, budget=None, phases=None)


def _add_descend(verbs: Any) -> None:
    descend = verbs.add_parser(
        "descend",
        help="minimise a problem on every backend; print its study",
        description="Minimise a problem on every backend and print its study: the overview, the iterations, and the "
        "questions that belong to this problem. The robot arms and the raw eigenvalue have a study without a descent.",
        epilog="example: autodiff-compare descend cubic_fit -b numpy -b torch",
    )
    add_problem(descend)
    add_backends(descend)
    add_dtypes(descend)
    add_out(descend)
    add_resume(descend)
    descend.add_argument("--descent", metavar="NAME", help="run only this descent of the problem (default: all)")
    descend.add_argument(
        "--seed",
        type=int,
        action="append",
        default=[],
        help="seed of a start; may be repeated (default: the starts of the descent)",
    )
    descend.add_argument("--iterations", type=values.count, metavar="N", help="stop after N updates")
    descend.add_argument(
        "--timeout",
        type=values.duration,
        default=600.0,
        metavar="SECONDS",
        help="time limit for one start (default: 600)",
    )
    add_threads(descend)
    add_environment(descend)
    descend.set_defaults(verb="autodiff_compare.cli.verbs.runs.descend:descend")


def _add_selftest(verbs: Any) -> None:
    selftest = verbs.add_parser(
        "selftest",
        help="test the judge: it must reject wrong results and accept right ones",
        description="Test the judge that verifies results: alter right results and count how many it rejects; "
        "compare numerical differences with known derivatives. Exit code 1 if the judge fails anywhere.",
        epilog="example: autodiff-compare selftest --dtype float32",
    )
    add_problems(selftest)
    selftest.add_argument(
        "--dtype",
        action="append",
        default=[],
        choices=("float64", "float32"),
        help="dtype of the results; may be repeated (default: float64)",
    )
    selftest.add_argument(
        "--seed", type=int, default=0, help="seed of the inputs and of the altered entries (default: 0)"
    )
    selftest.add_argument(
        "--timing",
        dest="verb",
        action="store_const",
        const="autodiff_compare.cli.verbs.trials.selftest:timing",
        help="test the clock instead: time equal work in two workers, then 25 %% more work in one; "
        "then equal work again with a busy process on each CPU",
    )
    selftest.add_argument(
        "--load",
        choices=("idle", "busy", "both"),
        default="both",
        help="trials of the clock on the machine as it is, with a busy process on each CPU, or both (default: both)",
    )
    selftest.add_argument(
        "--trials", type=values.positive_count, default=10, metavar="N", help="trials of the clock (default: 10)"
    )
    selftest.set_defaults(verb="autodiff_compare.cli.verbs.trials.selftest:selftest")


def _add_overhead(verbs: Any) -> None:
    overhead = verbs.add_parser(
        "overhead",
        help="measure the overhead of the neutral interface over hand-written gradients",
        description="Time gradients through the neutral interface against the same gradients written by hand in "
        "each framework, in paired rounds. Exit code 1 if an overhead is proved to be above the bound.",
        epilog="example: autodiff-compare overhead -b torch --rounds 31",
    )
    overhead.add_argument(
        "-b",
        "--backend",
        action="append",
        default=[],
        metavar="NAME",
        help=f"backend to time; may be repeated (default: {', '.join(DEFAULT_BACKENDS)})",
    )
    overhead.add_argument(
        "-t",
        "--task",
        action="append",
        default=[],
        metavar="TASK",
        help="task to time, such as gmm; may be repeated (default: all)",
    )
    overhead.add_argument(
        "--rounds", type=values.positive_count, default=15, metavar="N", help="paired rounds (default: 15)"
    )
    overhead.add_argument(
        "--seed", type=int, default=0, help="seed of the inputs and of the order of calls (default: 0)"
    )
    add_environment(overhead)
    overhead.set_defaults(verb="autodiff_compare.cli.verbs.trials.overhead:overhead")


def _add_conformance(verbs: Any) -> None:
    conformance = verbs.add_parser(
        "conformance",
        help="test whether a backend keeps the contract, clause by clause",
        description="Test whether a backend keeps the contract of backends/interface.py. Print each clause with its "
        "result, and how to repair a broken one. Exit code 1 if a clause is broken.",
        epilog="example: autodiff-compare conformance ./my_backend.py",
    )
    conformance.add_argument("backend", metavar=BACKEND, help="name of a backend, or path of a .py file")
    add_environment(conformance)
    conformance.set_defaults(verb="autodiff_compare.cli.verbs.trials.conformance:conformance")


def _add_recommend(verbs: Any) -> None:
    recommend = verbs.add_parser(
        "recommend",
        help="recommend a backend and variant for one function and a number of evaluations",
        description="Run every variant of every backend on one function and recommend one. The answer weighs the "
        "time before the first result against the time of each call, and gives break-even counts, accuracy, memory "
        "and the uncertainty of the answer.",
        epilog="example: autodiff-compare recommend ./mine.py --calls 100000",
    )
    add_problem(recommend)
    recommend.add_argument(
        "--calls", type=values.large_count, default=10_000, metavar="N", help="planned evaluations (default: 10000)"
    )
    recommend.add_argument(
        "-o",
        "--operator",
        metavar="OPERATOR",
        help="operator to compute (default: gradient; jacobian of a vector function)",
    )
    recommend.add_argument(
        "-b",
        "--backend",
        action="append",
        default=[],
        metavar=BACKEND,
        help="backend to compare; may be repeated (default: every variant of every backend)",
    )
    recommend.add_argument("--from", dest="run", metavar="RUN", help="read the tables of this run, measure nothing")
    recommend.add_argument("--size", help="small (default), medium or large")
    recommend.add_argument("--dtype", default="float64", help="float64 (default) or float32")
    recommend.add_argument(
        "--rounds", type=values.positive_count, default=8, metavar="N", help="timing rounds (default: 8)"
    )
    recommend.add_argument("--seed", type=int, default=0, help="seed of the inputs (default: 0)")
    add_threads(recommend)
    add_environment(recommend)
    add_timeout(recommend)
    add_out(recommend)
    recommend.set_defaults(verb="autodiff_compare.cli.verbs.runs.recommend:recommend")


def _add_diff(verbs: Any) -> None:
    diff = verbs.add_parser(
        "diff",
        help="compare two runs: slower, faster, wrong or right; exit code 1 on a regression",
        description="List the cells that got slower, faster, wrong or right from run A to run B. A regression is a "
        "cell that got slower, is no longer ok, or was ok and is missing although B's command asks for it. Runs "
        "that differ in machine, versions, threads, seed or dtypes are refused.",
        epilog="example: autodiff-compare diff 20261120T231558-b6ea results/20261120T232001-04c1",
    )
    diff.add_argument("run_a", metavar="RUN_A", help="folder of the earlier run, or its id under --out")
    diff.add_argument("run_b", metavar="RUN_B", help="folder of the later run, or its id under --out")
    diff.add_argument("--force", action="store_true", help="compare runs that differ, and list the differences")
    diff.add_argument("--allow-missing", action="store_true", help="do not count a cell that B lacks as a regression")
    diff.add_argument(
        "--threshold",
        type=values.percentage,
        default=10.0,
        metavar="PERCENT",
        help="smallest change that is called slower or faster (default: 10; at least 2)",
    )
    diff.add_argument(
        "--explain",
        action="store_true",
        help="compute the cells that became wrong again, beside a backend that is right, and name the line at which "
        "they part",
    )
    diff.add_argument(
        "--explain-file",
        action="append",
        default=[],
        metavar="FILE",
        help="problem file or backend file of the runs that --explain may execute; may be repeated",
    )
    add_out(diff)
    add_output(diff)
    diff.set_defaults(verb="autodiff_compare.cli.verbs.runs.diff:diff")


def _add_explain(verbs: Any) -> None:
    explain = verbs.add_parser(
        "explain",
        help="name the operation and the line at which two backends give different derivatives",
        description="Compare two backends, variants or orders of modes operation by operation: values, then "
        "cotangents and tangents. Name the first operation that differs beyond its measured rounding, with its "
        "line, both numbers and the reference, and judge it alone. Exit code 0 if they agree, 1 if they part, 3 if "
        "it cannot be told.",
        epilog="example: autodiff-compare explain ./mine.py numpy torch; or: explain gmm jax jax:eager --dtype "
        "float32; or: explain ./mine.py torch:fr torch:rr -o hvp; or: explain ./mine.py numpy ./my_backend.py",
    )
    explain.add_argument("problem", metavar="PROBLEM", help="name of a problem, or path of a .py file")
    for name in ("a", "b"):
        explain.add_argument(name, metavar=f"{name.upper()}", help=f"{BACKEND}, or path of a .py file")
    explain.add_argument(
        "-o",
        "--operator",
        metavar="OPERATOR",
        help="operator to compute (default: gradient; jacobian of a vector function; hvp for orders of modes)",
    )
    explain.add_argument("--size", help="small (default), medium or large")
    explain.add_argument("--dtype", default="float64", help="float64 (default) or float32")
    explain.add_argument("--seed", type=int, default=0, help="seed of the inputs and directions (default: 0)")
    explain.add_argument(
        "--timeout",
        type=values.duration,
        default=600.0,
        metavar="SECONDS",
        help="time limit for one answer of a backend (default: 600)",
    )
    add_threads(explain)
    add_environment(explain)
    add_output(explain)
    explain.set_defaults(verb="autodiff_compare.cli.verbs.trials.explain:explain")


def _add_conventions(verbs: Any) -> None:
    conventions = verbs.add_parser(
        "conventions",
        help="compare derivatives at kinks, ties and singular points, where systems disagree",
        description="Compute derivatives on every backend at points where systems disagree, and classify each by the "
        "one-sided derivatives of its own function: a convention or a defect. By default the four backends and their "
        "variants run, without two slow ones, jax:eager and torch:compile: ask for these with -b.",
        epilog="example: autodiff-compare conventions kinks ties -b torch -b jax; or: conventions --explain relu_zero",
    )
    conventions.add_argument("names", nargs="*", metavar="FAMILY", help="families or single cases (default: all)")
    add_backends(conventions, default="see above")
    add_dtypes(conventions)
    add_out(conventions)
    conventions.add_argument(
        "--explain", metavar="CASE", help="print one case in full: derivation, answers, and a safe way to write it"
    )
    add_output(conventions)
    add_environment(conventions)
    conventions.set_defaults(verb="autodiff_compare.cli.verbs.trials.conventions:conventions")


def _add_fuzz(verbs: Any) -> None:
    fuzz = verbs.add_parser(
        "fuzz",
        help="find faults nobody wrote down: random programs through the backends, judged and shrunk",
        description="Draw random programs, differentiate them on every backend, and judge each result independently. "
        "A new fault is shrunk to a few lines and written to findings/NNN/: program.py, which check runs, and "
        "script.py, the same in the framework's own words. Exit code 1 if there is a fault that is not in the list of "
        "known defects.",
        epilog="example: autodiff-compare fuzz -b torch --budget 300; or: fuzz -b ./my_backend.py --programs 500; "
        "fuzz --families linear_algebra -b torch:ff -o hvp; fuzz --known",
    )
    add_backends(fuzz, default="numpy, torch, tensorflow and jax, with the variants that run operation by operation")
    add_dtypes(fuzz)
    fuzz.add_argument("--seed", type=int, default=0, help="seed of the programs (default: 0)")
    fuzz.add_argument(
        "--budget",
        type=values.duration,
        metavar="SECONDS",
        help="seconds after which no further programs are drawn (default: 60, or none with --programs)",
    )
    fuzz.add_argument(
        "--programs", type=values.positive_count, metavar="N", help="number of programs (default: as many as fit)"
    )
    fuzz.add_argument(
        "-o",
        "--operator",
        action="append",
        default=[],
        metavar="OPERATOR",
        help="operator to compute; may be repeated (default: gradient, jvp and hvp; jvp and vjp of arrays)",
    )
    fuzz.add_argument(
        "--families",
        action="append",
        default=[],
        metavar="FAMILY",
        help="family of operations to draw from; may be repeated (default: elementwise, reductions, indexing, joining, "
        "linear_algebra, where, loops and nested)",
    )
    fuzz.add_argument(
        "--awkward",
        type=values.share,
        default=25.0,
        metavar="PERCENT",
        help="share of programs at zeros, ties, tiny, huge and empty inputs (default: 25)",
    )
    fuzz.add_argument("--known", action="store_true", help="run the known defects again and print the list")
    add_threads(fuzz)
    add_environment(fuzz)
    add_out(fuzz)
    add_output(fuzz)
    fuzz.set_defaults(verb="autodiff_compare.cli.verbs.trials.fuzz:fuzz")


def _add_report(verbs: Any) -> None:
    report = verbs.add_parser(
        "report",
        help="write a page with the figures and tables of one run, or of several side by side",
        description="Write report.html (one file that needs no network), figures/ and summary.md, from the CSV files "
        "of a run. They go into the run's folder; for several runs, into a new folder under --out.",
        epilog="example: autodiff-compare report 20261120T231558-b6ea --open",
    )
    report.add_argument("runs", nargs="+", metavar="RUN", help=RUN)
    report.add_argument("--open", action="store_true", help="open the page in the browser")
    add_out(report)
    report.set_defaults(verb="autodiff_compare.cli.verbs.runs.report:report")


def _add_show(verbs: Any) -> None:
    show = verbs.add_parser(
        "show",
        help="print the summary of a run again, from its tables",
        description="Print the summary of a run again, from its tables. Nothing is computed.",
        epilog="example: autodiff-compare show results/sample",
    )
    show.add_argument("run", metavar="RUN", help=RUN)
    add_out(show)
    add_output(show)
    show.set_defaults(verb="autodiff_compare.cli.verbs.runs.show:show")


def _add_doctor(verbs: Any) -> None:
    doctor = verbs.add_parser(
        "doctor",
        help="check the installation, and whether this machine is quiet enough for benchmarks",
        description="Check the machine, its clock, its noise and the installed backends, and print what to change "
        "before quoting a number. Exit code 3 if an installed backend cannot be opened.",
        epilog="example: autodiff-compare doctor -b numpy -b jax",
    )
    doctor.add_argument(
        "-b",
        "--backend",
        action="append",
        default=[],
        metavar="NAME[:VARIANT]",
        help="backend to open; may be repeated (default: all)",
    )
    add_threads(doctor)
    add_environment(doctor)
    add_output(doctor)
    doctor.set_defaults(verb="autodiff_compare.cli.verbs.trials.doctor:doctor")


def _add_completion(verbs: Any) -> None:
    completion = verbs.add_parser(
        "completion",
        help="print a script that completes verbs, options and names in a shell",
        description="Print a script that completes verbs, options, backends and problems in a shell.",
        epilog="example: source <(autodiff-compare completion bash)",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="shell that reads the script")
    completion.set_defaults(verb="autodiff_compare.cli.verbs.completion:completion")


def _add_list(verbs: Any) -> None:
    listing = verbs.add_parser(
        "list",
        help="list problems and backends, or describe one problem; imports no framework",
        description="List the problems by suite and the backends with their variants. With a PROBLEM, describe it: "
        "source, sizes, shapes, operators, closed forms, descents. No framework is imported.",
        epilog="example: autodiff-compare list gmm",
    )
    add_problems(listing, default="all problems, and the backends")
    listing.add_argument(
        "--operators", action="store_true", help="list the operators, and how each backend computes them, instead"
    )
    add_data(listing)
    listing.set_defaults(verb="autodiff_compare.cli.verbs.list:listing")

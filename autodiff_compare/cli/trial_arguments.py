"""Arguments of the verbs that try this tool, a backend, the conventions of systems, or the machine."""

from __future__ import annotations

from typing import Any

from autodiff_compare.cli import values
from autodiff_compare.cli.options import (
    BACKEND,
    add_backends,
    add_dtypes,
    add_environment,
    add_on,
    add_out,
    add_output,
    add_problems,
    add_threads,
)
from autodiff_compare.plan.query import DEFAULT_BACKENDS


def add_selftest(verbs: Any) -> None:
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
        "--seed", type=values.seed, default=0, help="seed of the inputs and of the altered entries (default: 0)"
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
    add_on(selftest)
    selftest.set_defaults(verb="autodiff_compare.cli.verbs.trials.selftest:selftest")


def add_overhead(verbs: Any) -> None:
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
        "--seed", type=values.seed, default=0, help="seed of the inputs and of the order of calls (default: 0)"
    )
    add_environment(overhead)
    overhead.set_defaults(verb="autodiff_compare.cli.verbs.trials.overhead:overhead")


def add_conformance(verbs: Any) -> None:
    conformance = verbs.add_parser(
        "conformance",
        help="test whether a backend keeps the contract, clause by clause",
        description="Test whether a backend keeps the contract of backends/interface.py. Print each clause with its "
        "result, and how to repair a broken one. Exit code 1 if a clause is broken.",
        epilog="example: autodiff-compare conformance ./my_backend.py; or: conformance --needed ./my_backend.py",
    )
    conformance.add_argument(
        "backend",
        nargs="?",
        metavar=BACKEND,
        help="name of a backend, or path of a .py file; required unless --needed is given",
    )
    conformance.add_argument(
        "--needed",
        action="store_true",
        help="list the names of xp by the number of problems that need them instead; with a backend, those it lacks",
    )
    add_environment(conformance)
    conformance.set_defaults(verb="autodiff_compare.cli.verbs.trials.conformance:conformance")


def add_explain(verbs: Any) -> None:
    explain = verbs.add_parser(
        "explain",
        help="name the operation and the line at which two backends give different derivatives",
        description="Compare two backends, variants or orders of modes operation by operation: values, then "
        "cotangents and tangents. Name the first operation that differs beyond its measured rounding, with its "
        "line, both numbers and the reference, and judge it alone. Exit code 0 if they agree, 1 if they part, 3 if "
        "no answer is possible.",
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
    explain.add_argument("--dtype", default="float64", help="float64 (default), float32, float16 or bfloat16")
    explain.add_argument("--seed", type=values.seed, default=0, help="seed of the inputs and directions (default: 0)")
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


def add_conventions(verbs: Any) -> None:
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


def add_fuzz(verbs: Any) -> None:
    fuzz = verbs.add_parser(
        "fuzz",
        help="search for wrong derivatives by random programs, and shrink each that is found to a few lines",
        description="Draw random programs, differentiate them on every backend, and judge each result independently. "
        "A new fault is shrunk to a few lines and written to findings/NNN/: program.py, which check runs, and "
        "script.py, the same in the framework's own words (torch, jax, tensorflow and this project's engine only). "
        "Exit code 1 if there is a fault that is not in the list of known defects.",
        epilog="example: autodiff-compare fuzz -b torch --budget 300; or: fuzz -b ./my_backend.py --programs 500; "
        "fuzz --families linear_algebra -b torch:ff -o hvp; fuzz --known",
    )
    add_backends(
        fuzz,
        default="numpy, torch, tensorflow and jax, operation by operation; tensorflow and jax also compiled, on one "
        "program of ten; numpy:compiled; torch:ff",
    )
    add_dtypes(fuzz, half=False)
    fuzz.add_argument("--seed", type=values.seed, default=0, help="seed of the programs (default: 0)")
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
        help="family of operations to draw from; may be repeated (default: all: elementwise, special, reductions, "
        "indexing, joining, linear_algebra, where, loops and nested)",
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
    add_on(fuzz)
    add_out(fuzz)
    add_output(fuzz)
    fuzz.set_defaults(verb="autodiff_compare.cli.verbs.trials.fuzz:fuzz")


def add_doctor(verbs: Any) -> None:
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
    add_on(doctor)
    doctor.set_defaults(verb="autodiff_compare.cli.verbs.trials.doctor:doctor")

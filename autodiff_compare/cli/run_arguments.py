"""Arguments of the verbs that make a run or read one."""

from __future__ import annotations

import pathlib
from typing import Any

from autodiff_compare.cli import values
from autodiff_compare.cli.options import (
    BACKEND,
    RUN,
    add_backends,
    add_cells,
    add_dtypes,
    add_environment,
    add_errors,
    add_on,
    add_out,
    add_output,
    add_phases,
    add_place,
    add_problem,
    add_resume,
    add_threads,
    add_timeout,
)


def add_run(verbs: Any) -> None:
    run = verbs.add_parser(
        "run",
        help="compute, check and time derivatives; write tables; print a summary",
        description="Compute derivatives on several backends, check each against a reference, and time the right "
        "ones. Write the tables into a folder of their own, and print their summary and where they are.",
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
    add_on(run)
    run.set_defaults(verb="autodiff_compare.cli.verbs.runs.run:run")


def add_check(verbs: Any) -> None:
    check = verbs.add_parser(
        "check",
        help="compute and check derivatives without timing: quick enough for every commit",
        description="Compute derivatives on several backends and check each against a reference, without timing. "
        "Write the tables and print their summary, as run does.",
        epilog="example: autodiff-compare check ./mine.py -b torch --dtype float32",
    )
    add_cells(check)
    add_on(check)
    check.set_defaults(verb="autodiff_compare.cli.verbs.runs.run:run", rounds=0, launches=1, budget=None, phases=None)


def add_descend(verbs: Any) -> None:
    descend = verbs.add_parser(
        "descend",
        help="minimise a problem on every backend; print its study",
        description="Minimise a problem on every backend and print its study: the overview, the iterations, and the "
        "questions that belong to this problem. The robot arms and the raw eigenvalue have a study without a descent.",
        epilog="example: autodiff-compare descend cubic_fit -b numpy -b torch; or: descend cubic_fit --lr 3e-6 --start "
        "1,1,1,1; or: descend ./mine.py --lr 0.01 --animate",
    )
    add_problem(descend)
    add_backends(descend)
    add_dtypes(descend)
    add_out(descend)
    add_resume(descend)
    descend.add_argument("--descent", metavar="NAME", help="run only this descent of the problem (default: all)")
    descend.add_argument(
        "--seed",
        type=values.seed,
        action="append",
        default=[],
        help="seed of a start; may be repeated (default: the starts of the descent)",
    )
    descend.add_argument("--iterations", type=values.count, metavar="N", help="stop after N updates")
    _add_changes(descend)
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


def _add_changes(descend: Any) -> None:
    """Add what is changed of a problem's descents, and what is recorded of them."""
    descend.add_argument(
        "--start",
        type=values.real_numbers,
        action="append",
        default=[],
        metavar="X,Y,...",
        help="start at these numbers, the entries of the inputs in order; may be repeated",
    )
    descend.add_argument("--starts", type=values.positive_count, metavar="N", help="run from the seeds 0 to N - 1")
    descend.add_argument(
        "--target", type=values.real_numbers, metavar="X,Y,...", help="aim at these numbers, such as eigenvalues"
    )
    descend.add_argument(
        "--lr",
        type=values.positive,
        metavar="RATE",
        help="learning rate; a problem without a descent is minimised by plain gradient descent with it",
    )
    descend.add_argument(
        "--size", type=values.positive_count, metavar="N", help="size n of the problem, such as 5 for 5 x 5 matrices"
    )
    descend.add_argument(
        "--stop-loss", type=values.finite, metavar="LOSS", help="stop once the loss is at most this number"
    )
    descend.add_argument(
        "--every",
        type=values.positive_count,
        default=0,
        metavar="K",
        help="record every K-th update in steps.csv (default: the first 1000, then ever fewer)",
    )
    descend.add_argument(
        "--animate",
        nargs="?",
        const="",
        metavar="FILE.gif",
        help="draw the first descent of the first backend as a moving picture (default: descent.gif in the run's "
        "folder)",
    )


def add_recommend(verbs: Any) -> None:
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
    recommend.add_argument(
        "--size",
        help="small (default), medium, large, or a number such as n=1000; for operators of batches with a number of "
        "rows, such as smallx8; for taylor with a degree, such as small^6",
    )
    recommend.add_argument("--dtype", default="float64", help="float64 (default), float32, float16 or bfloat16")
    recommend.add_argument(
        "--rounds", type=values.positive_count, default=8, metavar="N", help="timing rounds (default: 8)"
    )
    recommend.add_argument("--seed", type=values.seed, default=0, help="seed of the inputs (default: 0)")
    add_threads(recommend)
    add_environment(recommend)
    add_timeout(recommend)
    add_out(recommend)
    recommend.set_defaults(verb="autodiff_compare.cli.verbs.runs.recommend:recommend")


def add_diff(verbs: Any) -> None:
    diff = verbs.add_parser(
        "diff",
        help="compare two runs: slower, faster, wrong or right; exit code 1 on a regression",
        description="List the cells that got slower, faster, wrong or right from run A to run B. A regression is a "
        "cell that got slower, is no longer ok, or was ok and is missing although B's command asks for it. Runs "
        "that differ in versions, threads, seed or dtypes are refused. Cells from different machines are compared by "
        "their results, not by their times.",
        epilog="example: autodiff-compare diff latest~1 latest; or: autodiff-compare diff before after",
    )
    diff.add_argument("run_a", metavar="RUN_A", help=f"the earlier run: {RUN}")
    diff.add_argument("run_b", metavar="RUN_B", help="the later run, likewise")
    diff.add_argument(
        "--force",
        action="store_true",
        help="compare runs that differ, and list the differences; times of different machines are never compared",
    )
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
    add_place(diff)
    add_output(diff, markdown=True)
    diff.set_defaults(verb="autodiff_compare.cli.verbs.runs.diff:diff")


def add_report(verbs: Any) -> None:
    report = verbs.add_parser(
        "report",
        help="write a page with the figures and tables of one run, or of several side by side",
        description="Write report.html (one file that needs no network), figures/ and summary.md, from the CSV files "
        "of a run. They go into the run's folder; for several runs, into a new folder of --out or of your data folder.",
        epilog="example: autodiff-compare report latest --open",
    )
    report.add_argument("runs", nargs="+", metavar="RUN", help=RUN)
    report.add_argument("--open", action="store_true", help="open the page in the browser")
    add_place(report)
    report.set_defaults(verb="autodiff_compare.cli.verbs.runs.report:report")


def add_show(verbs: Any) -> None:
    show = verbs.add_parser(
        "show",
        help="print the summary of a run again, from its tables",
        description="Print the summary of a run again, from its tables. Nothing is computed.",
        epilog="example: autodiff-compare show latest",
    )
    show.add_argument("run", metavar="RUN", help=RUN)
    add_place(show)
    add_errors(show)
    add_output(show, markdown=True)
    show.set_defaults(verb="autodiff_compare.cli.verbs.runs.show:show")


def add_runs(verbs: Any) -> None:
    runs = verbs.add_parser(
        "runs",
        help="list the runs that were made, the latest first",
        description="List the runs in results here and in your data folder, the latest first: name or id, start time, "
        "how the cells ended, command. With WORDs, list those that have all of them.",
        epilog="example: autodiff-compare runs cubic_fit",
    )
    runs.add_argument("words", nargs="*", metavar="WORD", help="part of a name, a command or a result")
    runs.add_argument("--all", action="store_true", help="list all runs (default: the last 20)")
    add_place(runs)
    add_output(runs)
    runs.set_defaults(verb="autodiff_compare.cli.verbs.runs.runs:runs")


def add_history(verbs: Any) -> None:
    history = verbs.add_parser(
        "history",
        help="show the times of cells over many runs, and where they changed",
        description="Read the latest runs that were timed, and print each cell's time over them on one machine, "
        "with the runs at which it changed and what changed with it: versions, code, Python. A change is one "
        "that diff would claim. With WORDs, read the cells whose names have all of them.",
        epilog="example: autodiff-compare history cubic_fit gradient --svg history.svg",
    )
    history.add_argument("words", nargs="*", metavar="WORD", help="part of a cell's name, such as gradient or numpy")
    history.add_argument(
        "--last", type=values.positive_count, default=50, metavar="N", help="read the last N runs (default: 50)"
    )
    history.add_argument(
        "--threshold",
        type=values.percentage,
        default=10.0,
        metavar="PERCENT",
        help="smallest change that is called one (default: 10; at least 2)",
    )
    history.add_argument("--svg", type=pathlib.Path, metavar="FILE", help="draw the cells that changed into this file")
    add_place(history)
    add_output(history)
    history.set_defaults(verb="autodiff_compare.cli.verbs.runs.history:history")

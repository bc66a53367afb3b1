"""Options that several verbs share; each function adds one of them, or one set, to the parser of a verb."""

from __future__ import annotations

import argparse
import os
import pathlib

from autodiff_compare.cli import values
from autodiff_compare.plan.query import DEFAULT_BACKENDS
from autodiff_compare.plan.settings import LARGER_S, OPEN_S, SMALL_S
from autodiff_compare.vocabulary import NO_CACHE, STANDARD_OPERATORS, SUITES, TAYLOR_DEGREE, VARIANTS, Operator

#: How the value of an option is shown by ``--help``.
BACKEND = "NAME[:VARIANT][@PYTHON]"
RUN = "folder of a run, its name or id (autodiff-compare runs lists them), or latest, latest~1, ..."


def add_cells(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verbs that compute the cells of a query."""
    add_problems(parser)
    add_backends(parser)
    add_dtypes(parser)
    add_out(parser)
    add_output(parser, markdown=True)
    add_errors(parser)
    parser.add_argument("--seed", type=values.seed, default=0, help="seed of the inputs and directions (default: 0)")
    parser.add_argument(
        "-o",
        "--operator",
        action="append",
        default=[],
        metavar="OPERATOR",
        help=f"operator to compute: {', '.join(Operator)}, or all; may be repeated (default: of your own file its "
        "gradient, or jacobian if its value is not a scalar; of other problems all, which are "
        f"{', '.join(o for o in Operator if o in STANDARD_OPERATORS)}, and step where a problem has a descent)",
    )
    _add_sizes(parser)
    parser.add_argument(
        "--variants",
        choices=tuple(VARIANTS),
        default="",
        help="; ".join(f"{name}: add {words}" for name, words in VARIANTS.items()),
    )
    parser.add_argument(
        "--entries",
        choices=("some", "all"),
        default="some",
        help="entries that numerical differences test one by one, above 32 inputs: some (default) or all",
    )
    add_resume(parser)
    add_traceback(parser)
    add_timeout(parser)
    add_open_timeout(parser)
    add_threads(parser)
    add_environment(parser)
    parser.add_argument(
        "--device", choices=("cpu", "gpu"), default="cpu", help="device to compute on (default: cpu; gpu is untested)"
    )
    parser.add_argument(
        "--isolate",
        choices=("backend", "cell", "none"),
        default="backend",
        help="start a process for each backend (default) or each cell; none: one process for all",
    )


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    """Add what a query says about sizes: their names, the degree of series, and files of instances."""
    parser.add_argument(
        "--size",
        action="append",
        default=[],
        help="small (default), medium, large, or a size from --data; patterns such as '*' are allowed; for operators "
        "of batches with a number of rows, such as smallx8; of one problem alone: PROBLEM/SIZE, such as gmm/medium",
    )
    parser.add_argument(
        "--at",
        type=values.numbers,
        action="append",
        default=[],
        metavar="X,Y,...",
        help="evaluate at these numbers, the entries of the inputs in order, such as -2,0.5; may be repeated",
    )
    parser.add_argument(
        "--n",
        dest="size",
        type=values.sizes,
        action="extend",
        metavar="RANGE",
        help="sizes by their number: 1000, 10,100,1e3, 10:1e6:log7 (seven, equal ratios) or 10:50:lin5 (five, equal "
        "steps); a user's file draws its point at each: x = lambda n, rng: rng.normal(size=n)",
    )
    parser.add_argument(
        "--degree",
        type=values.positive_count,
        action="append",
        default=[],
        metavar="K",
        help=f"highest derivative of the operator taylor; may be repeated (default: {TAYLOR_DEGREE})",
    )
    add_data(parser)


def add_problem(parser: argparse.ArgumentParser) -> None:
    """Add the one problem of a verb; the verb reports a missing one, and lists the choices."""
    parser.add_argument("problem", nargs="?", metavar="PROBLEM", help="name of a problem, or path of a .py file")


def add_problems(parser: argparse.ArgumentParser, default: str = "the suite classic", more: str = "") -> None:
    """Add the names and suites of problems; ``more`` says what else may stand for one."""
    parser.add_argument(
        "problems",
        nargs="*",
        metavar="PROBLEM",
        help=f"name of a problem, or path of a .py file{more} (default: {default})",
    )
    parser.add_argument(
        "--suite",
        action="append",
        default=[],
        help=f"add the problems of a suite: {', '.join(SUITES)}; may be repeated",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the folder of instance files."""
    parser.add_argument(
        "--data",
        type=pathlib.Path,
        metavar="FOLDER",
        help="folder with your copy of ADBench's instance files; each file is one size",
    )


def add_backends(parser: argparse.ArgumentParser, default: str = ", ".join(DEFAULT_BACKENDS)) -> None:
    """Add the backends to compare."""
    parser.add_argument(
        "-b",
        "--backend",
        action="append",
        default=[],
        metavar=BACKEND,
        help="name of a backend, or path of a .py file; @PYTHON runs it under the Python of another environment; "
        f"may be repeated (default: {default})",
    )


def add_dtypes(parser: argparse.ArgumentParser, *, half: bool = True) -> None:
    """Add the dtypes of the inputs; those of half precision too, unless the verb has none."""
    more = ", float32, float16 or bfloat16" if half else " or float32"
    parser.add_argument(
        "--dtype",
        action="append",
        default=[],
        help=f"float64 (default){more}; may be repeated",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add the number of threads of a worker."""
    parser.add_argument(
        "--threads", type=values.positive_count, default=1, metavar="T", help="threads per worker (default: 1)"
    )


def add_environment(parser: argparse.ArgumentParser) -> None:
    """Add the environment variables that workers get; they inherit none that can change a number."""
    parser.add_argument(
        "--env",
        type=values.variable,
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="environment variable to pass on to the workers, such as XLA_FLAGS; may be repeated (default: only paths, "
        "locale, proxies and devices)",
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="compile numpy:numba anew (default: machine code is kept between runs)"
    )


def environment_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the variables to pass on to the workers: name -> value; one without a value is the caller's own."""
    pairs = (text.partition("=") for text in options.env)
    found = {name: value if equals else os.environ.get(name) for name, equals, value in pairs}
    given = {name: value for name, value in found.items() if value is not None}
    return given | ({NO_CACHE: "1"} if getattr(options, "no_cache", False) else {})


def unset_variables(options: argparse.Namespace) -> list[str]:
    """Return the names given to ``--env`` without a value that are not set in this process."""
    return [text for text in getattr(options, "env", ()) if "=" not in text and text not in os.environ]


def without_engine(options: argparse.Namespace) -> str:
    """Return the option given that needs ``--on``, if that is missing; empty if there is none."""
    if getattr(options, "on", ""):
        return ""
    given = {"--slurm-args": "slurm_args", "--unit-timeout": "unit_timeout"}
    return next((word for word, name in given.items() if getattr(options, name, None)), "")


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add the time limit for a cell; none given, the limit depends on the size of the cell."""
    parser.add_argument(
        "--timeout",
        type=values.duration,
        metavar="SECONDS",
        help=f"time limit for one cell (default: {SMALL_S:.0f} for size small, {LARGER_S:.0f} for other sizes)",
    )


def add_open_timeout(parser: argparse.ArgumentParser) -> None:
    """Add the time limit for importing a framework."""
    parser.add_argument(
        "--open-timeout",
        type=values.duration,
        default=OPEN_S,
        metavar="SECONDS",
        help=f"time limit for importing a framework, doubled each time it is exceeded (default: {OPEN_S:.0f})",
    )


def add_phases(parser: argparse.ArgumentParser) -> None:
    """Add the phases that are timed by themselves at the cost of a longer run."""
    parser.add_argument(
        "--phases",
        choices=("import", "prepare"),
        help="time each import (import), or each import and each preparation (prepare), alone: by default workers "
        "import and prepare side by side",
    )


def add_traceback(parser: argparse.ArgumentParser) -> None:
    """Add the option that prints whole tracebacks."""
    parser.add_argument("--traceback", action="store_true", help="print the whole traceback of each error to stderr")


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Add the run to continue."""
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="continue this run: its folder, name or id, or latest; on another machine, the times of the rest are "
        "shown apart",
    )


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add where a new run is written: its name, and the folder that holds it."""
    parser.add_argument(
        "--name",
        default="",
        help="name of the run, such as before: it is kept in results/NAME, and diff, show and report find it by name",
    )
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        metavar="FOLDER",
        help="folder that holds the run (default: results here if it has a name, else your data folder, such as "
        "~/.local/share/autodiff-compare/runs)",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the folder in which runs are looked for."""
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        metavar="FOLDER",
        help="folder in which runs are looked for (default: results here, then your data folder)",
    )


def add_errors(parser: argparse.ArgumentParser) -> None:
    """Add the errors of single cells to a summary."""
    parser.add_argument(
        "--errors",
        action="store_true",
        help="print the error of each cell below its time, in eps: units of the dtype's rounding error",
    )


def add_output(parser: argparse.ArgumentParser, *, markdown: bool = False) -> None:
    """Add the formats for other programs, and with ``markdown`` the one for comments."""
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "--json", action="store_true", help="print the results as JSON with the run and the units, not as tables"
    )
    output.add_argument("--csv", action="store_true", help="print the results as CSV, not as tables")
    if markdown:
        output.add_argument("--markdown", action="store_true", help="print the tables as Markdown, for a comment")
    else:
        parser.set_defaults(markdown=False)


def add_on(parser: argparse.ArgumentParser) -> None:
    """Add where the units of a run are carried out."""
    parser.add_argument(
        "--on",
        type=values.engine,
        metavar="ENGINE",
        help=f"compute each unit, a problem at one size and dtype, elsewhere: {values.ENGINES} (docs/cluster.md; "
        "default: on this machine, one after the other)",
    )
    parser.add_argument(
        "--slurm-args",
        default="",
        metavar="ARGS",
        help="arguments of sbatch for each job, such as '--account=NAME --constraint=milan'",
    )
    parser.add_argument(
        "--unit-timeout",
        type=values.duration,
        metavar="SECONDS",
        help="with --on, time limit for one unit; its unfinished cells end as timeout (default: none, or that of "
        "Slurm)",
    )

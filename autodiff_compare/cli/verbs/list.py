"""The verb ``list``: list problems by suite and backends with their variants; import no framework."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator

from rich.table import Table

from autodiff_compare import backends, problems
from autodiff_compare.cli import exits
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.verbs.operators import show
from autodiff_compare.plan.plan import PlanError, load_problems
from autodiff_compare.plan.query import Query
from autodiff_compare.problems import SCALAR, VECTOR, Array, Problem
from autodiff_compare.process import environment
from autodiff_compare.summary import terminal
from autodiff_compare.vocabulary import ORDERS, SUITES, Operator, join_spec

#: Name of a whole set of operators; up to `_FEW` operators more or fewer are named beside it.
_KINDS = {"scalar": SCALAR, "vector": VECTOR}
_FEW = 2
#: More sizes than this that are numbered in order are not listed singly; such a size may end with a tolerance.
_MANY, _TOLERANCE = 6, re.compile(r"-1e-\d+$")
_LEGEND = (
    "scalar: value gradient value_and_gradient jvp vjp jacobian hvp hessian",
    "vector: value jvp vjp jacobian",
    "with a descent: also step, and compare.py descend",
)


def listing(options: argparse.Namespace) -> int:
    """List all problems and backends, or describe the problems that the options name; return the exit code."""
    if options.operators:
        show(console())
        return exits.OK
    if options.problems or options.suite:
        return _described(options)
    found = list(problems.available().values())
    if options.data is not None:
        try:
            found = [problems.with_data(problem, options.data) for problem in found]
        except problems.ProblemError as error:
            return usage(str(error))
    out = console()
    for suite, words in SUITES.items():
        members = [problem for problem in found if suite == _home(problem)]
        if members:
            out.print(_suite(f"{suite}: {words}", members, suite), markup=False)
            out.print()
    for line in _LEGEND:
        out.print(line, style="dim", markup=False)
    out.print()
    out.print(_backends())
    out.print()
    out.print(_orders(), style="dim", markup=False)
    return exits.OK


def _described(options: argparse.Namespace) -> int:
    """Print one row for each problem of the suites, then one table for each problem that is named."""
    out = console()
    try:
        members = load_problems(Query(suites=options.suite, data=options.data))[0] if options.suite else []
        named = load_problems(Query(options.problems, data=options.data))[0] if options.problems else []
    except PlanError as error:
        return usage(str(error))
    if members:
        title = "; ".join(f"{suite}: {SUITES[suite]}" for suite in options.suite)
        out.print(_suite(title, members), markup=False)
    for problem in named:
        out.print(_card(problem), markup=False)
        out.print()
    return exits.OK


def _card(problem: Problem) -> Table:
    """Return a table that describes one problem, without evaluating it."""
    table = terminal.plain_table(problem.name, header=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for field, words in _fields(problem):
        if words:
            table.add_row(field, words)
    return table


def _fields(problem: Problem) -> Iterator[tuple[str, str]]:
    size = next(iter(problem.size_names))
    inputs = problem.draw(size, 0)
    yield "title", problem.title
    yield "source", problem.source
    yield "sizes", _sizes(problem)
    yield "inputs", f"{_shapes(inputs.differentiated)} differentiated at size {size}"
    yield "data", _shapes(inputs.data)
    yield "operators", " ".join(_named(problem.operators))
    yield "closed forms", " ".join(_named(problem.reference)) or "none: verified by extended precision and differences"
    yield "descents", ", ".join(problem.descent)
    yield "uses", ", ".join(problem.uses)
    yield "tolerance", "" if problem.tolerance is None else f"{problem.tolerance:g} eps"
    yield "only for", ", ".join(problem.native) if problem.objective is None else ""
    yield "suites", ", ".join(suite for suite in SUITES if suite in problem.suites)
    yield "instances", problem.instances.pattern + ", with --data FOLDER" if problem.instances else ""


def _shapes(arrays: Iterable[Array]) -> str:
    return ", ".join(str(a.shape) for a in arrays)


def _sizes(problem: Problem, *, short: bool = False) -> str:
    """Return the sizes with their numbers; names alone where the numbers count the sizes, one of many if ``short``."""
    if list(problem.sizes.values()) != list(range(len(problem.sizes))):
        return ", ".join([*(f"{name} {n}" for name, n in problem.sizes.items()), *problem.files])
    names = [*problem.sizes, *problem.files]
    if not short or len(names) <= _MANY:
        return ", ".join(names)
    typical = names[len(names) // 2]
    form = "WAY-TOLERANCE, " if _TOLERANCE.search(typical) else ""
    return f"{len(names)} sizes: {form}such as {typical}"


def _home(problem: Problem) -> str:
    """Return the suite under which a problem is listed: the first one that has it, or ``all``."""
    return next((suite for suite in SUITES if suite in problem.suites), "all")


def _suite(title: str, members: Iterable[Problem], suite: str = "") -> Table:
    table = terminal.plain_table(title, header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for problem in members:
        table.add_row(problem.name, f"{problem.title} [{'; '.join(_facts(problem, suite))}]")
    return table


def _facts(problem: Problem, suite: str) -> Iterable[str]:
    """Yield the operators, sizes, descents and other suites of a problem."""
    yield in_words(problem.operators)
    yield _sizes(problem, short=True)
    if problem.descent:
        yield f"descend: {', '.join(problem.descent)}"
    others = [name for name in SUITES if name in problem.suites and name != suite]
    if others and suite:
        yield f"also {', '.join(others)}"


def in_words(operators: frozenset[Operator]) -> str:
    """Return ``scalar``, ``scalar but hessian``, ``vector and sparse_jacobian``, or the operators by name."""
    for word, kind in _KINDS.items():
        less, more = _named(kind - operators), _named(operators - kind)
        if len(less) + len(more) <= _FEW:
            return word + (f" but {' '.join(less)}" if less else "") + (f" and {' '.join(more)}" if more else "")
    return " ".join(_named(operators))


def _named(operators: Iterable[Operator]) -> list[str]:
    return [str(o) for o in Operator if o in set(operators)]


def _backends() -> Table:
    table = terminal.plain_table(
        "Backends: name, installed versions, native operators (others are derived)", header=False
    )
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    found = environment.versions()
    for backend in backends.available().values():
        absent = backends.missing(backend)
        have = ", ".join(f"{name} {found.get(name, '?')}" for name in backend.requires)
        state = f"not installed: {', '.join(absent)}" if absent else have or "no framework needed"
        table.add_row(backend.name, f"{state}; {_native(backend.native)}")
        for variant, words in backend.variants.items():
            if variant:
                table.add_row(join_spec(backend.name, variant), words)
    for name, package in backends.offered().items():
        table.add_row(name, f"from the package {package}")
    return table


def _orders() -> str:
    """Return the orders of modes, and the backends that offer them."""
    having = [b.name for b in backends.available().values() if set(ORDERS) <= b.orders]
    ways = ", ".join(f"{order} {words}" for order, words in ORDERS.items())
    return f"orders of modes for hvp and hessian, such as {having[0]}:fr: {ways}; on {', '.join(having)}"


def _native(operators: frozenset[Operator]) -> str:
    absent = [o for o in Operator if o not in operators]
    if len(absent) <= _FEW:
        return f"all but {' and '.join(absent)}" if absent else "all"
    return " ".join(o for o in Operator if o in operators)

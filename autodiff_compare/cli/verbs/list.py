"""The verb ``list``: list problems by suite and backends with their variants; import no framework."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table

from autodiff_compare import backends, problems
from autodiff_compare.cli import exits
from autodiff_compare.cli.console import console, usage
from autodiff_compare.cli.verbs.operators import show
from autodiff_compare.plan.plan import PlanError, load_problems
from autodiff_compare.plan.query import Query
from autodiff_compare.problems import SCALAR, VECTOR, Array, Problem, number_of
from autodiff_compare.process import environment
from autodiff_compare.summary import terminal
from autodiff_compare.vocabulary import ORDERS, SUITES, Operator, join_spec

#: Name of a whole set of operators; up to `_FEW` operators more or fewer are named beside it.
_KINDS = {"scalar": SCALAR, "vector": VECTOR}
_FEW = 2
_LEGEND = (
    "scalar: value gradient value_and_gradient jvp vjp jacobian hvp hessian",
    "vector: value jvp vjp jacobian; some: fewer operators than these",
    "* has descents, for compare.py descend",
    "list NAME describes a problem; list WORD finds those with the word in their text",
)


def listing(options: argparse.Namespace) -> int:
    """List all problems and backends, describe the problems that are named, or find some; return the exit code."""
    if options.operators:
        show(console())
        return exits.OK
    found = list(problems.available().values())
    if options.data is not None:
        try:
            found = [problems.with_data(problem, options.data) for problem in found]
        except problems.ProblemError as error:
            return usage(str(error))
    chosen = _matching(options.problems, found)
    if chosen:
        found = [problem for problem in chosen if not options.suite or problem.suites & {*options.suite}]
    elif options.problems or options.suite:
        return _described(options)
    out = console()
    for suite, words in SUITES.items():
        members = [problem for problem in found if suite == _home(problem)]
        if members:
            out.print(_suite(f"{suite}: {words}", members), markup=False)
            out.print()
    for problem in found:
        if problem.files:
            out.print(f"instances of {problem.name}, for --size: {', '.join(problem.files)}", markup=False)
    for line in _LEGEND:
        out.print(line, style="dim", markup=False)
    if not chosen:
        out.print()
        out.print(_backends())
        out.print()
        out.print(_orders(), style="dim", markup=False)
    return exits.OK


def _matching(words: Sequence[str], found: Sequence[Problem]) -> list[Problem]:
    """Return the problems whose texts have all the words; none if each word is a name or a file."""
    if all(word in problems.available() or word.endswith(".py") for word in words):
        return []
    texts = {p.name: " ".join((p.name, p.title, p.source, *p.suites)).lower() for p in found}
    return [p for p in found if all(word.lower() in texts[p.name] for word in words)]


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


def _sizes(problem: Problem) -> str:
    """Return the sizes with their numbers; their names alone where the numbers count the sizes."""
    if list(problem.sizes.values()) == list(range(len(problem.sizes))):
        return ", ".join([*problem.sizes, *problem.files])
    return ", ".join(
        [*(name if number_of(name) else f"{name} {n}" for name, n in problem.sizes.items()), *problem.files]
    )


def _home(problem: Problem) -> str:
    """Return the suite under which a problem is listed: the first one that has it, or ``all``."""
    return next((suite for suite in SUITES if suite in problem.suites), "all")


def _suite(title: str, members: Sequence[Problem]) -> Table:
    """Return a table with a row for each problem: its name, the kind of its value, its sizes, its function."""
    table = terminal.plain_table(textwrap.shorten(title, terminal.WIDTH, placeholder=" ..."))
    rows = [(f"{p.name} *" if p.descent else p.name, _kind(p), _range(p), p.title) for p in members]
    for k, name in enumerate(("problem", "value", "n")):
        # At least as wide as its text: rich would take the room from these columns first.
        table.add_column(name, no_wrap=True, min_width=max(len(row[k]) for row in rows))
    table.add_column("function", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _kind(problem: Problem) -> str:
    """Return ``scalar`` or ``vector``, or ``some`` for a problem with few of their operators."""
    word = in_words(problem.operators).partition(" ")[0]
    return word if word in _KINDS else "some"


def _range(problem: Problem) -> str:
    """Return the smallest and the largest n of a problem's sizes, or their count where n only counts them."""
    if problem.files or list(problem.sizes.values()) == list(range(len(problem.sizes))):
        return f"{len(problem.size_names)} sizes"
    low, high = min(problem.sizes.values()), max(problem.sizes.values())
    return str(low) if low == high else f"{low}-{high}"


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

"""The sizes of a run: names and patterns of a query, with the rows of batches or the degrees of Taylor series."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from autodiff_compare import problems
from autodiff_compare.plan.query import PlanError, Query, require
from autodiff_compare.problems import Problem, ProblemError
from autodiff_compare.problems.base import number_of, split_degree
from autodiff_compare.vocabulary import Operator


def matching_sizes(found: Sequence[Problem], patterns: Sequence[str]) -> list[str]:
    """Return the sizes that the patterns match, and read each instance file once to report a damaged one now."""
    known = list(dict.fromkeys(size for problem in found for size in problem.size_names))
    if "small" in patterns and "small" not in known:
        known.insert(0, "small")
    sizes: dict[str, None] = {}
    for pattern in patterns:
        matching = [size for size in known if fnmatch.fnmatchcase(size, pattern)]
        base, suffix = _split(found[0], pattern) if found else (pattern, "")
        if not matching and suffix:
            matching = [f"{size}{suffix}" for size in known if fnmatch.fnmatchcase(size, base)]
        if not matching and number_of(base) is not None:
            matching = [pattern]
        require("size", () if matching else (pattern,), known)
        sizes |= dict.fromkeys(matching)
    try:
        for problem in found:
            for size in sizes.keys() & problem.files.keys():
                problem.draw(size, 0)
    except ProblemError as error:
        raise PlanError(str(error)) from error
    return list(sizes)


def split_size(name: str) -> tuple[str, str]:
    """Return the problem and the size of ``PROBLEM/SIZE``; the name of a file, or of no such problem, has no size."""
    problem, slash, size = name.partition("/")
    known = slash and not name.endswith(".py") and problem in problems.available()
    return (problem, size) if known else (name, "")


def taken(problem: Problem, query: Query, sizes: Sequence[str]) -> list[str]:
    """Return the sizes at which a problem takes part in a query.

    ``PROBLEM/SIZE`` among the problems of a query is that size, whatever the other sizes of the query are. A problem
    that is also named alone, or is in a suite of the query, takes part at those of ``sizes`` too.

    Raises
    ------
    PlanError
        If the problem does not have a size that is named with it.
    """
    named = [size for name, size in map(split_size, query.problems) if size and name == problem.name]
    for size in named:
        base = problem.rows_of(size)[0]
        require(f"size of {problem.name}", () if _has(problem, base) else (base,), problem.size_names)
    alone = not named or problem.name in query.problems or not {"all", *problem.suites}.isdisjoint(query.suites)
    return list(dict.fromkeys([*(sizes_of(problem, sizes) if alone else ()), *named]))


def sizes_of(problem: Problem, sizes: Sequence[str]) -> list[str]:
    """Return the sizes that a problem has, or that are given by their number.

    ``small``, the default size, stands for its `Problem.smallest`.
    """
    meant = dict.fromkeys(_own(problem, size) for size in sizes)
    return [size for size in meant if _has(problem, problem.rows_of(size)[0])]


def _has(problem: Problem, size: str) -> bool:
    return size in problem.size_names or number_of(size) is not None


def _own(problem: Problem, size: str) -> str:
    """Return the size as the problem calls it: its smallest stands for ``small``, also with rows or a degree."""
    base, suffix = _split(problem, size)
    return f"{problem.smallest if base == 'small' else base}{suffix}"


def _split(problem: Problem, size: str) -> tuple[str, str]:
    """Return a size, and what follows it: the rows of a batch (``x8``) or the degree of a Taylor series (``^6``)."""
    base = problem.rows_of(size)[0]
    return base, size[len(base) :]


def with_degrees(sizes: Sequence[str], query: Query) -> list[str]:
    """Return the sizes, followed by each with the degrees of a query.

    Raises
    ------
    PlanError
        If there are degrees, and no Taylor series is asked for.
    """
    degrees = [*query.degrees, *(k for size in sizes if (k := split_degree(size)[1]))]
    if degrees and Operator.TAYLOR not in query.operators:
        raise PlanError(f"got degree {degrees[0]} without a Taylor series, expected the operator taylor: add -o taylor")
    if any(k < 1 for k in degrees):
        raise PlanError(f"got degree {min(degrees)}, expected a whole number from 1")
    return [*sizes, *(f"{size}^{k}" for size in sizes for k in query.degrees)]

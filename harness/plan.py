"""The plan: from names on a command line to the frozen list of cells, before anything is imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import backends
import problems
from harness.cells import Cell
from problems import Problem
from vocabulary import DTYPES, SUITES, Operator

DEFAULT_BACKENDS = ("numpy", "torch", "tensorflow", "jax")


class PlanError(ValueError):
    """Something asked for does not exist; the message lists the choices."""


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Parameters
    ----------
    sources
        Problem name -> the name or path that `problems.load` finds it by.
    adapters
        Backend, ``name[:variant]`` -> what `backends.load` finds it by: the same, or a user's path.
    """

    problems: tuple[Problem, ...]
    sources: dict[str, str]
    cells: tuple[Cell, ...]
    adapters: dict[str, str]
    seed: int

    @property
    def specs(self) -> tuple[str, ...]:
        """The backends, ``name[:variant]``."""
        return tuple(self.adapters)


def plan(
    names: Sequence[str] = (),
    specs: Sequence[str] = DEFAULT_BACKENDS,
    operators: Sequence[str] = (),
    dtypes: Sequence[str] = ("float64",),
    sizes: Sequence[str] = ("small",),
    seed: int = 0,
    suites: Sequence[str] = (),
) -> Plan:
    """Cells in order of problem, size, dtype and operator, the backends of one group side by side.

    Names and suites add up; without either it is the suite ``classic``. Empty ``operators`` are all that each
    problem has. A problem without one of the ``sizes`` is left out at that size.

    Raises
    ------
    PlanError
        If a problem, suite, backend, variant, operator, dtype or size does not exist.
    """
    found, sources = chosen(names, suites)
    adapters = _adapters(specs)
    _known("dtype", dtypes, DTYPES)
    _known("operator", operators, [str(o) for o in Operator])
    _known("size", sizes, list(dict.fromkeys(size for problem in found for size in problem.sizes)))
    cells = [
        Cell(problem.name, size, dtype, operator, *spec.split(":"))
        for problem in found
        for size in dict.fromkeys(sizes)
        if size in problem.sizes
        for dtype in dict.fromkeys(dtypes)
        for operator in _operators(problem, operators)
        for spec in adapters
    ]
    if not cells:
        names_found = ", ".join(p.name for p in found)
        raise PlanError(f"got operators {', '.join(operators)}, expected some that {names_found} has")
    return Plan(tuple(found), sources, tuple(cells), adapters, seed)


def chosen(names: Sequence[str] = (), suites: Sequence[str] = ()) -> tuple[list[Problem], dict[str, str]]:
    """The problems of the names and suites, and what each is found by; without either the suite ``classic``.

    Raises
    ------
    PlanError
        If there is no such problem or suite.
    """
    _known("suite", suites, list(SUITES))
    found: dict[str, Problem] = {}
    sources: dict[str, str] = {}
    try:
        for name in (*_members(suites if names or suites else ("classic",)), *names):
            for problem in problems.load(name):
                found[problem.name], sources[problem.name] = problem, name
    except problems.ProblemError as error:
        raise PlanError(str(error)) from error
    return list(found.values()), sources


def _members(suites: Sequence[str]) -> list[str]:
    return [p.name for p in problems.available().values() if "all" in suites or p.suites & set(suites)]


def _adapters(specs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for spec in dict.fromkeys(specs):
        try:
            name = backends.load(spec).spec
        except ValueError as error:
            raise PlanError(str(error)) from error
        if found.setdefault(name, spec) != spec:
            raise PlanError(f"got two backends named {name!r}, {found[name]} and {spec}: rename one")
    return found


def _operators(problem: Problem, wanted: Iterable[str]) -> list[Operator]:
    """In the order of the vocabulary, so that the value comes before what is compared to it."""
    has = problem.operators | ({Operator.STEP} if problem.descent else set())
    return [o for o in Operator if o in has and (not wanted or o in wanted)]


def _known(what: str, given: Sequence[str], choices: Sequence[str]) -> None:
    for name in given:
        if name not in choices:
            raise PlanError(f"got {what} {name!r}, expected one of: {', '.join(choices)}")

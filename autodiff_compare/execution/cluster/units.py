"""Units: the smallest pieces of a plan that are sent to another machine, and what is sent with each.

A ratio between two machines means nothing. Whatever is compared with each other is therefore in one unit: all operators
and backends, in all launches, of one (problem, size, dtype). The questions of a problem are a unit by themselves, and
so are its descents. A unit may be as small as one group, and as large as a problem; it never holds half a group.

What is sent is an *order*, a JSON object on one line: names, settings, and the texts of users' files. A host makes the
same plan of it, and draws the same numbers from its seed. What comes back is lines of a run's log.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autodiff_compare.execution.cluster.texts import Copies, Texts
from autodiff_compare.execution.problem_studies import descents_left, questions_left
from autodiff_compare.execution.runner import Part, groups_left
from autodiff_compare.plan.cases import Cell
from autodiff_compare.plan.plan import Plan, PlanError, at_points, load_problems
from autodiff_compare.plan.query import Query
from autodiff_compare.plan.settings import Isolate, Settings
from autodiff_compare.plan.unplannable import is_unplannable
from autodiff_compare.process import interpreters
from autodiff_compare.process.interpreters import InterpreterError
from autodiff_compare.results import tables
from autodiff_compare.results.rows import CellRow
from autodiff_compare.results.store import RunFolder
from autodiff_compare.vocabulary import Operator, Status


@dataclass(frozen=True)
class Unit:
    """A piece of a plan that one host carries out.

    Parameters
    ----------
    name
        ``problem/size/dtype``, ``problem/questions`` or ``problem/descents``.
    part
        The part of a run to which it belongs.
    problem
        Name of its problem.
    groups
        The groups of cells that are to be computed; none of questions and descents.
    """

    name: str
    part: Part
    problem: str
    groups: tuple[tuple[Cell, ...], ...] = ()


def units(plan: Plan, settings: Settings, folder: RunFolder) -> list[Unit]:
    """Return the units of what the folder does not hold yet, in the order of the plan.

    The cells of a file that cannot be planned are no unit: they end without any backend.
    """
    here = {problem.name for problem in plan.problems if is_unplannable(problem)}
    grouped: dict[tuple[str, str, str], list[tuple[Cell, ...]]] = {}
    for cells in groups_left(plan, settings, folder):
        if cells[0].problem not in here:
            grouped.setdefault(cells[0].group[:3], []).append(tuple(cells))
    found = [Unit("/".join(key), Part.CELLS, key[0], tuple(groups)) for key, groups in grouped.items()]
    for problem in (p for p in plan.problems if p.name not in here):
        if questions_left(problem, plan, folder):
            found.append(Unit(f"{problem.name}/questions", Part.QUESTIONS, problem.name))
        if descents_left(problem, plan, settings, folder):
            found.append(Unit(f"{problem.name}/descents", Part.DESCENTS, problem.name))
    return found


def order(unit: Unit, plan: Plan, query: Query, settings: Settings, folder: RunFolder, texts: Texts) -> dict[str, Any]:
    """Return what is sent to the host that carries out a unit.

    Of the budget of all timing, a unit gets the share of its groups among all groups of the plan.
    """
    groups = len({cell.group for cell in plan.cells})
    budget = settings.budget_s and settings.budget_s * len(unit.groups) / groups
    cells = [cell for group in unit.groups for cell in group]
    if unit.part == Part.DESCENTS:
        cells = [c for c in plan.cells if c.problem == unit.problem and c.operator == Operator.STEP]
    key = cells[0].group[:3] if unit.part == Part.CELLS else ()
    values = [
        vars(row)
        for row in folder.rows["cells"]
        if (row.problem, row.size, row.dtype) == key and row.operator == Operator.VALUE and row.status == Status.OK
    ]
    prefix = f"{unit.part}/{unit.problem}/"
    return {
        "unit": unit.name,
        "part": unit.part,
        "run_id": folder.run_id,
        "problem": unit.problem,
        "source": plan.sources[unit.problem],
        "query": _plain(query),
        "cells": [dataclasses.astuple(cell) for cell in cells],
        "adapters": plan.adapters,
        "interpreters": {spec: f"{i.label}={i.path}" for spec, i in plan.interpreters.items()},
        "limited": {spec: sorted(operators) for spec, operators in plan.limited.items()},
        "settings": {**dataclasses.asdict(settings), "budget_s": budget},
        "values": values,
        "done": sorted(piece for piece in folder.done if piece.startswith(prefix)),
        "texts": texts.of([plan.sources[unit.problem], *plan.adapters.values()]).message(),
    }


def _plain(query: Query) -> dict[str, Any]:
    """Return the fields of a query as JSON has them, without its problems."""
    fields = {f.name: getattr(query, f.name) for f in dataclasses.fields(query)}
    points = [[_parts(value) for value in point] for point in query.points]
    return fields | {"problems": (), "suites": (), "data": None, "points": points}


def _parts(value: complex) -> tuple[float, ...]:
    """Return the parts of a number; a complex one keeps its imaginary part, of which a zero has a sign."""
    return (value.real, value.imag) if isinstance(value, complex) else (float(value),)


def _query(fields: Mapping[str, Any], source: str) -> Query:
    """Return the query of one problem from its plain fields."""
    points = tuple(
        tuple(complex(*parts) if len(parts) == 2 else float(*parts) for parts in p) for p in fields["points"]
    )
    return Query(**{**_tuples(fields), "problems": (source,), "points": points})


def _tuples(value: Any) -> Any:
    """Return a value of JSON with tuples for lists, as the fields of a query are."""
    if isinstance(value, dict):
        return {name: _tuples(part) for name, part in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def planned(order: Mapping[str, Any], copies: Copies) -> Plan:
    """Return the plan of a unit on the host that carries it out.

    Raises
    ------
    PlanError
        If this host cannot load the problem, or lacks an interpreter.
    """
    source = copies.place(order["source"])
    query = _query(order["query"], source)
    found = at_points(load_problems(query)[0], query)
    problem = next((p for p in found if p.name == order["problem"]), None)
    if problem is None:
        raise PlanError(f"got no problem {order['problem']!r} in {order['source']} on this host")
    try:
        foreign = {spec: interpreters.found(text) for spec, text in order["interpreters"].items()}
    except InterpreterError as error:
        raise PlanError(str(error)) from error
    return Plan(
        problems=(problem,),
        sources={problem.name: source},
        cells=tuple(Cell(p, s, d, Operator(o), b, v) for p, s, d, o, b, v in order["cells"]),
        adapters={spec: copies.place(text) for spec, text in order["adapters"].items()},
        seed=query.seed,
        interpreters=foreign,
        limited={spec: frozenset(map(Operator, names)) for spec, names in order["limited"].items()},
        every=query.every,
    )


def settings_of(order: Mapping[str, Any]) -> Settings:
    """Return the settings of a unit."""
    given = order["settings"]
    return Settings(**{**given, "isolate": Isolate(given["isolate"])})


def known_values(order: Mapping[str, Any]) -> list[CellRow]:
    """Return the rows of the unit's values that are known to be right."""
    return [tables.row(CellRow, fields) for fields in order["values"]]


def texts_of(order: Mapping[str, Any]) -> Texts:
    """Return the users' files of a unit."""
    found = order["texts"]
    return Texts(found["folders"], {name: (folder, below) for name, (folder, below) in found["given"].items()})

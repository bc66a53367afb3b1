"""The order of the rows of a run: that of its plan, in whatever order they have come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autodiff_compare.plan.plan import Plan
from autodiff_compare.vocabulary import Operator


def in_plan_order(rows: Mapping[str, Sequence[Any]], plan: Plan) -> dict[str, list[Any]]:
    """Return the rows of each table in the order in which an undisturbed run on one machine writes them.

    Rows about the same thing keep their order, and rows of which the plan knows nothing come last.
    """
    ranks = _ranks(plan)
    return {name: sorted(table, key=ranks[name]) if name in ranks else list(table) for name, table in rows.items()}


def _ranks(plan: Plan) -> dict[str, Callable[[Any], int]]:
    """Return table -> the function that returns the place of a row's subject in the plan."""
    last = len(plan.cells)
    cells = {cell.cell_id: place for place, cell in enumerate(plan.cells)}
    groups = {cell.group: place for place, cell in reversed([*enumerate(plan.cells)])}
    # Descents follow the cells of the operator step, and are named by their descent in the place of a size.
    steps = {
        (c.problem, c.dtype, c.spec): cells[c.cell_id] for c in reversed(plan.cells) if c.operator == Operator.STEP
    }
    asked = [(q.name, spec) for problem in plan.problems for spec in plan.specs for q in problem.questions]
    questions = {key: place for place, key in enumerate(asked)}

    def of_cell(row: Any) -> int:
        return cells.get(row.cell_id, last)

    def of_group(row: Any) -> int:
        return groups.get((row.problem, row.size, row.dtype, row.operator), last)

    def of_descent(row: Any) -> int:
        problem, _, dtype, _, spec = row.cell_id.rsplit("/", 4)
        return steps.get((problem, dtype, spec), last)

    return {
        "cells": of_cell,
        "checks": of_cell,
        "samples": of_cell,
        "pairs": of_group,
        "descents": of_descent,
        "steps": of_descent,
        "questions": lambda row: questions.get((row.question, row.backend), last),
    }

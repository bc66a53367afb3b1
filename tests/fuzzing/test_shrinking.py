"""Shrinking to the smallest program that still fails, by predicates whose smallest program is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from autodiff_compare.fuzzing.generator import Recipe, programs
from autodiff_compare.fuzzing.program import Input, Program, Step
from autodiff_compare.fuzzing.shrinking import candidates, renamed, shrunk


def containing(*operations: str):  # type: ignore[no-untyped-def]
    """Return the predicate that all these operations occur."""
    return lambda some: [set(operations) <= set(p.operations) for p in some]


@pytest.mark.parametrize(
    ("operations", "scalar", "steps"),
    [(("tanh",), False, 1), (("tanh",), True, 1), (("det",), True, 1), (("cumulative_sum",), True, 2)],
)
def test_a_program_shrinks_to_the_operation_at_fault(operations: tuple[str, ...], scalar: bool, steps: int) -> None:
    found = next(
        p
        for _, p in programs(0, Recipe(awkward=0.0))
        if set(operations) <= set(p.operations) and p.value.ndim == 0 and len(p.steps) > 4
    )
    small = shrunk(found, containing(*operations), scalar=scalar)
    assert set(operations) <= set(small.operations)
    assert len(small.steps) == steps, small.source()
    assert small.size <= 3
    assert small.singular == ()


def test_every_candidate_is_smaller_so_that_shrinking_ends() -> None:
    steps = (
        Step("a", "sin", ("x0",)),
        Step("b", "multiply", ("a", "x1")),
        Step("c", "cumulative_sum", ("b",), {"axis": 0}),
    )
    program = Program((Input("x0", np.array([0.123, 0.456])), Input("x1", np.array([1.5, 2.5]))), steps, "c")
    found = list(candidates(program, scalar=False))
    assert found
    assert all(len(c.steps) <= 3 and c.size <= 4 for c in found)


def test_what_needs_a_value_keeps_it() -> None:
    """A fault at negative entries of exp keeps a negative entry."""
    program = Program((Input("x0", np.array([0.7, -1.3])),), (Step("a", "exp", ("x0",)), Step("b", "sin", ("a",))), "b")

    def fails(some: Sequence[Program]) -> list[bool]:
        return ["exp" in p.operations and bool((p.values[p.steps[0].operands[0]] < 0).any()) for p in some]

    small = shrunk(program, fails, scalar=False)
    assert small.operations == ("exp",)
    assert (small.inputs[0].value < 0).all()
    assert small.inputs[0].value.size == 1


def test_names_are_in_order() -> None:
    program = Program((Input("v7", np.array(1.0)),), (Step("total", "sin", ("v7",)),), "total")
    assert (
        renamed(program).source()
        == Program((Input("x0", np.array(1.0)),), (Step("v0", "sin", ("x0",)),), "v0").source()
    )

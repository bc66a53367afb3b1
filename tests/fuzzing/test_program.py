"""Programs as data: their text, their values, and the problem file that they print as."""

from __future__ import annotations

import numpy as np
import pytest

from autodiff_compare.fuzzing.operations import FAMILIES, OPERATIONS
from autodiff_compare.fuzzing.program import Input, Program, Step, evaluated, problem_of_text
from autodiff_compare.problems import SCALAR

PROGRAM = Program(
    (Input("x0", np.array([0.5, 1.5])), Input("x1", np.array(2.0))),
    (
        Step("v0", "sin", ("x0",)),
        Step("v1", "multiply", ("v0", "x1")),
        Step("unused", "exp", ("x1",)),
        Step("v2", "sum", ("v1",), {"axis": None, "keepdims": False}),
    ),
    "v2",
)
TEXT = '''\
"""A sine."""

import numpy as np


def objective(x0, x1, xp):
    v0 = xp.sin(x0)
    v1 = v0 * x1
    v2 = xp.sum(v1, axis=None, keepdims=False)
    return v2


INPUTS = (np.array([0.5, 1.5]), np.array(2.0))
'''


def test_a_program_prints_as_a_problem_file() -> None:
    assert PROGRAM.without_unused().source("A sine.") == TEXT


def test_the_text_has_the_value_of_the_steps() -> None:
    value = problem_of_text(TEXT).function(_Plain, {})(np.array([0.5, 1.5]), np.array(2.0))
    # 2 (sin 0.5 + sin 1.5), by the definition of the program.
    assert value == pytest.approx(2 * (np.sin(0.5) + np.sin(1.5)), rel=1e-15)
    assert PROGRAM.value == value


class _Plain:
    xp = np


def test_unused_steps_and_inputs_are_left_out_but_one_input_stays() -> None:
    constant = Program(PROGRAM.inputs, PROGRAM.steps, "x1").without_unused()
    assert [x.name for x in constant.inputs] == ["x1"]
    assert constant.steps == ()
    assert [s.name for s in PROGRAM.without_unused().steps] == ["v0", "v1", "v2"]


def test_pairs_are_producers_with_consumers() -> None:
    assert PROGRAM.without_unused().pairs == {("sin", "multiply"), ("multiply", "sum")}


def test_data_gives_the_program_back() -> None:
    assert Program.from_data(PROGRAM.as_data()).source() == PROGRAM.source()


def test_a_program_with_a_scan_prints_as_a_whole_problem() -> None:
    body = {"body": "xp.sin(c) + x"}
    steps = (Step("v0", "scan", ("x0",), body), Step("v1", "sum", ("v0",), {"axis": None, "keepdims": False}))
    program = Program((Input("x0", np.array([[0.5], [1.0]])),), steps, "v1")
    problem = problem_of_text(program.source())
    assert problem.uses == ("scan",)
    assert problem.operators == SCALAR
    # c = sin(sin(0) + 0.5) + 1, from the body by hand.
    assert program.value == pytest.approx(np.sin(0.5) + 1.0, rel=1e-15)


def test_empty_and_negative_zero_survive_as_text() -> None:
    program = Program(
        (Input("x0", np.zeros((2, 0))), Input("x1", np.array(-0.0))), (Step("v0", "add", ("x0", "x1")),), "v0"
    )
    inputs = problem_of_text(program.source()).draw("small", 0).differentiated
    assert inputs[0].shape == (2, 0)
    assert np.signbit(inputs[1])


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_smooth_at_some_operands(name: str) -> None:
    """Each is drawn with operands that it takes, at which NumPy has a finite value and its predicate holds."""
    kind, rng = OPERATIONS[name], np.random.default_rng(0)
    assert kind.family in FAMILIES
    shapes = ((3, 3), (3,), (2, 3), (1, 3), ())
    for _ in range(400):
        operands = [
            rng.uniform(0.2, 1.8, shapes[rng.integers(5)]) * rng.choice([1.0, -1.0]) for _ in range(kind.operands)
        ]
        parameters = kind.draws(rng, *operands)
        if parameters is not None and kind.smooth_at(*operands):
            step = Step("v", name, ("a", "b")[: kind.operands], parameters)
            assert np.isfinite(evaluated(step, dict(zip("ab", operands, strict=False)))).all()
            return
    pytest.fail("no operands fit")

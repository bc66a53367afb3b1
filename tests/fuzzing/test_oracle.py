"""Classes of outcomes, on programs whose derivatives are known in closed form."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from autodiff_compare.fuzzing.batch import Outcome
from autodiff_compare.fuzzing.evidence.engine_results import EngineResults
from autodiff_compare.fuzzing.oracle import Class, Oracle
from autodiff_compare.fuzzing.program import Input, Program, Step
from autodiff_compare.vocabulary import Operator, Status

X = np.array([0.5, -1.25])
TOTAL = {"axis": None, "keepdims": False}


def of(operations: Sequence[str], point: Any = X) -> Program:
    """Return ``sum`` of a chain of unary operations."""
    names = ["x0", *(f"v{k}" for k in range(len(operations)))]
    steps = [Step(names[k + 1], name, (names[k],)) for k, name in enumerate(operations)]
    return Program((Input("x0", np.asarray(point)),), (*steps, Step("s", "sum", (names[-1],), TOTAL)), "s")


SINE, LENGTH = of(["sin"]), of(["abs"], np.array([0.0, 2.0]))
RIGHT = np.cos(X)
#: Program, operator, result -> class and kind. The gradient of sum(sin x) is cos x; |x| at 0 has slopes from -1 to 1.
CASES = [
    (SINE, Operator.GRADIENT, RIGHT, Class.AGREE, ""),
    (SINE, Operator.GRADIENT, -RIGHT, Class.DEFECT, "number"),
    (SINE, Operator.GRADIENT, RIGHT * np.array([1.0, 1.001]), Class.DEFECT, "number"),
    (SINE, Operator.GRADIENT, 0 * RIGHT, Class.DEFECT, "number"),
    (SINE, Operator.GRADIENT, RIGHT * np.array([1.0, np.nan]), Class.DEFECT, "nan"),
    (SINE, Operator.GRADIENT, RIGHT[:1], Class.DEFECT, "shape"),
    (SINE, Operator.GRADIENT, RIGHT.astype(np.float32), Class.DEFECT, "dtype"),
    (SINE, Operator.GRADIENT, RIGHT.astype(np.float32).astype(np.float64), Class.PRECISION, "digits"),
    (SINE, Operator.VALUE, np.sum(np.sin(X)), Class.AGREE, ""),
    (SINE, Operator.VALUE, np.sum(np.cos(X)), Class.DEFECT, "value"),
    (LENGTH, Operator.GRADIENT, np.array([0.0, 1.0]), Class.AGREE, ""),
    (LENGTH, Operator.GRADIENT, np.array([0.25, 1.0]), Class.CONVENTION, ""),
    (LENGTH, Operator.GRADIENT, np.array([1.5, 1.0]), Class.DEFECT, "number"),
    # At 0 the square root has no derivative, so that nan is no defect; x |x| has no second one.
    (of(["sqrt"], np.array([0.0, 4.0])), Operator.GRADIENT, np.array([np.nan, 0.25]), Class.UNDECIDED, ""),
]


@pytest.mark.parametrize(("program", "operator", "result", "classed", "kind"), CASES)
def test_an_outcome_is_classed(program: Program, operator: Operator, result: Any, classed: Class, kind: str) -> None:
    found = Oracle(program, "float64").judgement(operator, Outcome(Status.OK, (np.asarray(result),)))
    if classed == Class.AGREE and program is LENGTH:
        # Our engine's own convention is a subgradient like any other.
        assert found.classed in (Class.AGREE, Class.CONVENTION)
        return
    assert (found.classed, found.kind) == (classed, kind), found.words


@pytest.mark.parametrize(
    ("status", "message", "classed", "kind"),
    [
        (Status.UNSUPPORTED, "no rule", Class.UNSUPPORTED, ""),
        (Status.ERROR, "RuntimeError: no", Class.ERROR, "RuntimeError"),
        (Status.CRASH, "crash: killed", Class.ERROR, "crash"),
        (Status.TIMEOUT, "timeout: no response", Class.HANG, "hang"),
    ],
)
def test_a_failure_is_classed(status: Status, message: str, classed: Class, kind: str) -> None:
    found = Oracle(SINE, "float64").judgement(Operator.GRADIENT, Outcome(status, (), message))
    assert (found.classed, found.kind) == (classed, kind)


def test_an_exception_where_no_derivative_exists_is_undecided() -> None:
    at_zero = of(["log1p", "sqrt"], np.array([0.0, 1.0]))
    found = Oracle(at_zero, "float64").judgement(Operator.GRADIENT, Outcome(Status.ERROR, (), "ValueError: no"))
    assert found.classed == Class.UNDECIDED
    assert "sqrt" in found.words


def test_a_gradient_that_counts_a_tie_twice_is_a_defect() -> None:
    """The maximum of two equal numbers: each slope is between 0 and 1, and together they are 1."""
    point = (Input("x0", np.ones(1)), Input("x1", np.ones(1)))
    steps = (Step("m", "maximum", ("x0", "x1")), Step("s", "sum", ("m",), TOTAL))
    oracle = Oracle(Program(point, steps, "s"), "float64")
    for first, second, classed in (
        (1.0, 0.0, Class.CONVENTION),
        (0.5, 0.5, Class.CONVENTION),
        (1.0, 1.0, Class.DEFECT),
    ):
        outcome = Outcome(Status.OK, (np.full(1, first), np.full(1, second)))
        assert oracle.judgement(Operator.GRADIENT, outcome).classed == classed, (first, second)


def test_conventions_of_several_operations_are_no_defect() -> None:
    """``|x| - |-x|`` is 0; two conventions may give anything between -2 and 2."""
    steps = (
        Step("a", "abs", ("x0",)),
        Step("n", "negative", ("x0",)),
        Step("b", "abs", ("n",)),
        Step("c", "subtract", ("a", "b")),
        Step("s", "sum", ("c",), TOTAL),
    )
    oracle = Oracle(Program((Input("x0", np.zeros(1)),), steps, "s"), "float64")
    found = oracle.judgement(Operator.GRADIENT, Outcome(Status.OK, (np.full(1, 2.0),)))
    assert found.classed == Class.UNDECIDED
    assert "abs" in found.words


def test_conventions_of_two_operands_are_no_defect() -> None:
    """``copysign(x, x)`` is x, with slope 1; its operands have conventions at 0 that add up to 0 or more."""
    steps = (Step("a", "copysign", ("x0", "x0")), Step("s", "sum", ("a",), TOTAL))
    oracle = Oracle(Program((Input("x0", np.zeros(1)),), steps, "s"), "float64")
    assert oracle.judgement(Operator.GRADIENT, Outcome(Status.OK, (np.zeros(1),))).classed == Class.UNDECIDED


@pytest.mark.parametrize(
    ("operation", "factor", "classed"),
    [("sign", 1.0, Class.UNDECIDED), ("abs", 0.0, Class.DEFECT), ("sin", 0.0, Class.DEFECT)],
)
def test_the_chain_rule_promises_nothing_at_a_jump(operation: str, factor: float, classed: Class) -> None:
    """``x + s sin(x s)`` with s = sign(x) is x + sin(x), with slope 2; by the chain rule it is 1 at 0, where s is 0.

    With s = |x| or sin(x) it is x and a cube or more, with slope 1 by the chain rule too.
    """
    steps = (
        Step("s", operation, ("x0",)),
        Step("a", "multiply", ("x0", "s")),
        Step("b", "sin", ("a",)),
        Step("c", "multiply", ("s", "b")),
        Step("d", "add", ("c", "x0")),
        Step("t", "sum", ("d",), TOTAL),
    )
    oracle = Oracle(Program((Input("x0", np.zeros(2)),), steps, "t"), "float64")
    assert oracle.judgement(Operator.GRADIENT, Outcome(Status.OK, (np.full(2, factor),))).classed == classed


@pytest.mark.parametrize(
    ("operator", "right", "classed"),
    [
        (Operator.HVP, False, Class.UNDECIDED),
        (Operator.HVP, True, Class.AGREE),
        (Operator.GRADIENT, False, Class.DEFECT),
    ],
)
def test_the_slope_at_a_kink_is_a_factor_of_second_derivatives(operator: Operator, right: bool, classed: Class) -> None:
    """``maximum(x**2, 0)`` is a square; its second derivative at 0 is 2, or by the chain rule anything from 0 to 2."""
    steps = (Step("a", "square", ("x0",)), Step("b", "maximum_scalar", ("a",)), Step("s", "sum", ("b",), TOTAL))
    oracle = Oracle(Program((Input("x0", np.zeros(1)),), steps, "s"), "float64")
    (t,) = oracle.point.case(operator).directions or (np.ones(1),)
    found = 2.0 * t if right else t
    assert oracle.judgement(operator, Outcome(Status.OK, (found,))).classed == classed


def test_what_is_below_a_rounding_of_the_value_is_undecided() -> None:
    """Entries of the factor of x x^T + 1 are 1 for numbers near 1e-12: differences are 0, and slopes about 1e-12."""
    point = (Input("x0", np.array([[[-0.0]], [[1e-12]]])),)
    steps = (
        Step("v0", "cholesky", ("x0",), {"n": 2}),
        Step("v1", "log_softmax", ("v0",), {"axis": -3}),
        Step("v2", "logsumexp", ("v1",), {"axis": 1, "keepdims": False}),
    )
    oracle = Oracle(Program(point, steps, "v2"), "float64")
    (tangents,) = EngineResults(oracle.point).expected(Operator.JVP)
    assert 0 < np.max(np.abs(tangents)) < 1e-11
    assert oracle.judgement(Operator.JVP, Outcome(Status.OK, (tangents,))).classed != Class.PRECISION
    assert oracle.judgement(Operator.JVP, Outcome(Status.OK, (tangents + 1.0,))).classed == Class.DEFECT


def test_a_rounding_of_the_reference_is_undecided() -> None:
    """``hypot(3 x, x)`` is a multiple of x: its second derivative is 0, and that of the reference is a rounding."""
    steps = (Step("a", "scale", ("x0",), {"k": 3.0}), Step("b", "hypot", ("a", "x0")))
    oracle = Oracle(Program((Input("x0", np.array(0.388)),), steps, "b"), "float32")
    for found, right in ((0.0, True), (1e-8, True), (1e-3, False)):
        outcome = Outcome(Status.OK, (np.array(found, dtype=np.float32),))
        assert (oracle.judgement(Operator.HVP, outcome).classed != Class.DEFECT) == right


def test_a_curvature_that_jumps_has_no_second_derivative() -> None:
    """``x |x|`` at 0: central second differences see 0, the mean of -2 and 2."""
    steps = (Step("a", "abs", ("x0",)), Step("b", "multiply", ("x0", "a")), Step("s", "sum", ("b",), TOTAL))
    oracle = Oracle(Program((Input("x0", np.zeros(1)),), steps, "s"), "float64")
    (t,) = oracle.point.case(Operator.HVP).directions
    for slope in (2.0, -2.0, 1.0):
        assert oracle.judgement(Operator.HVP, Outcome(Status.OK, (slope * t,))).classed not in (Class.DEFECT,)


def test_a_curvature_that_jumps_is_seen_beside_large_ones() -> None:
    """``x |x|`` at 0 and cubes of 40, with curvature 240 each: the jump is 1 % of the sum."""
    point = (Input("x0", np.zeros(1)), Input("x1", np.full(4, 40.0)))
    steps = (
        Step("a", "abs", ("x0",)),
        Step("b", "multiply", ("x0", "a")),
        Step("c", "power", ("x1",), {"k": 3}),
        Step("d", "add", ("b", "c")),
        Step("s", "sum", ("d",), TOTAL),
    )
    oracle = Oracle(Program(point, steps, "s"), "float64")
    t, u = oracle.point.case(Operator.HVP).directions
    # d is summed over four copies of x |x|: -8 and 8 are the curvatures of its sides.
    for slope in (8.0, -8.0):
        outcome = Outcome(Status.OK, (slope * t, 240.0 * u))
        assert oracle.judgement(Operator.HVP, outcome).classed != Class.DEFECT


@pytest.mark.parametrize(
    ("dtype", "error", "classed"), [("float32", 1e-5, Class.PRECISION), ("float32", 0, Class.AGREE)]
)
def test_single_precision_has_its_own_digits(dtype: str, error: float, classed: Class) -> None:
    x = X.astype(np.float32).astype(np.float64)
    result = (np.cos(x) * (1 + error)).astype(np.float32)
    found = Oracle(of(["sin"], x), "float32").judgement(Operator.GRADIENT, Outcome(Status.OK, (result,)))
    assert found.classed == classed, found.words


@pytest.mark.parametrize(("dtype", "classed"), [("float64", Class.CONVENTION), ("float32", Class.UNDECIDED)])
def test_a_tie_that_rounding_moves_is_undecided(dtype: str, classed: Class) -> None:
    """min(tanh x, y) at y = tanh x: half of each slope is a subgradient, and no slope where the tie is broken."""
    x, y = np.array([0.7]), np.tanh(np.array([0.7]))
    assert float(np.tanh(np.float64(np.float32(0.7)))) != float(np.float32(y[0])), "rounding must break the tie"
    steps = (Step("a", "tanh", ("x0",)), Step("b", "minimum", ("a", "x1")), Step("s", "sum", ("b",), TOTAL))
    program = Program((Input("x0", x), Input("x1", y)), steps, "s")
    halves = [np.array(0.5 * (1 - y**2), dtype), np.array([0.5], dtype)]
    outcome = Outcome(Status.OK, tuple(halves))
    assert Oracle(program, dtype).judgement(Operator.GRADIENT, outcome).classed == classed


def test_an_oracle_is_freed_with_all_that_it_has_computed() -> None:
    """A campaign judges thousands of programs: none of them may stay in memory."""
    oracle = Oracle(SINE, "float64")
    for found, classed in ((RIGHT, Class.AGREE), (RIGHT + 1.0, Class.DEFECT)):
        assert oracle.judgement(Operator.GRADIENT, Outcome(Status.OK, (found,))).classed == classed
    point = weakref.ref(oracle.point)
    del oracle
    gc.collect()
    assert point() is None

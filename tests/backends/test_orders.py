"""Second derivatives in each order of modes: all give the same Hessian, and the tables name the order taken."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.backends import Unsupported, load
from autodiff_compare.plan.cases import build_case, cast, leaves
from autodiff_compare.plan.plan import PlanError, plan
from autodiff_compare.plan.query import Query
from autodiff_compare.vocabulary import ORDERS, SECOND_ORDER, Operator
from tests.backends.test_derived import Poor
from tests.conftest import opened

O = Operator  # noqa: E741
#: A vector and a scalar; a matrix; a vector and scalars, through linear algebra; the backend's own loop.
PROBLEMS = ("logistic_regression", "matrix_inverse_squared", "gaussian_process", "ode")
SPECS = ("numpy", "numpy:compiled", "torch", "tensorflow", "tensorflow:eager", "jax", "jax:eager")
#: Only products are tested of these on a backend that traces: their Hessians take up to a minute to trace. Those of the
#: matrix are built in the same way in each order.
DEAR = ("gaussian_process", "ode")
#: Backends that compute the Hessian of `logistic_regression` in each order: it takes TensorFlow 5 to 15 s, and JAX
#: without jit 3 s. That of the matrix, and blocks of two inputs, are tried on every backend.
QUICK = ("numpy", "numpy:compiled", "torch", "jax")
#: Measured: 3e-15 at most.
CLOSE = 1e-13
#: Cases in which a graph of TensorFlow 2.21 has no forward mode.
REFUSED = {
    *(("ode", "tensorflow", order) for order in ("fr", "rf", "ff")),
    ("logistic_regression", "tensorflow", "ff"),  # a comparison within logaddexp
}
#: torch 2.13 differentiates the forward mode of ``linalg.solve`` (and ``logdet``) wrongly, without an error.
WRONG = {("gaussian_process", spec, order) for spec in ("torch",) for order in ("rf", "ff")}


@functools.cache
def found(problem: str, operator: Operator, spec: str, dtype: str = "float64") -> tuple[tuple[Any, ...], str]:
    """Return the results of a function that was prepared at another point, and the mode that the backend reports."""
    backend, known = opened(spec), problems.available()[problem]
    case, other = (build_case(known, "small", dtype, operator, seed) for seed in (3, 4))

    def given(case: Any) -> list[Any]:
        return [backend.to_var(cast(a, dtype)) for a in (*case.inputs.arrays, *case.directions)]

    n = len(case.inputs.arrays)
    run = backend.prepare(
        operator,
        known.function(backend, case.inputs.static),
        given(other)[:n],
        argnums=range(len(case.inputs.differentiated)),
        directions=given(other)[n:],
    )
    mode = backend.mode(operator)
    return tuple(backend.to_numpy(leaf) for leaf in leaves(backend.block(run(*given(case))))), mode


def distance(a: tuple[Any, ...], b: tuple[Any, ...]) -> float:
    """Return the difference of two results, relative to the second."""
    x, y = (np.concatenate([np.ravel(part) for part in parts]) for parts in (a, b))
    return float(np.linalg.norm(x - y) / np.linalg.norm(y))


def cases() -> list[Any]:
    return [
        pytest.param(problem, operator, spec, order, marks=pytest.mark.xdist_group(problem))
        for problem in PROBLEMS
        for operator in sorted(SECOND_ORDER)
        for spec in SPECS
        for order in ORDERS
        if problem not in DEAR or (operator is O.HVP and spec != "jax:eager") or spec in ("numpy", "torch")
        if (problem, operator) != ("logistic_regression", O.HESSIAN) or spec in QUICK
    ]


@pytest.mark.parametrize(("problem", "operator", "spec", "order"), cases())
def test_every_order_gives_the_same_second_derivatives(problem: str, operator: Operator, spec: str, order: str) -> None:
    expected, _ = found(problem, operator, "numpy")
    if (problem, spec, order) in REFUSED:
        with pytest.raises(Unsupported, match=rf"cannot trace {ORDERS[order]} .*tf.while_loop.*: try tensorflow:eager"):
            found(problem, operator, f"{spec}:{order}")
        return
    result, mode = found(problem, operator, f"{spec}:{order}")
    assert mode == ORDERS[order]
    assert [part.shape for part in result] == [part.shape for part in expected]
    assert (distance(result, expected) <= CLOSE) != ((problem, spec, order) in WRONG)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("spec", SPECS)
def test_blocks_of_two_inputs_are_right_in_every_order(spec: str, order: str) -> None:
    """Of ``s sum(x^3)`` they are ``6 s diag(x)`` and, for the scalar ``s``, ``3 x^2`` twice and 0."""
    backend, x = opened(f"{spec}:{order}"), np.array([1.5, -2.0])
    args = [backend.to_var(x), backend.to_var(np.array(0.5))]
    run = backend.prepare(O.HESSIAN, lambda x, s: s * backend.xp.sum(x * x * x), args, argnums=(0, 1))
    blocks = [backend.to_numpy(block) for block in leaves(backend.block(run(*args)))]
    for got, expected in zip(blocks, (np.diag(3 * x), 3 * x * x, 3 * x * x, np.zeros(())), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-14, strict=True)


@pytest.mark.parametrize("operator", sorted(SECOND_ORDER))
@pytest.mark.parametrize("spec", SPECS)
def test_what_is_taken_by_default_is_the_order_that_it_is_called(spec: str, operator: Operator) -> None:
    """The default order, requested by name, gives the same bits, except perhaps the last one."""
    problem = {O.HVP: "logistic_regression", O.HESSIAN: "matrix_inverse_squared"}[operator]
    default, mode = found(problem, operator, spec)
    (order,) = [o for o, words in ORDERS.items() if words == mode]
    named, _ = found(problem, operator, f"{spec}:{order}")
    assert distance(named, default) <= 2 * np.finfo(float).eps


def test_tensorflow_says_where_it_took_another_order_than_usual() -> None:
    assert found("logistic_regression", O.HVP, "tensorflow")[1] == ORDERS["fr"]
    assert found("ode", O.HVP, "tensorflow")[1] == ORDERS["rr"]
    assert found("logistic_regression", O.HVP, "tensorflow:eager")[1] == ORDERS["fr"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("spec", ["numpy", "torch", "tensorflow:eager", "jax"])
def test_an_order_keeps_float32(spec: str, order: str) -> None:
    result, _ = found("logistic_regression", O.HVP, f"{spec}:{order}", "float32")
    assert {part.dtype.name for part in result} == {"float32"}
    expected, _ = found("logistic_regression", O.HVP, "numpy", "float32")
    assert distance(result, expected) <= 1e-5


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("spec", ["numpy", "torch", "tensorflow:eager", "jax"])
def test_an_order_leaves_other_operators_and_edges_alone(spec: str, order: str) -> None:
    backend = opened(f"{spec}:{order}")
    x, none = backend.to_var(np.array([1.5, -2.0])), backend.to_var(np.zeros((0, 2)))
    (gradient,) = backend.prepare(O.GRADIENT, lambda x: backend.xp.sum(x * x * x), [x])(x)
    np.testing.assert_allclose(backend.to_numpy(gradient), [6.75, 12.0], rtol=1e-14)
    assert backend.mode(O.GRADIENT) == ""
    run = backend.prepare(O.HESSIAN, lambda x, y: backend.xp.sum(x * x), [x, none], argnums=(0, 1))
    blocks = [backend.to_numpy(block) for block in leaves(run(x, none))]
    np.testing.assert_array_equal(blocks[0], 2 * np.eye(2))
    assert [block.shape for block in blocks] == [(2, 2), (2, 0, 2), (0, 2, 2), (0, 2, 0, 2)]


@pytest.mark.parametrize(
    ("text", "spec", "variant", "order"),
    [
        ("jax:fr", "jax:fr", "", "fr"),
        ("jax:forward_over_reverse", "jax:fr", "", "fr"),
        ("jax:eager:ff", "jax:eager:ff", "eager", "ff"),
        ("tensorflow:xla:reverse_over_forward", "tensorflow:xla:rf", "xla", "rf"),
        ("jax:eager", "jax:eager", "eager", ""),
        ("jax", "jax", "", ""),
    ],
)
def test_an_order_is_written_short_or_in_full(text: str, spec: str, variant: str, order: str) -> None:
    backend = load(text)
    assert (backend.spec, backend.variant, backend.order) == (spec, variant, order)


@pytest.mark.parametrize("text", ["jax:xx", "jax:fr:eager", "jax:eager:", "jax:fr:fr"])
def test_what_is_no_order_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(ValueError, match="an order of modes: fr, rr, rf, ff"):
        load(text)


def test_a_backend_that_offers_no_order_says_so() -> None:
    backend = Poor(O.GRADIENT)
    backend.order = "fr"
    with pytest.raises(Unsupported, match="no second derivatives by forward over reverse; it offers: no"):
        backend.prepare(O.HVP, lambda x: x * x, [backend.to_var(np.array(1.0))])
    assert Poor(O.GRADIENT).mode(O.HVP) == ""
    with pytest.raises(Unsupported, match="autograd has no second derivatives by forward over forward; it offers: rr"):
        opened("autograd:ff").prepare(O.HVP, lambda x: x * x, [np.array(1.0)])


def test_a_plan_runs_an_order_for_second_derivatives_only() -> None:
    planned = plan(Query(["logistic_regression"], ["jax", "jax:forward_over_forward"]))
    assert {c.operator for c in planned.cells if c.spec == "jax:ff"} == set(SECOND_ORDER)
    assert set(planned.limited) == {"jax:ff"}
    assert "logistic_regression/small/float64/hvp/jax:ff" in {c.cell_id for c in planned.cells}


def test_all_orders_are_asked_for_in_a_word() -> None:
    planned = plan(Query(["logistic_regression"], ["numpy", "jax:eager"], ["hvp"], variants="modes"))
    assert planned.specs == (
        *("numpy", "numpy:fr", "numpy:rr", "numpy:rf", "numpy:ff"),
        *("jax:eager", "jax:eager:fr", "jax:eager:rr", "jax:eager:rf", "jax:eager:ff"),
    )
    assert "jax:fr" not in plan(Query(["logistic_regression"], variants="all")).specs


@pytest.mark.parametrize(("problem", "operators"), [("logistic_regression", ["gradient"]), ("planar_arm", [])])
def test_an_order_without_a_second_derivative_is_refused(problem: str, operators: list[str]) -> None:
    with pytest.raises(PlanError, match=r"jax:fr \(it computes only hvp, hessian, "):
        plan(Query([problem], ["jax:fr"], operators))

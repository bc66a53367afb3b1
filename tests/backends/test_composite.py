"""Composite operators on every backend: their parts are those of single calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autodiff_compare.backends import Backend, Objective, Unsupported
from autodiff_compare.backends import numpy_autodiff as engine
from autodiff_compare.backends.numpy_backend.composite import _value_gradient_hessian
from autodiff_compare.backends.operators.request import Request
from autodiff_compare.execution.computation.preparation import prepared
from autodiff_compare.judge.composition import parts_of
from autodiff_compare.plan.cases import Case, build_case, cast, leaves
from autodiff_compare.plan.plan import PlanError, plan_problems
from autodiff_compare.plan.query import Query
from autodiff_compare.problems import Problem, ProblemError
from autodiff_compare.vocabulary import BATCHES, ON_REQUEST, PARTS, SAMPLED, How, Operator
from tests.conftest import opened
from tests.examples.layered import LOSS, OUTPUTS, X

COMPOSITE = tuple(o for o in (*PARTS, *BATCHES) if o != Operator.VALUE_AND_GRADIENT)
#: Backends without a trace ahead of time: parts side by side have the same bits as single calls.
EAGER = ("numpy", "numpy:loop", "torch", "torch:loop", "jax:eager", "tensorflow:eager", "autograd")
TRACED = ("numpy:compiled", "jax", "jax:loop", "tensorflow", "tensorflow:loop", "tensorflow:xla")
CASES = [(p, o) for p in (LOSS, OUTPUTS) for o in COMPOSITE if ON_REQUEST[o] <= p.operators]


def computed(spec: str, case: Case) -> tuple[Any, ...]:
    """Return the result at the numbers of the case, in its nested form."""
    backend = opened(spec)
    function = case.problem.function(backend, case.inputs.static)
    args = [backend.to_var(cast(a, case.dtype)) for a in case.inputs.arrays]
    directions = [backend.to_var(cast(t, case.dtype)) for t in case.directions]
    run = backend.prepare(
        case.operator,
        Objective(function, samples=case.problem.samples),
        args,
        argnums=range(len(case.inputs.differentiated)),
        directions=directions,
    )
    found = backend.block(run(*args, *directions))
    return tuple(np.asarray(backend.to_numpy(leaf)) for leaf in leaves(found))


def _compare(spec: str, problem: Problem, operator: Operator, dtype: str, equal: Callable[[Any, Any], None]) -> None:
    case = build_case(problem, "small", dtype, operator, 3)
    found = computed(spec, case)
    parts = [computed(spec, part.case) for part in parts_of(case)]
    if operator in BATCHES:
        expected = [np.stack(rows) for rows in zip(*parts, strict=True)]
    else:
        expected = [leaf for part in parts for leaf in part]
    assert [leaf.dtype for leaf in found] == [leaf.dtype for leaf in expected]
    for got, want in zip(found, expected, strict=True):
        equal(got, want)


def _close(got: Any, want: Any) -> None:
    """Within a few roundings: batched and single kernels of a framework may add in another order."""
    eps = np.finfo(want.dtype).eps
    # The slope of tanh, 1 - y^2, errs by a rounding of 1 however small it is.
    np.testing.assert_allclose(got, want, rtol=16 * eps, atol=16 * eps * np.abs(want).max(initial=1))


def _equal(operator: Operator) -> Callable[[Any, Any], None]:
    return _close if operator in BATCHES else np.testing.assert_array_equal


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("spec", ["numpy", "torch"])
@pytest.mark.parametrize(("problem", "operator"), CASES, ids=[f"{p.name}-{o}" for p, o in CASES])
def test_parts_are_single_calls(problem: Problem, operator: Operator, spec: str, dtype: str) -> None:
    _compare(spec, problem, operator, dtype, _equal(operator))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("spec", EAGER)
@pytest.mark.parametrize(("problem", "operator"), CASES, ids=[f"{p.name}-{o}" for p, o in CASES])
def test_parts_have_the_bits_of_single_calls(problem: Problem, operator: Operator, spec: str, dtype: str) -> None:
    _compare(spec, problem, operator, dtype, _equal(operator))


@pytest.mark.parametrize("spec", TRACED)
@pytest.mark.parametrize(("problem", "operator"), CASES, ids=[f"{p.name}-{o}" for p, o in CASES])
def test_traced_parts_are_those_of_single_calls(problem: Problem, operator: Operator, spec: str) -> None:
    _compare(spec, problem, operator, "float64", _close)


@pytest.mark.parametrize("operator", [Operator.VALUE_GRADIENT_HESSIAN, Operator.GRADIENT_BATCH, Operator.HVP_BATCH])
def test_torch_compiles_them_into_one_graph(operator: Operator) -> None:
    _compare("torch:compile", LOSS, operator, "float64", _close)


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax:eager", "tensorflow:eager"])
def test_an_objective_is_evaluated_once_for_all_parts(spec: str) -> None:
    """One call of f traces or records value, gradient and Hessian; the parts apart take three or more."""
    backend, calls = opened(spec), 0

    def counted(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return backend.xp.sum(x * x * x)

    for operator in (Operator.VALUE_GRADIENT_HESSIAN, Operator.VALUE_AND_JVP, Operator.VALUE_AND_VJP):
        x = backend.to_var(np.array([1.0, 2.0]))
        one = {Operator.VALUE_AND_JVP: [x], Operator.VALUE_AND_VJP: [backend.to_var(np.array(1.0))]}.get(operator, [])
        run = backend.prepare(operator, counted, [x], directions=one)
        calls = 0
        backend.block(run(x, *one))
        assert calls == 1, operator


def test_a_hessian_in_blocks_takes_one_push_for_each_entry_of_the_inputs() -> None:
    """A push gives a column of all blocks: three arrays of two, one and three entries take six pushes."""
    pushes = 0

    class Counting:
        value_and_grad = staticmethod(engine.value_and_grad)

        @staticmethod
        def linearize(f: Any, *args: Any) -> Any:
            out, push = engine.linearize(f, *args)

            def counted(*tangents: Any) -> Any:
                nonlocal pushes
                pushes += 1
                return push(*tangents)

            return out, counted

    args = [np.array([1.0, 2.0]), np.array(0.5), np.array([0.1, 0.2, 0.3])]
    request = Request(
        Operator.VALUE_GRADIENT_HESSIAN, lambda x, s, y: np.sum(np.sin(x) * s) * np.sum(y * y), args, (0, 1, 2)
    )
    value, slopes, blocks = _value_gradient_hessian(Counting, request)(*args)
    assert pushes == 6
    expected = engine.hessian(request.function, (0, 1, 2))(*args)
    for got, want in zip(leaves(blocks), leaves(expected), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)
    assert value == request.function(*args)
    assert len(slopes) == 3


@pytest.mark.parametrize("spec", ["numpy", "torch", "jax", "tensorflow"])
def test_a_batch_needs_its_rows_when_it_is_prepared(spec: str) -> None:
    backend = opened(spec)
    x = backend.to_var(np.ones(2))
    for operator, words in ((Operator.JVP_BATCH, "directions="), (Operator.GRADIENT_BATCH, "samples=")):
        with pytest.raises(ValueError, match=words):
            backend.prepare(operator, lambda x: backend.xp.sum(x * x), [x])


def test_how_a_batch_is_computed_is_told() -> None:
    for spec in ("numpy", "torch", "jax", "tensorflow"):
        backend, loop = opened(spec), opened(f"{spec}:loop")
        assert backend.how(Operator.JVP_BATCH) == How.NATIVE
        assert {loop.how(o) for o in BATCHES} == {How.DERIVED}
    assert opened("finite_difference").how(Operator.JVP_BATCH) == How.DERIVED


def test_a_backend_without_the_row_cannot_have_the_batch() -> None:
    backend = opened("manual")
    with pytest.raises(Unsupported, match="no closed form for jvp"):
        backend.prepare(Operator.JVP_BATCH, lambda x: np.sum(x), [np.ones(2)], directions=[np.ones((3, 2))])


class TestPlan:
    """Composite operators are planned where they are named and the problem has what they need."""

    @staticmethod
    def operators(problem: Problem, *names: str) -> list[str]:
        found = plan_problems([problem], {problem.name: ""}, Query(backends=["numpy"], operators=names))
        return [str(cell.operator) for cell in found.cells]

    def test_only_if_they_are_named(self) -> None:
        assert not {*self.operators(LOSS)} & {str(o) for o in COMPOSITE}
        assert self.operators(LOSS, *COMPOSITE) == [str(o) for o in Operator if o in COMPOSITE]

    def test_only_of_problems_that_have_the_parts(self) -> None:
        assert self.operators(OUTPUTS, "value_gradient_hessian", "jvp_batch") == ["jvp_batch"]

    def test_samples_are_asked_for(self) -> None:
        with pytest.raises(PlanError, match="SAMPLES = "):
            self.operators(replace(LOSS, samples=()), "gradient_batch")

    def test_all_variants_are_all_ways_of_computing_a_batch(self) -> None:
        """`recommend` asks for them; a variant that differs in batches only is not computed otherwise."""
        for operator, expected in (
            ("gradient_batch", ["numpy", "numpy:compiled", "numpy:loop", "numpy:numba"]),
            ("hvp", None),
        ):
            query = Query(backends=["numpy"], operators=[operator], variants="all")
            specs = [c.spec for c in plan_problems([LOSS], {"loss": ""}, query).cells]
            assert specs == (expected or ["numpy", "numpy:compiled", "numpy:numba"])

    def test_a_size_may_name_the_number_of_rows(self) -> None:
        query = Query(backends=["numpy"], operators=["gradient", "jvp_batch"], sizes=["small", "smallx3", "smallx16"])
        cells = plan_problems([LOSS], {"loss": ""}, query).cells
        assert [(c.size, str(c.operator)) for c in cells] == [
            ("small", "gradient"),
            ("small", "jvp_batch"),
            ("smallx3", "jvp_batch"),
            ("smallx16", "jvp_batch"),
        ]

    def test_the_rows_are_directions_or_the_first_samples(self) -> None:
        many = build_case(LOSS, "smallx16", "float64", Operator.JVP_BATCH, 0)
        assert {t.shape[0] for t in many.directions} == {16}
        few = build_case(LOSS, "smallx3", "float64", Operator.GRADIENT_BATCH, 0)
        np.testing.assert_array_equal(few.inputs.data[0], X[:3])
        with pytest.raises(ProblemError, match="at most its 4 samples"):
            build_case(LOSS, "smallx5", "float64", Operator.GRADIENT_BATCH, 0)

    def test_a_loop_takes_part_in_batches_only(self) -> None:
        query = Query(backends=["numpy", "numpy:loop"], operators=["gradient", "gradient_batch"])
        cells = plan_problems([LOSS], {"loss": ""}, query).cells
        assert [(str(c.operator), c.spec) for c in cells] == [
            ("gradient", "numpy"),
            ("gradient_batch", "numpy"),
            ("gradient_batch", "numpy:loop"),
        ]


@pytest.mark.parametrize("operator", sorted(SAMPLED))
def test_preparation_passes_the_samples(operator: Operator) -> None:
    backend: Backend = opened("numpy")
    found = prepared(
        backend, OUTPUTS if operator == Operator.JACOBIAN_BATCH else LOSS, ("small", "float64", operator, 0)
    )
    first = leaves(found.timed.run(*found.timed.args))[0]
    assert first.shape[0] == len(X)

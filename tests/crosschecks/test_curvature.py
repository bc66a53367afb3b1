"""Operators of second and higher derivatives on problems and backends, and the identities between them.

Each is judged on at least eight problems, by references that share no code with the backend.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.backends.numpy_autodiff import hessian_pattern, jacobian_pattern
from autodiff_compare.execution.computation.preparation import prepared
from autodiff_compare.judge.judge import Judge, overall
from autodiff_compare.plan.cases import build_case, leaves
from autodiff_compare.vocabulary import BY_UNITS, OF_HESSIAN, ON_REQUEST, Operator, Status
from tests.conftest import opened
from tests.crosschecks.test_crosschecks import OP_BY_OP

OPERATORS = (*sorted(OF_HESSIAN), Operator.TAYLOR)
#: Small problems: polynomials, elementary functions, linear algebra, several inputs, arrays.
SMALL = (
    "hello", "matyas", "himmelblau", "goldstein_price", "rosenbrock", "hartmann3", "equal_inputs", "tape_polynomial",
    "gaussian_process", "planar_arm",
)  # fmt: skip
#: The quick variants: JAX is faster to compile a function than its operations one by one.
SPECS = ("numpy", "torch", "jax", "tensorflow:eager")
#: (problem, operator, backend) -> why it is not right, in torch 2.13 and JAX 0.10.
KNOWN = {
    ("gaussian_process", Operator.TAYLOR, "torch"): "torch.func.jvp within itself is wrong through linalg.solve",
    ("gaussian_process", Operator.TAYLOR, "jax"): "jax.experimental.jet has no rule for cholesky",
}


def named(operator: Operator) -> list[str]:
    return [n for n in SMALL if ON_REQUEST[operator] <= problems.available()[n].operators]


CASES = [(name, operator) for operator in OPERATORS for name in named(operator)]


@functools.cache
def judge_of(name: str, operator: Operator) -> Judge:
    return Judge(build_case(problems.available()[name], problems.available()[name].smallest, "float64", operator, 5))


@functools.cache
def found(name: str, operator: Operator, spec: str) -> list[Any]:
    backend, problem = opened(spec), problems.available()[name]
    timed = prepared(backend, problem, (problem.smallest, "float64", operator, 5)).timed
    return [np.asarray(backend.to_numpy(leaf)) for leaf in leaves(backend.block(timed.run(*timed.args)))]


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_is_tried_on_eight_problems(operator: Operator) -> None:
    assert len(named(operator)) >= 8


@pytest.mark.parametrize(
    ("name", "operator", "spec"), [(*c, s) for c in CASES for s in SPECS + ("jax:eager",) * (c[0] in OP_BY_OP)]
)
def test_every_result_is_right(request: pytest.FixtureRequest, name: str, operator: Operator, spec: str) -> None:
    if (name, operator, spec) in KNOWN:
        request.applymarker(pytest.mark.xfail(reason=KNOWN[name, operator, spec], strict=True))
    assert overall(judge_of(name, operator)(found(name, operator, spec))) == (Status.OK, "")


@pytest.mark.parametrize("spec", ["numpy", "numpy:jet", "numpy:nested"])
@pytest.mark.parametrize("name", named(Operator.LAPLACIAN))
def test_the_diagonal_is_that_of_the_hessian_and_the_laplacian_its_sum(name: str, spec: str) -> None:
    sizes = [x.size for x in judge_of(name, Operator.HESSIAN).case.inputs.differentiated]
    blocks = found(name, Operator.HESSIAN, "numpy")
    own = [np.diag(blocks[i * (len(sizes) + 1)].reshape(n, n)) for i, n in enumerate(sizes)]
    scale = max(float(np.abs(d).max()) for d in own) or 1.0
    for got, want in zip(found(name, Operator.HESSIAN_DIAGONAL, spec), own, strict=True):
        np.testing.assert_allclose(np.ravel(got), want, rtol=1e-11, atol=1e-11 * scale)
    (laplacian,) = found(name, Operator.LAPLACIAN, spec)
    np.testing.assert_allclose(laplacian, sum(map(np.sum, own)), rtol=1e-11, atol=1e-11 * scale * sum(sizes))
    assert frozenset({Operator.HESSIAN_DIAGONAL, Operator.LAPLACIAN}) == BY_UNITS


#: Problems whose detected pattern is larger than the true one: entries that cancel, whatever the point.
CANCELLING = {
    "cubic_fit": "odd and even powers at symmetric abscissae",
    "det_linalg": "cofactors that do not hold the entry",
    "llsq": "odd and even powers at symmetric abscissae",
    "eigenvalue_targeting_equal": "a point of equal eigenvalues",
}
#: Up to this many inputs, the true pattern is computed densely.
_MOST = 40


def _dense(places: Any, count: int) -> Any:
    blocks = []
    for shape, at in zip(places.shapes, places.blocks, strict=True):
        block = np.zeros(shape, bool)
        block[at] = True
        blocks.append(block)
    return np.block([blocks[i : i + count] for i in range(0, len(blocks), count)])


def _detectable() -> list[str]:
    names = []
    for problem in problems.available().values():
        if problem.complex_numbers:
            continue
        drawn = problem.draw(problem.smallest, 0)
        small = sum(x.size for x in drawn.differentiated) <= _MOST and "field" not in problem.suites
        if small and not problem.name.startswith(("particle", "saddle")) and problem.operators & {
            Operator.HESSIAN, Operator.JACOBIAN
        }:  # fmt: skip
            names.append(problem.name)
    return names


@pytest.mark.parametrize("name", _detectable())
def test_a_detected_pattern_is_the_union_of_the_true_ones(name: str) -> None:
    problem, backend = problems.available()[name], opened("numpy")
    of_hessian = Operator.HESSIAN in problem.operators and Operator.GRADIENT in problem.operators
    drawn = problem.draw(problem.smallest, 0)
    k, n = len(drawn.differentiated), len(drawn.arrays)
    function = problem.function(backend, drawn.static)
    detect = hessian_pattern if of_hessian else jacobian_pattern
    pattern = _dense(detect(function, *drawn.arrays, argnums=tuple(range(k))), k)
    operator = Operator.HESSIAN if of_hessian else Operator.JACOBIAN
    run = backend.prepare(operator, function, drawn.arrays, argnums=range(k))
    true = np.zeros_like(pattern)
    for seed in range(100 if pattern.size <= 36 else 10):
        point = problem.draw(problem.smallest, seed).differentiated
        with np.errstate(all="ignore"):
            result = leaves(run(*point, *drawn.arrays[k:n]))
        sizes = [x.size for x in point]
        rows = [np.reshape(leaf, (-1, sizes[i % k])) for i, leaf in enumerate(result)]
        matrix = np.block([rows[i : i + k] for i in range(0, len(rows), k)])
        assert not ((matrix != 0) & ~pattern).any()
        true |= matrix != 0
    # A system that a member of the backend solves is dense, whatever its matrix.
    assert np.array_equal(true, pattern) or name in CANCELLING or problem.uses


def test_twenty_patterns_are_known() -> None:
    assert len([name for name in _detectable() if name not in CANCELLING]) >= 20

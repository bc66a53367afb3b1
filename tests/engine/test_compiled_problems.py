"""Every problem of the suite through the adapter of the compiled mode, against the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autodiff_compare import problems
from autodiff_compare.backends import load
from autodiff_compare.backends.interface import Objective, Unsupported
from autodiff_compare.vocabulary import Operator
from tests.engine.compiled import assert_equal, tree

#: Problems invert and normalise: two orders of summation differ by more than their own rounding.
_ROUNDING = 4096.0


def _prepared(spec: str, problem: Any, operator: Operator, dtype: str, size: str = "small") -> tuple[Any, Any]:
    backend = load(spec)
    backend.open()
    inputs = problem.inputs(np.random.default_rng(7), problem.sizes[size])
    args = [backend.to_var(a, dtype=dtype if a.dtype.kind == "f" else None) for a in inputs.arrays]
    argnums = tuple(range(len(inputs.differentiated)))
    f = Objective(problem.function(backend, inputs.static))
    rng = np.random.default_rng(8)
    out = f(*args)
    like = {Operator.JVP: [args[i] for i in argnums], Operator.HVP: [args[i] for i in argnums], Operator.VJP: [out]}
    directions = [rng.standard_normal(np.shape(x)).astype(dtype) for x in like.get(operator, [])]
    elsewhere = [a * a.dtype.type(1.01) if i in argnums else a for i, a in enumerate(args)]
    run = backend.prepare(operator, f, elsewhere, argnums=argnums, directions=directions)
    return run(*args, *directions), backend


#: Those of complex numbers are in tests/backends/test_complex_numbers.py.
PLAIN = [name for name, problem in problems.available().items() if not problem.complex_numbers]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", PLAIN)
def test_every_problem_through_the_adapter(name: str, dtype: str) -> None:
    (problem,) = problems.load(name)
    # Sparse Jacobians come with patterns, from elsewhere.
    for operator in sorted(problem.operators - {Operator.STEP, Operator.SPARSE_JACOBIAN}):
        try:
            compiled, _ = _prepared("numpy:compiled", problem, operator, dtype)
        except Unsupported as reason:
            pytest.fail(f"{operator} of {name}: {reason}")
        eager, _ = _prepared("numpy", problem, operator, dtype)
        assert_equal(tree(compiled), tree(eager), rounding=_ROUNDING)


@pytest.mark.parametrize("name", ["matrix_inverse_squared", "goldstein_price", "planar_arm"])
def test_wide_jacobians_and_hessians_are_sweeps(name: str) -> None:
    (problem,) = problems.load(name)
    for operator in (Operator.JACOBIAN, Operator.HESSIAN):
        if operator in problem.operators:
            compiled, _ = _prepared("numpy:compiled", problem, operator, "float64", size="medium")
            eager, _ = _prepared("numpy", problem, operator, "float64", size="medium")
            assert_equal(tree(compiled), tree(eager), rounding=_ROUNDING)
